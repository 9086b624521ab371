"""Make one adapter a GGUF that stays beside its base: `convert_adapter.py LLAMA_CPP ADAPTER BASE OUT`.

For llama-server, which takes adapters as files of that kind. Written by llama.cpp's own converter. Exit status:
0 written, 1 failed, 2 asked for the impossible.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import export_ggufs
from sft_rows import MisuseError

_ARGUMENTS = 4


def main(argv: list[str]) -> int:
    """Convert; the last line says what went wrong."""
    if len(argv) != _ARGUMENTS:
        print("usage: convert_adapter.py LLAMA_CPP ADAPTER BASE OUT")
        return 2
    llama_cpp, adapter, base, out = map(Path, argv)
    try:
        with tempfile.TemporaryDirectory(prefix=".convert-", dir=out.parent) as work:
            export_ggufs.convert_adapter(llama_cpp, adapter, base, Path(work) / "adapter.gguf").rename(out)
    except MisuseError as error:
        print(error)
        return 2
    except OSError as error:
        print(f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How many ordinary files the secret scan takes for leaks, and how fast it looks: over-redaction, measured.

Ordinary is what an agent reads all day: the standard library's source files and the text files of the packages that
are installed beside this program. The share of flagged files is printed with the rules that flagged them; with
`--names` every flagged file is named (never what was found in it).

Run: python benchmarks/secret_scan.py [--names]
"""

import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path

from flywheel.core.secrets import find_secret

BAR = 0.05
TEXTS = {
    ".c", ".cfg", ".css", ".h", ".html", ".ini", ".js", ".json", ".md", ".py", ".pyi", ".pyx", ".rst", ".sh", ".toml",
    ".txt", ".typed", ".yaml", ".yml",
}  # fmt: skip
NAMES = {"METADATA", "RECORD", "LICENSE", "WHEEL"}
LARGEST = 2_000_000


def texts_below(folder, skipped=()):
    """Yield the text files below a folder, but for some folders in it."""
    for path in sorted(folder.rglob("*")):
        wanted = path.suffix in TEXTS or path.name in NAMES
        if wanted and path.is_file() and not any(name in path.parts for name in skipped):
            text = path.read_text(encoding="utf-8", errors="replace")
            if text.strip() and len(text) <= LARGEST:
                yield path, text


def scan(name, files, show_names):
    """Scan files and print what came of it; return how many there were and how many were flagged."""
    flagged, count, size, seconds = Counter(), 0, 0, 0.0
    for path, text in files:
        began = time.perf_counter()
        rule = find_secret(text)
        seconds += time.perf_counter() - began
        count, size = count + 1, size + len(text)
        if rule is not None:
            flagged[rule] += 1
            if show_names:
                print(f"  {rule:20} {path}")
    reasons = ", ".join(f"{rule} {times}" for rule, times in flagged.most_common(6)) or "none"
    print(f"{name}: {flagged.total()} of {count:,} files flagged ({flagged.total() / max(count, 1):.2%}): {reasons}; "
          f"{size / seconds / 1e6:.0f} million characters a second")  # fmt: skip
    return count, flagged.total()


def main(show_names):
    paths = sysconfig.get_paths()
    found = [
        scan("standard library", texts_below(Path(paths["stdlib"]), skipped=("site-packages",)), show_names),
        scan("installed packages", texts_below(Path(paths["purelib"])), show_names),
    ]
    count, flagged = (sum(numbers) for numbers in zip(*found, strict=True))
    print(f"together: {flagged / count:.2%} of {count:,} ordinary files flagged (bar {BAR:.0%})")


if __name__ == "__main__":
    main("--names" in sys.argv[1:])

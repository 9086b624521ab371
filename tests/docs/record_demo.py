"""Runs the demo on a terminal and keeps what it showed: `docs/images/demo.json`, and the picture made of it.

python tests/docs/record_demo.py            # run `flywheel demo` and record it
python tests/docs/record_demo.py --draw     # only draw the recording again
"""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import terminals

IMAGES = Path(__file__).parents[2] / "docs" / "images"
RECORDING, PICTURE = IMAGES / "demo.json", IMAGES / "demo.svg"
TITLE = "flywheel demo"
COMMAND = "demo"
UNTIL = "decisions"  # the picture ends where the story does: the tables after it are for reading


def record(arguments):
    """Run the demo and return its recording; a demo that fails is no recording."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "flywheel", COMMAND, *arguments, "--home", f"{folder}/demo"]
        terminal, status = _watch(argv)
        if status != 0:
            sys.exit(f"the demo ended with {status}:\n" + "\n".join(_text(row) for row in terminal.recording()[-30:]))
        typed = {"at": 0.0, "pieces": [["$ ", "dim"], [" ".join(["flywheel", COMMAND, *arguments]), "bold"]]}
        return [typed, *(_neutral(row, folder) for row in terminal.recording())]


def _watch(argv):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, terminals.WIDTH, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(terminals.WIDTH)}
    child = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    terminal, began = terminals.Terminal(), time.monotonic()
    rest = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break  # the last of its processes has closed the terminal
        text, rest = _whole(rest + data)
        terminal.write(text, time.monotonic() - began)
    return terminal, child.wait()


def _whole(data):
    """Return the characters that are whole, and the bytes of one that is not yet; escapes are not cut either."""
    cut = data.rfind(b"\x1b")
    if cut != -1 and not re.match(rb"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)", data[cut:]):
        return data[:cut].decode("utf-8", "ignore"), data[cut:]
    for end in range(len(data), max(len(data) - 4, 0), -1):
        try:
            return data[:end].decode(), data[end:]
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace"), b""


def _neutral(row, folder):
    """Return a row without the places of the machine it was recorded on."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    cut = re.compile(rf"{re.escape(folder[:8])}\w*…")  # a path that the demo itself cut short
    pieces = [
        [cut.sub("~…", text.replace(folder, "~").replace(cache, "~/.cache")), style] for text, style in row["pieces"]
    ]
    return {**row, "pieces": pieces}


def _text(row):
    return "".join(text for text, _ in row["pieces"])


def draw():
    """Write the picture of the recording."""
    PICTURE.write_text(drawn(), encoding="utf-8")


def drawn():
    """Return the picture of the recording, as far as the story goes."""
    rows = json.loads(RECORDING.read_text(encoding="utf-8"))
    end = next((number for number, row in enumerate(rows) if _text(row) == UNTIL), len(rows))
    return terminals.svg(rows[:end], TITLE)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    if sys.argv[1:] != ["--draw"]:
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in record(sys.argv[1:]))
        RECORDING.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    draw()

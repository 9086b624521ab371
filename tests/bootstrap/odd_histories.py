"""Histories of odd files: whatever git holds and an edit may stumble over."""

import random
import subprocess
from pathlib import Path

from histories_house import History

_WORDS = (
    "alpha", "beta", "gamma", "delta", "one", "two", "x", "y", "self", "value", "None", "\u00e4\u00f6", "\U0001f600",
    "\\n", "\t", "<file>", "<search",
)  # fmt: skip
_TAGS = ("<edit>", "</search>")
_TAGGED = 0.002  # of the lines
_BREAKS = ("\n", "\n", "\n", "\r\n", "\r", "\x0c\n", "\u2028", "\x1c", "\n\n\n")
_NAMES = (
    "pkg/a.py",
    "pkg/b.py",
    "pkg/sub dir/c.py",
    "pkg/\u00fcber.py",
    "web/d.ts",
    "web/e.js",
    "f.py",
    "g's.py",
    "h.py",
)


class OddHistory:
    """A clone that grows by one odd commit after the other, all told well enough to be lessons."""

    def __init__(self, path: Path, seed: int) -> None:
        self.history = History(path)
        self._chance = random.Random(seed)
        self._files: dict[str, bytes] = {}
        self._programs: set[str] = set()
        self._told: list[bytes] = []

    def grow(self, commits: int) -> Path:
        """Grow by so many commits; return where the clone is."""
        for number in range(1, commits + 1):
            self._commit(number)
        argv = ["git", "-C", str(self.history.path), "fast-import", "--quiet", "--force"]
        subprocess.run(argv, input=b"".join(self._told), check=True, timeout=120, capture_output=True)
        return self.history.path

    def _commit(self, number: int) -> None:
        changes = b"".join(self._change(number) for _ in range(self._chance.choice((1, 1, 2, 3))))
        message = f"Change the odd file number {number}".encode()
        head = b"commit refs/heads/main\nmark :%d\ncommitter Ada <ada@example.org> %d +0000\n"
        self._told.append(head % (number, 1_700_000_000 + 60 * number) + b"data %d\n%s\n" % (len(message), message))
        self._told.append((b"from :%d\n" % (number - 1) if number > 1 else b"") + changes + b"\n")

    def _change(self, number: int) -> bytes:
        name = self._chance.choice(_NAMES)
        kind = self._chance.choice(
            ("edit",) * 40 + ("new", "delete", "move", "mode", "link", "module", "bytes", "empty")
        )
        if kind == "module":
            return b"M 160000 %s vendor/module\n" % (b"%040x" % number)
        if kind == "link":
            return _put(f"pkg/link{number % 3}.py", f"a{number}.py".encode(), b"120000")
        if kind == "delete" and name in self._files:
            del self._files[name]
            return b"D " + _quoted(name) + b"\n"
        if kind == "move" and name in self._files:
            return self._move(name, f"moved/m{number}.py")
        if kind == "mode":
            self._programs.symmetric_difference_update({name})
            return self._set(name, self._files.get(name, b"x = 1\n"))
        texts = {"bytes": b"x = '\xff\xfe'\n", "empty": b"", "new": self._text(self._chance.randint(1, 60))}
        return self._set(name, texts[kind] if kind in texts else self._edited(name))

    def _move(self, name: str, to: str) -> bytes:
        self._files[to] = self._files.pop(name)
        return b"R " + _quoted(name) + b" " + _quoted(to) + b"\n"

    def _set(self, name: str, text: bytes) -> bytes:
        self._files[name] = text
        return _put(name, text, b"100755" if name in self._programs else b"100644")

    def _text(self, lines: int) -> bytes:
        return "".join(self._line() for _ in range(lines)).encode()

    def _line(self) -> str:
        words = self._chance.choices(_WORDS, k=self._chance.randint(0, 6))
        words += self._chance.choices(_TAGS, k=self._chance.random() < _TAGGED)
        long = "z" * self._chance.choice((0,) * 30 + (20_000,))
        return " " * self._chance.choice((0, 4, 8)) + " ".join(words) + long + self._chance.choice(_BREAKS)

    def _edited(self, name: str) -> bytes:
        """Return a file with a few places changed, or its end cut off, its line breaks others, a mark in front."""
        text = self._files.get(name, b"").decode("utf-8", "replace")
        lines = text.splitlines(keepends=True)
        for _ in range(self._chance.randint(1, 4)):
            place = self._chance.randint(0, len(lines))
            lines[place : place + self._chance.choice((0, 0, 1, 2))] = [
                self._line() for _ in range(self._chance.choice((0, 1, 1, 3)))
            ]
        text = "".join(lines)
        how = self._chance.choice(("as it is",) * 6 + ("cut", "breaks", "mark", "twice"))
        text = {
            "cut": text.rstrip(),
            "breaks": text.replace("\r\n", "\n"),
            "mark": "\ufeff" + text,
            "twice": text + text,
        }.get(how, text)
        return text[:40_000].encode()


def _put(name: str, text: bytes, mode: bytes) -> bytes:
    return b"M %s inline %s\ndata %d\n%s\n" % (mode, _quoted(name), len(text), text)


def _quoted(name: str) -> bytes:
    return b'"' + name.encode() + b'"'

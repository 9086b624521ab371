"""As much of a terminal as rich's output needs, and a terminal session as an SVG that plays in any browser.

A recording is what was on each row in the end, in pieces with their style, and when the row was last written. Nothing
of it is invented: `record_demo.py` makes it from a real run.
"""

import re
from html import escape

WIDTH, SHOWN = 112, 30  # columns; rows that are in sight at once
_ROW, _COLUMN, _TOP, _SIDE = 18, 7.8, 44, 18  # pixels
_SECONDS, _END = 26.0, 8.0  # how long the story takes to play, and how long its end stays
_ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07|\x1b.")
COLOURS = {"31": "red", "32": "green", "33": "yellow", "34": "blue", "35": "magenta", "36": "cyan", "90": "dim",
           "91": "red", "92": "green", "93": "yellow", "94": "blue", "95": "magenta", "96": "cyan"}  # fmt: skip


class Terminal:
    """Rows of styled characters, written to as a terminal would."""

    def __init__(self):
        self.rows = [[]]
        self.times = [0.0]
        self._row = self._column = 0
        self._style = frozenset()

    def write(self, text, at):
        """Take what a program printed at a moment."""
        position = 0
        for found in _ESCAPE.finditer(text):
            self._print(text[position : found.start()], at)
            if found[2]:
                self._obey(found[1], found[2], at)
            position = found.end()
        self._print(text[position:], at)

    def _print(self, text, at):
        for character in text:
            if character == "\n":
                self._go_to(self._row + 1)
                self._column = 0
            elif character == "\r":
                self._column = 0
            elif character >= " ":
                row = self.rows[self._row]
                row.extend([(" ", frozenset())] * (self._column + 1 - len(row)))
                row[self._column] = (character, self._style)
                self._column += 1
                self.times[self._row] = at

    def _go_to(self, row):
        self._row = max(row, 0)
        while len(self.rows) <= self._row:
            self.rows.append([])
            self.times.append(self.times[-1])

    def _obey(self, values, what, at):
        if what == "A":
            self._go_to(self._row - int(values or 1))
        elif what == "B":
            self._go_to(self._row + int(values or 1))
        elif what == "K":
            row = self.rows[self._row]
            del row[0 if values == "2" else self._column :]
            self.times[self._row] = at
        elif what == "m":
            for value in (values or "0").split(";"):
                self._style = self._styled(value)

    def _styled(self, value):
        if value in {"", "0"}:
            return frozenset()
        if value == "1":
            return self._style | {"bold"}
        if value in {"2", "3"}:
            return self._style | {"dim"}
        if value in COLOURS:
            return (self._style - set(COLOURS.values())) | {COLOURS[value]}
        return self._style

    def recording(self):
        """Return the rows as they are now: the moment, and pieces of one style each."""
        return [{"at": round(at, 2), "pieces": _pieces(row)} for row, at in zip(self.rows, self.times, strict=True)]


def _pieces(row):
    found = []
    for character, style in row:
        name = " ".join(sorted(style))
        if found and found[-1][1] == name:
            found[-1][0] += character
        else:
            found.append([character, name])
    if found:
        found[-1][0] = found[-1][0].rstrip()
    return [piece for piece in found if piece[0]]


def svg(recording, title):
    """Return the session as an SVG: its rows appear as they did, faster; who wants no motion sees the end."""
    rows = recording[: _last(recording) + 1]
    moments = _moments([row["at"] for row in rows])
    scrolled = max(0, len(rows) - SHOWN)
    width, height = WIDTH * _COLUMN + 2 * _SIDE, SHOWN * _ROW + _TOP + _SIDE
    lines = "".join(_line(number, _fitted(row["pieces"]), moments[number]) for number, row in enumerate(rows))
    words = escape("\n".join("".join(text for text, _ in _fitted(row["pieces"])) for row in rows[-SHOWN:]))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" \
aria-labelledby="title story">
<title id="title">{escape(title)}</title>
<desc id="story">{words}</desc>
<style>{_style(moments, scrolled)}</style>
<rect class="window" width="{width:.0f}" height="{height:.0f}" rx="8"/>
<circle class="red" cx="20" cy="20" r="6"/><circle class="yellow" cx="40" cy="20" r="6"/>\
<circle class="green" cx="60" cy="20" r="6"/>
<text class="dim" x="{width / 2:.0f}" y="25" text-anchor="middle">{escape(title)}</text>
<svg y="{_TOP - 6}" width="{width:.0f}" height="{SHOWN * _ROW}"><g class="rows">
{lines}</g></svg>
</svg>
"""


def _fitted(pieces):
    """Return the pieces of a row as far as it is in sight; what goes on beyond ends in dots."""
    fitted, room = [], WIDTH
    for text, style in pieces:
        if len(text) > room:
            return [*fitted, [text[: max(room - 1, 0)] + "…", style]]
        fitted.append([text, style])
        room -= len(text)
    return fitted


def _last(recording):
    return max((number for number, row in enumerate(recording) if row["pieces"]), default=0)


def _moments(times):
    """Return when each row appears in the played story: waits are cut short, the order stays."""
    moments, now, before = [], 0.0, 0.0
    for at in times:
        now += min(max(at - before, 0.05), 2.0)
        before = max(at, before)
        moments.append(now)
    return [moment * _SECONDS / moments[-1] for moment in moments] if moments else []


def _line(number, pieces, moment):
    column, spans = 0, []
    for text, style in pieces:
        if text.strip():
            place = f'x="{_SIDE + column * _COLUMN:.1f}" textLength="{len(text) * _COLUMN:.1f}"'
            spans.append(f"<tspan {place}{f' class={chr(34)}{style}{chr(34)}' if style else ''}>{escape(text)}</tspan>")
        column += len(text)
    if not spans:
        return ""
    where = f'y="{(number + 1) * _ROW - 5}" style="animation-delay:{moment:.2f}s"'
    return f'<text class="row" {where}>{"".join(spans)}</text>\n'


def _style(moments, scrolled):
    frames = "".join(
        f"{100 * moments[SHOWN + step - 1] / _SECONDS:.2f}%{{transform:translateY(-{step * _ROW}px)}}"
        for step in range(1, scrolled + 1)
    )
    return (
        ".window{fill:#10151c}text{font:13px/1 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d7dde5;"
        "white-space:pre}.dim{fill:#8a96a5}.bold{font-weight:700}.red{fill:#ff7b72}.green{fill:#56d364}"
        ".yellow{fill:#e3b341}.blue{fill:#79c0ff}.magenta{fill:#d2a8ff}.cyan{fill:#56d4dd}"
        f".rows{{transform:translateY(-{scrolled * _ROW}px)}}"
        "@media (prefers-reduced-motion:no-preference){"
        ".row{opacity:0;animation:appear .01s linear forwards}"
        f".rows{{animation:scroll {_SECONDS}s step-end}}}}"
        "@keyframes appear{to{opacity:1}}@keyframes scroll{0%{transform:none}" + frames + "}"
    )

"""Histograms for people: bars in a terminal, and an SVG that needs nothing beside itself."""

from html import escape

from flywheel.curate.lengths import Lengths

_BLOCKS = " ▏▎▍▌▋▊▉█"
_WIDE = 50
_LOOKS = 'role="img" font-family="sans-serif" font-size="11"'
_COLUMN, _TALL, _LEFT, _BELOW, _ABOVE = 34, 220, 60, 70, 50


def bars(lengths: Lengths) -> list[str]:
    """Return the histogram as lines of text; a bar that reaches beyond the limit is marked."""
    most = max(one.rows for one in lengths.histogram)
    wide = len(f"{lengths.histogram[-1].high:,}")
    lines = []
    for one in lengths.histogram:
        over = lengths.limit is not None and one.high - 1 > lengths.limit
        bar = _bar(one.rows / most)
        lines.append(f"{one.low:>{wide},}–{one.high - 1:<{wide},} {bar} {one.rows:,}{' over' if over else ''}")  # noqa: RUF001 - a range
    return lines


def svg(lengths: Lengths, title: str) -> str:
    """Return the histogram as a self-contained picture: no script, no style sheet, no font from elsewhere."""
    most = max(one.rows for one in lengths.histogram)
    wide = _LEFT + _COLUMN * len(lengths.histogram) + 30
    tall = _ABOVE + _TALL + _BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" width="{wide}" height="{tall}" {_LOOKS}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{wide}" height="{tall}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" font-size="14" fill="#222222">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="40" fill="#555555">{escape(_words(lengths))}</text>',
        *[_column(lengths, place, most) for place in range(len(lengths.histogram))],
        f'<line x1="{_LEFT}" y1="{_ABOVE + _TALL}" x2="{wide - 30}" y2="{_ABOVE + _TALL}" stroke="#888888"/>',
        f'<text x="{_LEFT - 6}" y="{_ABOVE + 8}" text-anchor="end" fill="#555555">{most:,}</text>',
        f'<text x="{_LEFT - 6}" y="{_ABOVE + _TALL}" text-anchor="end" fill="#555555">0</text>',
        f'<text x="{wide / 2:g}" y="{tall - 8}" text-anchor="middle" fill="#555555">{lengths.unit} a row</text>',
        _limit(lengths),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _bar(share: float) -> str:
    eighths = max(round(share * _WIDE * 8), 1 if share else 0)
    return ("█" * (eighths // 8) + _BLOCKS[eighths % 8]).ljust(_WIDE + 1)


def _words(lengths: Lengths) -> str:
    told = f"{lengths.rows:,} rows, median {lengths.percentiles['p50']:,}, longest {lengths.longest:,} {lengths.unit}"
    if lengths.over is None or lengths.limit is None:
        return told
    return f"{told}; {lengths.over:,} over max_length {lengths.limit:,}"


def _column(lengths: Lengths, place: int, most: int) -> str:
    one = lengths.histogram[place]
    high = _TALL * one.rows / most
    left, over = _LEFT + place * _COLUMN, lengths.limit is not None and one.high - 1 > lengths.limit
    told = f"{one.low:,} to {one.high - 1:,}: {one.rows:,} rows"
    middle, below = left + _COLUMN / 2, _ABOVE + _TALL + 12
    return (
        f'<rect x="{left + 2}" y="{_ABOVE + _TALL - high:.1f}" width="{_COLUMN - 4}" height="{high:.1f}"'
        f' fill="{"#c0392b" if over else "#2d6cdf"}"><title>{escape(told)}</title></rect>\n'
        f'<text x="{middle:g}" y="{below}" transform="rotate(-45 {middle:g} {below})" text-anchor="end"'
        f' fill="#555555">{one.low:,}</text>'
    )


def _limit(lengths: Lengths) -> str:
    first, last = lengths.histogram[0], lengths.histogram[-1]
    if lengths.limit is None or not first.low <= lengths.limit < last.high:
        return ""
    at = _LEFT + (lengths.limit - first.low) / (first.high - first.low) * _COLUMN
    return (
        f'<line x1="{at:.1f}" y1="{_ABOVE}" x2="{at:.1f}" y2="{_ABOVE + _TALL}" stroke="#c0392b"'
        f' stroke-dasharray="4 3"><title>max_length {lengths.limit:,}</title></line>'
    )

"""What pages are made of: text that shows whatever a model wrote and does nothing, numbers, tables, the one style."""

import unicodedata
from collections.abc import Sequence
from html import escape

#: Categories of characters that would act instead of being seen: controls, formats, half characters, no characters.
_ACTING = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
_KEPT = "\n\t"
#: Joiners that words of many scripts, and emoji, are spelt with.
_SPELLING = frozenset("\u200c\u200d")

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#57606a;--line:#d0d7de;--card:#f6f8fa;--pass:#116329;
--fail:#a40e26;--open:#7d4e00;--mark:#0b57d0}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--soft:#9da7b1;--line:#30363d;--card:#161b22;
--pass:#3fb950;--fail:#ff7b72;--open:#d29922;--mark:#79b8ff}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:66rem;margin:0 auto;padding:1rem;color:var(--fg);background:var(--bg)}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}h2{font-size:1.2rem;margin:2.2rem 0 .5rem}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
.verdict{display:inline-block;border:2px solid currentColor;border-radius:.4rem;padding:0 .5rem;white-space:nowrap}
.pass{color:var(--pass)}.fail{color:var(--fail)}.open{color:var(--open)}.soft{color:var(--soft)}
.lead{font-size:1.1rem;border-left:.3rem solid;padding-left:.8rem;overflow-wrap:anywhere}.lead span{color:var(--fg)}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:0}a{color:var(--mark)}
.wide{overflow-x:auto}:focus-visible{outline:3px solid var(--mark);outline-offset:2px}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th[scope=row]{font-weight:600}.n{text-align:right;font-variant-numeric:tabular-nums}td.n{white-space:nowrap}
td{overflow-wrap:break-word}td.words{min-width:14rem}tr.of td{border-bottom:0;padding-bottom:0;white-space:nowrap}
figure{margin:1rem 0}svg{display:block;width:100%;max-width:34rem;height:auto}figcaption{color:var(--soft)}
svg text{fill:var(--fg);font:12px system-ui,sans-serif}svg .small{fill:var(--soft);font-size:11px}
svg .rule{stroke:var(--line)}svg .zero{stroke:var(--soft);stroke-dasharray:3 3}
svg .mark{stroke:var(--mark);fill:var(--mark)}svg .all{stroke:var(--fg);fill:var(--fg)}
svg .pass{stroke:var(--pass);fill:var(--pass)}svg .fail{stroke:var(--fail);fill:none}
svg .open{stroke:var(--open);fill:var(--bg)}svg .soft{stroke:var(--soft);fill:none}
.problem{border-top:1px solid var(--line);padding:.6rem 0}.problem p{margin:.2rem 0;overflow-wrap:anywhere}
.answers{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(18rem,100%),1fr));gap:.6rem}
.answers>div{background:var(--card);border-radius:.4rem;padding:.5rem .7rem;min-width:0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2rem 0;font:13px/1.45 ui-monospace,monospace}
summary{cursor:pointer;overflow-wrap:anywhere}
footer{margin-top:3rem;color:var(--soft);font-size:.9rem;overflow-wrap:anywhere}
.stay{position:sticky;left:.6rem;width:fit-content;max-width:min(60rem,calc(100vw - 3.5rem))}
@media(max-width:40rem){.stack thead{position:absolute;clip-path:inset(50%)}.stack tr,.stack th,.stack td{display:block;
border:0;padding:.1rem 0;text-align:left}.stack tr{border-bottom:1px solid var(--line);padding:.4rem 0}
.stack td[data-of]::before{content:attr(data-of) ": ";color:var(--soft)}}
@media print{nav{display:none}.answers>div{border:1px solid var(--line)}}
"""


def shown(text: str) -> str:
    """Return any text as markup that only shows it: what would act is spelt out by its number."""
    if text.isascii() and text.isprintable():
        return escape(text)
    return escape("".join(map(_visible, text.replace("\r\n", "\n"))))


def _visible(character: str) -> str:
    if character in _KEPT or character in _SPELLING or unicodedata.category(character) not in _ACTING:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004


def page(title: str, body: Sequence[str]) -> str:
    """Return a whole document: nothing in it runs, nothing is fetched."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{shown(title)}</title><style>{STYLE}</style></head>\n<body>\n" + "\n".join(filter(None, body))
    ) + "\n</body></html>\n"


def section(name: str, title: str, *parts: str) -> str:
    """Return a part of the page that a link leads to."""
    return f'<section id="{name}"><h2>{shown(title)}</h2>\n' + "\n".join(filter(None, parts)) + "</section>"


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], words: frozenset[int] = frozenset()) -> str:
    """Return a table of text; cells are numbers but the first and those of `words`. It scrolls where it is too wide."""
    top = "".join(f'<th scope="col"{_kind(n, words)}>{shown(cell)}</th>' for n, cell in enumerate(head))
    body = "".join(f"<tr>{_row(row, words)}</tr>\n" for row in rows)
    return (
        f'<div class="wide" role="region" aria-label="{shown(caption)}" tabindex="0">'
        f"<table><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table></div>"
    )


def _row(cells: Sequence[str], words: frozenset[int]) -> str:
    rest = "".join(f"<td{_kind(n, words)}>{shown(cell)}</td>" for n, cell in enumerate(cells) if n)
    return f'<th scope="row">{shown(cells[0])}</th>{rest}'


def _kind(column: int, words: frozenset[int]) -> str:
    if column in words:
        return ' class="words"'
    return ' class="n"' if column else ""


def percent(value: float | None) -> str:
    """Return a share as people read it."""
    return "" if value is None else f"{100 * value:.1f} %"


def points(value: float | None) -> str:
    """Return a difference of shares in points, with its sign."""
    return "" if value is None else f"{100 * value:+.1f}"


def between(low: float | None, high: float | None) -> str:
    """Return an interval in points; nothing where it has no ends."""
    return "" if low is None or high is None else f"{100 * low:+.1f} to {100 * high:+.1f}"


def number(value: float | None) -> str:
    """Return any number, as short as it stays true to four digits."""
    return "" if value is None else f"{value:.4g}"

"""From what was found to what is written: which sources, lines, bases and servers. Pure.

An outcome belongs to the one line that selects it. Where the sources are of several kinds, each chosen line is told its
sources: else the general line would select what the others do, and nobody would get it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from flywheel.cli.init_findings import Findings, FoundModel, FoundServer, FoundSource
from flywheel.cli.override_blocks import is_clean_room
from flywheel.core.frozen import Frozen
from flywheel.core.lines import Line, Select

LANGUAGE, DOMAIN = "language:", "domain:"
GENERAL = "tool-calling"
MAIN = "main"
PATTERN = "build-python"  # the specialist that those of further languages are made after
WORTH_A_LINE = 10  # good outcomes in a language that no shipped line is about
_NAMES = {"cpp": "C++", "csharp": "C#", "javascript": "JavaScript", "php": "PHP", "sql": "SQL"}
_RANKS = (16, 32, 64, 128, 256, 320, 512)  # those a vLLM is started with
_MOST_SLOTS = 8
_CAPTURE = "gateway"  # what the gateway's own record is called among the sources
_FIRST_PORT = 8000

Fed = dict[str, frozenset[str]]


class ChosenSource(Frozen):
    """A source under the name it gets."""

    name: str
    found: FoundSource


class ChosenBase(Frozen):
    """A base under the name that lines use; without a `path` nobody knows yet where it is."""

    name: str
    served_as: str
    path: Path | None = None
    parameters_billion: float | None = None
    server: str | None = None


class ChosenServer(Frozen):
    """A model server, and what it has to be started with; one without `found` is planned."""

    url: str
    found: FoundServer | None = None
    max_loras: int = 2
    max_lora_rank: int = _RANKS[0]


class Prospect(Frozen):
    """What a line needs for its first dataset, and how much the history has of it, where that is known."""

    needs: int
    has: int | None = None


class Choice(Frozen):
    """Everything the settings will say; `written` are the files of lines that differ from those shipped."""

    sources: tuple[ChosenSource, ...] = ()
    lines: tuple[str, ...] = ()
    prospects: dict[str, Prospect] = Field(default_factory=dict)
    bases: tuple[ChosenBase, ...] = ()
    servers: tuple[ChosenServer, ...] = ()
    written: dict[str, str] = Field(default_factory=dict)
    others: tuple[FoundServer, ...] = ()  # they answer, and serve no base of these lines


class _Stand(NamedTuple):
    """Where a base stands: the model it is, and who serves it or will."""

    base: str
    model: FoundModel
    url: str


def choose(findings: Findings, shipped: Mapping[str, Line], texts: Mapping[str, str]) -> Choice:
    """Return what to write; `shipped` are the lines there are, and `texts` their files."""
    sources = named(findings.sources)
    made = {name: specialist(language, texts[PATTERN]) for name, language in _new(findings.sources, shipped).items()}
    lines = {**shipped, **_as_lines(_new(findings.sources, shipped), shipped)}
    fed = feeds(findings.sources, lines)
    stands = _stands(findings, tuple(dict.fromkeys(lines[name].base for name in fed)) or (MAIN,))
    servers = _servers(findings, stands, [lines[name] for name in fed])
    used = {server.url for server in servers}
    return Choice(
        sources=sources,
        lines=tuple(fed),
        prospects={name: _prospect(lines[name], findings.sources) for name in fed},
        bases=_bases(stands),
        servers=servers,
        written=made | _narrowed(fed, sources, {**texts, **made}),
        others=tuple(one for one in findings.servers if one.url not in used),
    )


def feeds(sources: Iterable[FoundSource], lines: Mapping[str, Line]) -> Fed:
    """Return the lines to switch on, each with the kinds of source it learns from."""
    kinds = {source.kind for source in sources}
    seen = {language for source in sources for language in source.languages}
    spoken = {name: line for name, line in lines.items() if languages_of(line)}
    known = {name for name, line in spoken.items() if seen & languages_of(line)} or set(spoken)
    wanted: list[tuple[str, Iterable[str]]] = [
        ("opencode", [name for name in spoken if name in known]),
        ("clean-room", [name for name, line in lines.items() if is_clean_room(line)]),
        ("fleet", [name for name, line in lines.items() if _tagged(line, DOMAIN)]),
        ("generic", [GENERAL]),
        ("tool-events", [GENERAL]),
    ]
    pairs = [(name, kind) for kind, names in wanted if kind in kinds for name in names if name in lines]
    return {name: frozenset(kind for other, kind in pairs if other == name) for name, _ in pairs}


def languages_of(line: Line) -> frozenset[str]:
    """Return the languages that a line is about."""
    return frozenset(tag.removeprefix(LANGUAGE) for tag in line.select.tags if tag.startswith(LANGUAGE))


def _prospect(line: Line, sources: Iterable[FoundSource]) -> Prospect:
    spoken = languages_of(line)
    has = [good for source in sources for language, good in source.languages.items() if language in spoken]
    needs = max(line.least_examples, line.trigger.fresh_examples)
    return Prospect(needs=needs, has=sum(has) if has else None)


def specialist(language: str, text: str) -> str:
    """Return the file of a line for a language, made after the one for Python."""
    shown = _NAMES.get(language, language.capitalize())
    return re.sub(r"\bPython\b", lambda _: shown, text).replace(f"{LANGUAGE}python", f"{LANGUAGE}{language}")


def narrowed(text: str, sources: Sequence[str]) -> str:
    """Return the file of a line that learns from these sources only; everything else of it stays as it is."""
    said = f"sources = {json.dumps(list(sources), ensure_ascii=False)}"
    before, head, rest = _table(text, "select")
    if not head:
        return f"{text.rstrip()}\n\n[select]\n{said}\n"
    inside, brackets, after = rest.partition("\n[")
    kept = re.sub(r"(?m)^sources\s*=.*\n?", "", inside)
    return f"{before}{head}\n{said}\n{kept.lstrip(chr(10))}{brackets}{after}"


def named(sources: Iterable[FoundSource]) -> tuple[ChosenSource, ...]:
    """Return the sources, each under a name of its own."""
    chosen: list[ChosenSource] = []
    for source in sources:
        name, taken = _name(source), {_CAPTURE, *(one.name for one in chosen)}
        number = next(n for n in range(1, len(taken) + 2) if (f"{name}-{n}" if n > 1 else name) not in taken)
        chosen.append(ChosenSource(name=f"{name}-{number}" if number > 1 else name, found=source))
    return tuple(chosen)


def _name(source: FoundSource) -> str:
    folder = source.path.parent
    told = {
        "opencode": source.path.stem if source.path.suffix == ".db" else "opencode",
        "clean-room": folder.parent.name if folder.name == ".clean_room" else folder.name,
        "generic": source.path.stem,
        "fleet": folder.name if source.path.name == "runs" else source.path.name,
        "tool-events": "tool-events",
    }[source.kind]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", told).strip("-_.")[:80] or source.kind


def _new(sources: Iterable[FoundSource], lines: Mapping[str, Line]) -> dict[str, str]:
    """Return lines to make for languages that no line is about and that there is enough of, with the language."""
    known = {language for line in lines.values() for language in languages_of(line)}
    found = {
        language
        for source in sources
        if source.kind == "opencode"
        for language, good in source.languages.items()
        if good >= WORTH_A_LINE and language not in known
    }
    return {f"build-{language}": language for language in sorted(found) if f"build-{language}" not in lines}


def _as_lines(new: Mapping[str, str], lines: Mapping[str, Line]) -> dict[str, Line]:
    return {
        name: lines[PATTERN].model_copy(update={"name": name, "select": Select(tags=(f"{LANGUAGE}{language}",))})
        for name, language in new.items()
    }


def _narrowed(fed: Fed, sources: Sequence[ChosenSource], texts: Mapping[str, str]) -> dict[str, str]:
    if len({source.found.kind for source in sources}) == 1:
        return {}
    return {
        name: narrowed(texts[name], [source.name for source in sources if source.found.kind in kinds])
        for name, kinds in fed.items()
    }


def _table(text: str, name: str) -> tuple[str, str, str]:
    found = re.search(rf"(?m)^\[{name}\][^\n]*$", text)
    return (text[: found.start()], found[0], text[found.end() :]) if found else (text, "", "")


def _tagged(line: Line, prefix: str) -> bool:
    return any(tag.startswith(prefix) for tag in line.select.tags)


def _stands(findings: Findings, names: Sequence[str]) -> list[_Stand]:
    """Return a model and a server for each base: those found, else a server that is planned on a free port."""
    served = [(model, server.url) for server in findings.servers if server.kind == "vllm" for model in server.models]
    taken = {server.url for server in findings.servers}
    planned = (url for url in (f"http://127.0.0.1:{port}" for port in count(_FIRST_PORT)) if url not in taken)
    stands = []
    for name in names:
        model, url = _model(name, served, findings.folders)
        stands.append(_Stand(name, model, url or next(planned)))
    return stands


def _model(
    name: str, served: Sequence[tuple[FoundModel, str]], folders: Sequence[FoundModel]
) -> tuple[FoundModel, str | None]:
    """Return the model that a base's name tells, else for the main one the first that is served, and who serves it."""
    anything: list[tuple[FoundModel, str | None]] = [*served, *((folder, None) for folder in folders)]
    if name != MAIN:
        fitting = [one for one in anything if _is_called(name, one[0])]
        return fitting[0] if fitting else (FoundModel(served_as=name), None)
    return anything[0] if served or len(folders) == 1 else (FoundModel(served_as="base"), None)


def _bases(stands: Sequence[_Stand]) -> tuple[ChosenBase, ...]:
    several = len({stand.url for stand in stands}) > 1
    return tuple(
        ChosenBase(
            name=stand.base,
            served_as=stand.model.served_as,
            path=stand.model.path,
            parameters_billion=stand.model.parameters_billion,
            server=stand.url if several else None,
        )
        for stand in stands
    )


def _servers(findings: Findings, stands: Sequence[_Stand], lines: Sequence[Line]) -> tuple[ChosenServer, ...]:
    found = {server.url: server for server in findings.servers}
    urls = dict.fromkeys(stand.url for stand in stands)
    return tuple(_server(url, found.get(url), [line for line in lines if url in _urls(line, stands)]) for url in urls)


def _urls(line: Line, stands: Sequence[_Stand]) -> set[str]:
    return {stand.url for stand in stands if stand.base == line.base}


def _server(url: str, found: FoundServer | None, lines: Sequence[Line]) -> ChosenServer:
    wanted = max((line.train.hyperparameters.rank for line in lines), default=_RANKS[0])
    rank = next((rank for rank in _RANKS if rank >= wanted), _RANKS[-1])
    slots = max(2, min(len(lines) + 1, _MOST_SLOTS))  # one for each line, and one for a candidate
    return ChosenServer(url=url, found=found, max_loras=slots, max_lora_rank=rank)


def _is_called(name: str, model: FoundModel) -> bool:
    """Tell whether a model has a base's name in its own, whatever the signs between."""
    return any(_bare(name) in _bare(told) for told in _told(model))


def _told(model: FoundModel) -> Iterator[str]:
    yield model.served_as
    if model.path is not None:
        yield str(model.path)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

"""Which line takes what: by source, kind of call and tags. Pure."""

from collections.abc import Iterable

from flywheel.core.lines import Line


def selects(line: Line, source: str, call_type: str | None = None) -> bool:
    """Tell whether a line takes outcomes of a source, and of a type of call; naming none means all."""
    select = line.select
    of_source = not select.sources or source in select.sources
    return of_source and (call_type is None or not select.call_types or call_type in select.call_types)


def takes(line: Line, source: str, call_type: str, tags: Iterable[str]) -> bool:
    """Tell whether a line takes an outcome that nobody made for a line."""
    wanted = line.select.tags
    return selects(line, source, call_type) and (not wanted or not set(wanted).isdisjoint(tags))

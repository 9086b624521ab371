"""The closed registry of source kinds: settings class and reader of each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from flywheel.core.clocks import Clock, SystemClock
from flywheel.sources.clean_rooms import CleanRoomReader
from flywheel.sources.fleets import FleetReader
from flywheel.sources.generics import GenericReader
from flywheel.sources.opencodes import OpencodeReader
from flywheel.sources.readings import Reader
from flywheel.sources.settings import (
    CleanRoomSource,
    FleetSource,
    GenericSource,
    OpencodeSource,
    Source,
    SourceSettings,
    ToolEventsSource,
)
from flywheel.sources.tool_events import ToolEventsReader

__all__ = ["KINDS", "SourceSettings", "reader_of"]

KINDS: Mapping[type[Source], Callable[..., Reader]] = MappingProxyType(
    {
        GenericSource: GenericReader,
        CleanRoomSource: CleanRoomReader,
        OpencodeSource: OpencodeReader,
        FleetSource: FleetReader,
        ToolEventsSource: ToolEventsReader,
    }
)


_TIMED: frozenset[type[Source]] = frozenset({OpencodeSource})  # their readers are also given the clock


def reader_of(settings: SourceSettings, clock: Clock | None = None) -> Reader:
    """Return the reader for a source's settings."""
    kind = KINDS[type(settings)]
    return kind(settings, clock or SystemClock()) if type(settings) in _TIMED else kind(settings)

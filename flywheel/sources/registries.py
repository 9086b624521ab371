"""The closed registry of source kinds: settings class and reader of each."""

from flywheel.sources.generics import GenericReader
from flywheel.sources.readings import Reader
from flywheel.sources.settings import GenericSource

SourceSettings = GenericSource  # becomes a union, told apart by `kind`, with the second kind


def reader_of(settings: SourceSettings) -> Reader:
    """Return the reader for a source's settings."""
    return GenericReader(settings)

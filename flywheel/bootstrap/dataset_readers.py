"""The registry of open datasets that are read: a name for each published shape."""

from collections.abc import Mapping
from types import MappingProxyType

from flywheel.bootstrap.dataset_rows import Reader
from flywheel.bootstrap.datasets_apps import APPS, TACO
from flywheel.bootstrap.datasets_commits import COMMITPACKFT
from flywheel.bootstrap.datasets_contests import CODE_CONTESTS
from flywheel.bootstrap.datasets_diffs import D3
from flywheel.bootstrap.datasets_infills import SRI_TUNING
from flywheel.bootstrap.datasets_instructions import (
    CODEFEEDBACK,
    EVOL_INSTRUCT_CODE,
    OPENCODEINSTRUCT,
    OPENCODER_STAGE2,
    OSS_INSTRUCT,
)
from flywheel.bootstrap.datasets_issues import SWE_BENCH
from flywheel.core.errors import MisuseError

_ALL: tuple[Reader, ...] = (
    APPS,
    CODEFEEDBACK,
    CODE_CONTESTS,
    COMMITPACKFT,
    D3,
    EVOL_INSTRUCT_CODE,
    OPENCODEINSTRUCT,
    OPENCODER_STAGE2,
    OSS_INSTRUCT,
    SRI_TUNING,
    SWE_BENCH,
    TACO,
)
#: Sets to examine with: whoever learns from them cannot be examined on them any more.
_HELD_OUT = frozenset({"humaneval", "livecodebench"})

READERS: Mapping[str, Reader] = MappingProxyType({reader.name: reader for reader in _ALL})


def reader_of(name: str) -> Reader:
    """Return the reader of a dataset."""
    if name in _HELD_OUT:
        told = f"import it as a suite: flywheel suites import {name} FILE --line LINE"
        raise MisuseError(f"{name} is there to examine with, not to learn from", told)
    if name not in READERS:
        raise MisuseError(f"there is no reader for {name!r}", f"datasets: {', '.join(sorted(READERS))}")
    return READERS[name]

"""What a finished measurement leaves: a report, its page, and last of all the result that vouches for both."""

import json
from pathlib import Path

from pydantic import ValidationError

from flywheel.core.errors import CorruptError
from flywheel.core.verdicts import Report
from flywheel.proc.files import file_hash, write_file, write_json

REPORT, PAGE, RESULT = "report.json", "report.html", "result.json"


def write_result(out: Path, report: Report, page: str) -> None:
    """Write report and page, then the result: whoever sees the result sees them whole."""
    write_file(out / REPORT, report.model_dump_json(indent=2).encode() + b"\n")
    write_file(out / PAGE, page.encode("utf-8", "replace"))
    hashes = {name: file_hash(out / name) for name in (REPORT, PAGE)}
    write_json(out / RESULT, {"verdict": report.verdict.value, "sentence": report.sentence, "files": hashes})


def is_done(out: Path) -> bool:
    """Tell whether a measurement was finished."""
    return (out / RESULT).is_file()


def read_result(out: Path) -> tuple[Report, bytes]:
    """Return the report and its page, checked against the result that vouches for them."""
    try:
        hashes = json.loads((out / RESULT).read_bytes())["files"]
        whole = all(file_hash(out / name) == hashes[name] for name in (REPORT, PAGE))
        report, page = Report.model_validate_json((out / REPORT).read_bytes()), (out / PAGE).read_bytes()
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise CorruptError(
            f"the measurement in {out.name} left no readable report: {error}", "measure again"
        ) from error
    if not whole:
        raise CorruptError(f"the report in {out.name} is not the one that was measured", "measure again")
    return report, page

"""What a child says is read line by line as it grows; a torn line waits for its end, a bad one is passed over."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.proc.logs import Lines, last_error, read_events

EVENT = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=8) | st.none(), max_size=3)
NOISE = st.sampled_from([b"", b"plain words", b"[1, 2]", b"7", b'{"torn": ', b"\xff\xfe", b"null", b"{}{}"])


@given(data=st.data(), lines=st.lists(EVENT | NOISE, max_size=12))
def test_however_the_reading_is_cut_nothing_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, lines: list[dict[str, Any] | bytes]
) -> None:
    """Reading on from each offset gives every whole object once, in order, at whatever byte the file ended before."""
    path = tmp_path_factory.getbasetemp() / "cut.jsonl"
    whole = b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    found: list[dict[str, Any]] = []
    offset = 0
    for end in [*cuts, len(whole)]:
        path.write_bytes(whole[:end])
        seen = read_events(path, offset)
        assert offset <= seen.offset <= end
        found, offset = [*found, *seen.events], seen.offset
    assert found == [x for x in lines if isinstance(x, dict)]
    assert offset == len(whole)


def test_a_missing_file_is_empty(tmp_path: Path) -> None:
    """A child that has said nothing yet is no error."""
    assert read_events(tmp_path / "log.jsonl", 5) == Lines([], 0)


@pytest.mark.parametrize(
    ("log", "stderr", "reason"),
    [
        ('{"event": "failed", "error": "no GPU"}\n{"event": "failed", "error": "no disk"}\n', "x", "no disk"),
        ('{"event": "failed"}\n', "x", "unknown error"),
        ('{"event": "step", "error": "not this"}\n', "Traceback\n  ValueError: bad rank \n\n", "ValueError: bad rank"),
        (None, "boom", "boom"),
        (None, "\n \n", "the process ended without a word"),
        (None, None, "the process ended without a word"),
        (None, "x" * 900, "x" * 500),
    ],
)  # fmt: skip
def test_the_childs_own_last_word_is_the_reason(
    tmp_path: Path, log: str | None, stderr: str | None, reason: str
) -> None:
    """What the program said itself comes first, then its last complaint, then that it said nothing."""
    for name, text in (("log.jsonl", log), ("stderr.log", stderr)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert last_error(tmp_path) == reason

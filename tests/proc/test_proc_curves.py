"""The curves of a run: what its event files say, whatever became of them."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.proc.curves import Point, _folder, read_curves, thinned

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/data/tensorboard/events.out.tfevents.golden"


@pytest.fixture
def charts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "flywheel/jobs"))
    from charts import Charts

    yield Charts
    sys.modules.pop("charts", None)


def test_a_file_of_tensorboard_itself_is_read():
    """A file that TensorBoard's own writer made says what was written into it."""
    assert {name: list(found.values()) for name, found in _folder([GOLDEN]).items()} == {
        "train/loss": [Point(1, 0.5), Point(2, 0.25), Point(300, 0.125)]
    }


def test_a_run_that_went_on_from_a_checkpoint_is_one_curve(charts, tmp_path):
    """What a later file says from its first step on takes the place of what was drawn there before."""
    for begin, end, value in ((1, 11, 1.0), (6, 9, 2.0)):
        chart = charts(tmp_path / "out" / "tensorboard", begin)
        for step in range(begin, end):
            chart.add(step, {"train/loss": value})
        chart.close()
    assert read_curves(tmp_path)["train/loss"] == [Point(n, 1.0) for n in range(1, 6)] + [
        Point(n, 2.0) for n in (6, 7, 8)
    ]


def test_a_torn_end_loses_nothing_before_it(charts, tmp_path):
    """However much of a file is there, the points that are whole are read and nothing else."""
    chart = charts(tmp_path / "tensorboard", 1)
    for step in range(1, 6):
        chart.add(step, {"train/loss": float(step)})
    chart.close()
    (file,) = (tmp_path / "tensorboard").iterdir()
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        found = read_curves(tmp_path).get("train/loss", [])
        assert found == [Point(step, float(step)) for step in range(1, len(found) + 1)]


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_other_bytes_draw_nothing_and_break_nothing(tmp_path_factory, data):
    """A file of anything is no reason for a page to fail."""
    folder = tmp_path_factory.mktemp("run") / "tensorboard"
    folder.mkdir()
    (folder / "events.out.tfevents.1").write_bytes(data)
    assert isinstance(read_curves(folder.parent), dict)


def test_where_no_event_file_is_the_log_draws(tmp_path):
    """What the program told stands in for its event files; lines that tell nothing are passed over."""
    (tmp_path / "log.jsonl").write_text(
        '{"event": "step", "step": 2, "loss": 0.5}\nnoise\n{"event": "step", "step": 1, "loss": null}\n'
        '{"event": "eval", "step": 2, "loss": 0.75}\n{"event": "step", "step": 3, "lo'
    )
    assert read_curves(tmp_path) == {"train/loss": [Point(2, 0.5)], "eval/loss": [Point(2, 0.75)]}
    assert read_curves(tmp_path / "none") == {}


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=60), st.integers(2, 30))
def test_thinning_keeps_both_ends_and_the_order(points, most):
    """So many points at most, in their order, the first and the last among them."""
    chosen = thinned(points, most)
    assert len(chosen) <= max(most, 0)
    assert not points or (chosen[0] == points[0] and chosen[-1] == points[-1])
    rest = iter(points)
    assert all(any(one == other for other in rest) for one in chosen)

"""Probing: a person sees what a database holds before it is watched."""

from flywheel.sources.probes import probe_source


def test_a_probe_tells_what_is_there(agent):
    """Columns, counts, labels and refusals are told, and nothing is stored."""
    agent.task("a", 1)
    agent.call("a")
    agent.task("b")
    agent.call("b", messages="[{")
    report = probe_source(agent.path)
    assert (report.readable, report.tasks, report.outcomes) == (True, 2, 1)
    assert (report.labels, report.refused) == ({"positive": 1}, {"not-json": 1})
    assert report.call_columns["at"] == "timestamp"
    assert "2 tasks, 1 calls" in report.words


def test_a_probe_of_nothing_says_why(tmp_path):
    """A path that cannot be read is told with the way to mend it."""
    (tmp_path / "x.db").write_text("no database " * 100)
    assert "is not an SQLite database" in probe_source(tmp_path / "x.db").words
    assert "there is no such file" in probe_source(tmp_path / "y.db").words
    (tmp_path / "empty.db").touch()
    assert "there is no table task_runs" in probe_source(tmp_path / "empty.db").words

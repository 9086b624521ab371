"""The nine open datasets as files: their lessons on the shelf, proved where they bring tests, broken rows counted."""

import asyncio
from collections import Counter

import pytest
from datasets_house import imported, order_of, shelved, write_gzip, write_lines
from published_rows import BROKEN, GOOD, d3, fenced, opencodeinstruct, opencoder_educational, swe_bench

from flywheel.bootstrap.shelves import Shelf
from flywheel.sources.labels import judge


@pytest.fixture
def shelf(home):
    with Shelf(home / "bootstrap.db") as shelf:
        yield shelf


def go(order, shelf):
    """What an import comes to."""
    return asyncio.run(imported(order, shelf))


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_with_broken_rows_is_read_to_its_end(name, shelf, tmp_path):
    """Good rows teach, whatever stands between them; each broken one is counted by its reason, and none is lost."""
    good = [row for dataset, row in GOOD.values() if dataset == name]
    broken = [row for row, _ in BROKEN[name]]
    lines = [*broken, *good, "{", "[]", '{"nobody": "knows"}']
    report = go(order_of(name, write_gzip(tmp_path / "rows.jsonl.gz", lines)), shelf)
    told = Counter(reason for _, reason in BROKEN[name])
    assert report.rows == len(lines)
    assert report.kept == len(good)
    for reason, count in told.items():
        assert report.rejected[reason] >= count
    assert sum(report.rejected.values()) == len(broken) + 3
    assert len(shelved(shelf)) == len(good)


def test_what_is_on_the_shelf_says_where_it_comes_from(shelf, tmp_path):
    """Makings carry dataset, row, licence and evidence; written answers are a teacher's, changes are not."""
    for name, row in GOOD.values():
        go(order_of(name, write_lines(tmp_path / f"{name}.jsonl", [row])), shelf)
    makings = [making for made in shelved(shelf).values() for making in made]
    assert {making.about["dataset"] for making in makings} == {name for name, _ in GOOD.values()}
    for making in makings:
        assert making.recipe == "import"
        assert making.about["foreign"] is True
        assert (making.origin == "teacher") == (making.call_type == "code")
        assert judge(making.signals).confidence >= 0.6
    licences = {making.about["dataset"]: making.licence for making in makings}
    assert (licences["commitpackft"], licences["d3"], licences["codefeedback"], licences["swe-bench"]) == (
        "BSD-3-Clause", "Apache-2.0", "Apache-2.0", "unknown",
    )  # fmt: skip


def test_a_proof_is_worth_more_than_being_published(shelf, tmp_path):
    """What passes its tests here is believed by lines that want 0.91; what fails them is no lesson at all."""
    wrong = opencodeinstruct(output=fenced("def add(a, b):\n    return a - b\n"))
    raises = opencoder_educational(output=fenced("def add(a, b):\n    raise KeyError(a)\n"))
    rows = [opencodeinstruct(), wrong]
    report = go(order_of("opencodeinstruct", write_lines(tmp_path / "a.jsonl", rows)), shelf)
    assert report.rejected == {"its program fails a test": 1}
    report = go(order_of("opencoder-stage2", write_lines(tmp_path / "b.jsonl", [raises])), shelf)
    assert report.rejected == {"its program fails a test": 1}
    ((making,),) = shelved(shelf).values()
    assert judge(making.signals).confidence == 0.95


def test_a_licence_that_is_told_holds_where_a_row_names_none(shelf, tmp_path):
    """SWE-bench has no licence of its own, and D3 one for each row: what the caller says fills the gaps alone."""
    file = write_lines(tmp_path / "a.jsonl", [swe_bench()])
    go(order_of("swe-bench", file, licence="BSD-3-Clause"), shelf)
    file = write_lines(tmp_path / "b.jsonl", [d3(), d3(metadata={}, lines_changed=8)])
    go(order_of("d3", file, licence="MIT"), shelf)
    found = Counter(making.licence for made in shelved(shelf).values() for making in made)
    assert set(found) == {"BSD-3-Clause", "Apache-2.0", "MIT"}

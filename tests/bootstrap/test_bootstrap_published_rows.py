"""The nine open datasets of instructions, commits, diffs and issues, each read in the shape it is published in."""

import json
import os
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_rows import (
    ADD,
    BROKEN,
    GOOD,
    ISSUE,
    SRI_ANSWER,
    SRI_FILE,
    SRI_REPO,
    TOTAL_AFTER,
    TOTAL_BEFORE,
    codefeedback,
    commitpackft,
    d3,
    d3_prompt,
    evol_instruct_code,
    fenced,
    judged,
    opencodeinstruct,
    opencoder_educational,
    opencoder_package,
    oss_instruct,
    sri_tuning,
    swe_bench,
    swe_bench_text,
)

from flywheel.bootstrap.dataset_answers import parses
from flywheel.bootstrap.dataset_readers import READERS
from flywheel.bootstrap.dataset_rows import PUBLISHED, Lesson
from flywheel.bootstrap.datasets_issues import TURNED
from flywheel.bootstrap.derivations import KEPT
from flywheel.core.domains import Domain
from flywheel.core.edits import apply_edits, parse_edits
from flywheel.core.foreign_rows import BadRowError
from flywheel.sources.labels import judge

FUZZ = int(os.environ.get("FLYWHEEL_FUZZ", "1"))
NINE = ("opencodeinstruct", "commitpackft", "codefeedback", "oss-instruct", "evol-instruct-code", "opencoder-stage2",
        "d3", "swe-bench", "sri-tuning")  # fmt: skip
KINDS = {"code", "execute_implement", "execute_function_implement", "execute_plan", "task_analysis", "scope",
         "precision"}  # fmt: skip


def lessons(name, row):
    """Return what a row of a dataset teaches."""
    return READERS[name].read(row)


def the_one(name, row):
    """Return the only lesson of a row."""
    (lesson,) = lessons(name, row)
    return lesson


def shown_files(lesson):
    """Return the files that a question shows whole."""
    parts = lesson.messages[-1].content.split('<file path="')[1:]
    return {part.partition('">\n')[0]: part.partition('">\n')[2].rpartition("\n</file>")[0] for part in parts}


@pytest.mark.parametrize("shape", GOOD)
def test_a_row_as_it_is_published_teaches(shape):
    """Each published shape gives lessons with evidence, different keys, and known kinds of call."""
    name, row = GOOD[shape]
    found = lessons(name, row)
    assert found
    assert len({one.key for one in found}) == len(found)
    assert {one.call_type for one in found} <= KINDS
    assert all(one.signals and one.response.strip() for one in found)


@pytest.mark.parametrize("name", NINE)
def test_a_broken_row_is_told_by_its_reason(name):
    """What is broken is refused, for a reason that is the same for all that are broken alike."""
    for row, reason in BROKEN[name]:
        with pytest.raises(BadRowError) as told:
            lessons(name, row)
        assert str(told.value) == reason


@pytest.mark.parametrize("shape", GOOD)
def test_no_order_of_columns_and_no_other_column_matters(shape):
    """A row is read by its columns' names; those a reader does not name are never looked at."""
    name, row = GOOD[shape]
    expected = lessons(name, row)
    assert lessons(name, dict(reversed([*row.items()]))) == expected
    assert lessons(name, {**row, "unheard_of": [1]}) == expected
    assert lessons(name, {key: row[key] for key in row if key in READERS[name].columns}) == expected


@pytest.mark.parametrize("name", NINE)
def test_what_a_dataset_is_stands_with_its_reader(name):
    """Each reader tells a licence and an aware date; only datasets with tests may want the sandbox."""
    reader = READERS[name]
    assert reader.licence
    assert reader.published.tzinfo is not None
    assert reader.proves == (name in {"opencodeinstruct", "opencoder-stage2"})


def test_an_answer_with_tests_waits_for_their_proof():
    """OpenCodeInstruct's answer is proved by its tests, each by itself; what it was made from is kept."""
    lesson = the_one("opencodeinstruct", opencodeinstruct())
    assert lesson.proof is not None
    assert (lesson.proof.program, lesson.proof.asserts) == (ADD, ("assert add(1, 2) == 3", "assert add(-1, 1) == 0"))
    assert lesson.tags == ("language:python", "domain:algorithms")
    assert (lesson.origin, lesson.about["id"], lesson.about["judged"]) == ("teacher", "0a1b", 4)


def test_tests_in_one_text_are_as_many_as_there_are():
    """A text of several asserts is several tests; one that prepares something stays whole."""
    plain = opencodeinstruct(unit_tests="assert add(1, 2) == 3\nassert add(2, 2) == 4", tests_execution_status="")
    assert len(the_one("opencodeinstruct", plain).proof.asserts) == 2
    prepared = opencodeinstruct(unit_tests="a = 1\nassert add(a, 2) == 3", tests_execution_status=None)
    assert the_one("opencodeinstruct", prepared).proof.asserts == ("a = 1\nassert add(a, 2) == 3",)


def test_a_doubt_of_its_publishers_weakens_an_answer():
    """A low mark of the publishers' judge speaks against an answer, so that it does not count by being published."""
    doubted = the_one("opencodeinstruct", opencodeinstruct(llm_judgement=judged(1)))
    trusted = the_one("opencodeinstruct", opencodeinstruct(llm_judgement="{no json"))
    assert judge(doubted.signals).confidence < 0.7
    assert judge(trusted.signals).confidence == PUBLISHED.strength == 0.7


def test_the_entry_point_says_which_program_is_proved():
    """Of several blocks the one that defines what is tested is run."""
    answer = fenced(ADD) + fenced("print(add(1, 2))\n")
    lesson = the_one("opencoder-stage2", opencoder_educational(output=answer))
    assert lesson.proof.program == ADD
    assert lesson.about == {"seq_id": "4021"}


def test_subsets_without_tests_are_believed_no_more_than_published():
    """OpenCoder's other subsets carry no proof, whatever columns the tests have elsewhere."""
    lesson = the_one("opencoder-stage2", opencoder_package(testcase=None, entry_point=None))
    assert (lesson.proof, lesson.signals, lesson.tags[0]) == (None, (PUBLISHED,), "language:python")


def test_languages_have_one_name_each():
    """A language is told by its column, or by the last block that names one."""
    assert the_one("codefeedback", codefeedback(lang="C++")).tags == ("language:cpp",)
    assert the_one("codefeedback", codefeedback(lang="unknown")).tags == ("language:cpp",)
    assert the_one("evol-instruct-code", evol_instruct_code()).tags == ("language:rust",)
    bare = evol_instruct_code(output="```\nSELECT 1;\n```")
    assert the_one("evol-instruct-code", bare).tags == ()


def test_python_is_told_what_it_is_about():
    """Python has a domain beside its language; other languages have none."""
    for row in (opencodeinstruct(), opencoder_educational()):
        name = "opencodeinstruct" if "input" in row else "opencoder-stage2"
        tags = the_one(name, row).tags
        assert tags[1].removeprefix("domain:") in get_args(Domain)


def test_problems_of_one_seed_stay_together():
    """OSS-Instruct's problems that were made of the same file never stand on both sides of a split."""
    one, other = (the_one("oss-instruct", oss_instruct(index=index, problem=f"P{index}")) for index in (1, 2))
    assert one.group == other.group == "oss-instruct/60123"


def test_evol_instruct_is_read_under_its_other_names():
    """The answer may be called `response`, and an input stands behind its instruction."""
    row = {"instruction": "Sort it.", "input": "[3, 1]", "response": fenced("print(sorted([3, 1]))\n")}
    assert the_one("evol-instruct-code", row).messages[0].content == "Sort it.\n\n[3, 1]"


def test_a_commit_becomes_edits_that_make_its_file():
    """CommitPackFT's edits applied to the file that is shown make the new file, byte for byte."""
    found = {one.call_type: one for one in lessons("commitpackft", commitpackft())}
    lesson = found["execute_implement"]
    files = {"ledger/sums.py": TOTAL_BEFORE}
    assert apply_edits(files, parse_edits(lesson.response))["ledger/sums.py"] == TOTAL_AFTER
    assert lesson.signals == (KEPT,)
    assert (lesson.licence, lesson.group) == ("BSD-3-Clause", "acme/ledger")
    assert lesson.about == {"commit": "12" * 20, "repo": "acme/ledger"}


def test_a_commit_of_one_file_teaches_nothing_about_others():
    """Plans, scopes and analyses want a tree; both versions of a function answer the same question."""
    found = lessons("commitpackft", commitpackft())
    assert {one.call_type for one in found} == {"execute_implement", "execute_function_implement", "precision"}
    after, before = (one for one in found if one.call_type == "execute_function_implement")
    assert after.messages == before.messages
    assert (judge(after.signals).label, judge(before.signals).label) == ("positive", "negative")


def test_a_new_file_and_an_unknown_licence():
    """A file that was not there is written by one edit; a licence that is none of the known ones is unknown."""
    row = commitpackft(old_contents="", old_file="", license="unknown", repos=None, subject="Add the sums module")
    lesson = the_one("commitpackft", row)
    assert apply_edits({}, parse_edits(lesson.response)) == {"ledger/sums.py": TOTAL_AFTER}
    assert (lesson.licence, lesson.group) == ("unknown", "")


def test_specialists_read_commits_of_their_languages():
    """Rust, Ruby and Swift are read here though they are not mined."""
    row = commitpackft(
        old_file="src/lib.rs", new_file="src/lib.rs", old_contents="fn a() {}\n", new_contents="fn b() {}\n"
    )
    assert lessons("commitpackft", row)[0].tags == ("language:rust", "curriculum:single_file")


def test_diffs_lead_a_file_through_all_its_states():
    """D3's edits applied one after the other make the program that its diffs make, from the file that is shown."""
    lesson = the_one("d3", d3())
    shown = shown_files(lesson)
    assert shown == {"q7.py": ADD}
    made = apply_edits(shown, parse_edits(lesson.response))["q7.py"]
    assert made == f"import math\n\n{ADD}\ndef double(a):\n    return add(a, a)\n\nprint(double(math.pi))\n"
    assert lesson.messages[0].content.startswith("Task: Add a function that doubles.\n\n")
    assert (lesson.licence, lesson.group, lesson.about["diffs"]) == ("Apache-2.0", "d3/314", 2)


def test_diffs_may_begin_with_nothing():
    """Half of D3 begins with an empty file: it is told to be new, and the first edit makes it."""
    prompt = d3_prompt("")
    completion = f"{prompt}\n<|diff|>@@ -0,0 +1,2 @@\n+def one():\n+    return 1\n<|diff|>\n</code>"
    lesson = the_one("d3", d3(prompt=prompt, completion=completion, program_start=""))
    assert "q7.py is a new file." in lesson.messages[0].content
    assert apply_edits({}, parse_edits(lesson.response)) == {"q7.py": "def one():\n    return 1\n"}


def test_the_prompt_alone_tells_the_file():
    """Without `program_start` the file is read from the prompt, its lines without their numbers."""
    row = d3()
    del row["program_start"]
    assert the_one("d3", row) == the_one("d3", d3())


@pytest.mark.parametrize(
    ("held", "licence"),
    [(["mit"], "MIT"), (["MIT", "GPL-3.0"], "unknown"), ([], ""), (None, ""), ([3], "")],
)
def test_of_several_licences_none_is_picked(held, licence):
    """A licence is known where there is exactly one; where none is told, what is said of the whole set holds."""
    assert the_one("d3", d3(metadata={"max_stars_repo_licenses": held})).licence == licence


def test_an_issue_tells_a_plan_that_ends_with_its_tests():
    """SWE-bench's patches name the parts of a plan, and the tests that turned come behind all of them."""
    found = {one.key: one for one in lessons("swe-bench", swe_bench())}
    plan = json.loads(found["execute_plan"].response)
    assert [part["affected_files"] for part in plan["parts"]] == [
        ["ledger/sums.py"], ["ledger/wide.py"], ["tests/test_sums.py"],
    ]  # fmt: skip
    assert plan["parts"][0]["description"] == "Change `total` in ledger/sums.py"
    assert plan["parts"][1]["description"] == "Add ledger/wide.py"
    assert plan["parts"][2]["depends_on"] == ["p1", "p2"]
    assert found["execute_plan"].signals == (TURNED,)
    assert found["execute_plan"].at.year == 2021
    assert found["execute_plan"].group == "acme/ledger"
    assert found["execute_plan"].tags == ("language:python", "curriculum:multi_file")


def test_scopes_are_told_both_ways_or_not_at_all():
    """As many files are named that were not changed (a traceback shows them) as files that were."""
    found = {one.key: one.response for one in lessons("swe-bench", swe_bench()) if one.call_type == "scope"}
    assert found == {"scope/ledger/sums.py": "yes", "scope/ledger/pages.py": "no"}
    silent = lessons("swe-bench", swe_bench(problem_statement="Totals count rows"))
    assert {one.call_type for one in silent} == {"task_analysis", "execute_plan"}


def test_a_change_without_turned_tests_is_only_kept():
    """SWE-bench's training part tells of no tests: the project took the change, and that is all."""
    for told in ("", None, "[]", []):
        found = lessons("swe-bench", swe_bench(FAIL_TO_PASS=told, test_patch=""))
        assert all(one.signals == (KEPT,) for one in found)


def test_issues_that_show_files_teach_all_stages():
    """With files that the patch fits a row is told as a mined commit is, its edits proved; the issue is the order."""
    found = lessons("swe-bench", swe_bench_text())
    assert {one.call_type for one in found} == KINDS - {"code"}
    edits = next(one for one in found if one.call_type == "execute_implement")
    assert edits.messages[0].content.startswith(f"Task: {ISSUE.strip()}")
    made = apply_edits({"ledger/sums.py": TOTAL_BEFORE}, parse_edits(edits.response))
    assert made["ledger/sums.py"] == TOTAL_AFTER
    assert made["ledger/wide.py"].endswith("WIDE = total([1])\n")
    assert edits.signals == (TURNED,)


def test_files_that_do_not_fit_the_patch_are_not_used():
    """Where what is shown is not what was patched, the row is read as if it showed nothing."""
    row = swe_bench_text()
    odd = {**row, "text": row["text"].replace("len(rows)", "max(rows)")}
    assert lessons("swe-bench", odd) == lessons("swe-bench", swe_bench())


def test_missing_code_is_written_by_one_edit():
    """SRI Tuning's search and replacement become an edit of the file with the mark; what comes out is whole Python."""
    lesson = the_one("sri-tuning", sri_tuning())
    shown = shown_files(lesson)
    assert set(shown) == {"src/ledger.py", "src/pages.py"}
    made = apply_edits(shown, parse_edits(lesson.response))["src/pages.py"]
    assert made == SRI_FILE.replace("    /* MIDDLE CODE TO COMPLETE */", "    found = total(page)")
    assert parses(made)
    assert lesson.group == "sri-tuning/ledger"


@pytest.mark.parametrize(
    "row",
    [
        {"conversations": [{"from": "human", "value": SRI_REPO}, {"from": "gpt", "value": SRI_ANSWER}]},
        {"prompt": SRI_REPO, "response": SRI_ANSWER},
        {"instruction": SRI_REPO, "output": SRI_ANSWER},
    ],
)
def test_missing_code_is_read_under_the_likely_names(row):
    """What is not published, how rows name their columns, is read under each of the usual names."""
    assert the_one("sri-tuning", row) == the_one("sri-tuning", sri_tuning())


def test_one_file_in_a_block_is_named_by_its_answer():
    """A question that holds one block with the mark is that file; its name stands above the search."""
    row = {"prompt": f"Complete this:\n\n```python\n{SRI_FILE}```\n", "response": SRI_ANSWER}
    assert shown_files(the_one("sri-tuning", row)) == {"src/pages.py": SRI_FILE}
    unnamed = {**row, "response": SRI_ANSWER.replace("/src/pages.py\n", ""), "lang": "Python"}
    lesson = the_one("sri-tuning", unnamed)
    assert shown_files(lesson) == {"code": SRI_FILE}
    assert lesson.tags == ("language:python", "curriculum:single_file")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
ODD = st.sampled_from([
    "", "\ud800", "\0", "\r\n", "```", "<|diff|>", "@@ -0,0 +1 @@\n+", "</edit>", '"', "[end of x]", "assert", "[",
    "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "é" * 40,
])  # fmt: skip


@st.composite
def bent(draw):
    """Return the name of a dataset with a row in which something is not as it should be."""
    name, row = GOOD[draw(st.sampled_from([*GOOD]))]
    row = dict(row)
    for key in draw(st.sets(st.sampled_from([*row]), min_size=1, max_size=3)):
        value = row[key]
        if isinstance(value, str) and value and draw(st.booleans()):
            at, end = sorted((draw(st.integers(0, len(value))), draw(st.integers(0, len(value)))))
            row[key] = value[:at] + draw(ODD) + (value[end:] if draw(st.booleans()) else value[at:])
        elif isinstance(value, list | dict) and draw(st.booleans()):
            text = json.dumps(value)
            row[key] = json.loads(text.replace("a", draw(st.sampled_from(["a", "b", "\\ud800"]))))
        else:
            row[key] = draw(JSON)
    return name, row


def read_or_refused(name, row):
    """Return the lessons of a row, one at least; none where it is refused."""
    try:
        found = lessons(name, row)
    except BadRowError:
        return ()
    assert found
    return found


@settings(max_examples=120 * FUZZ)
@given(bent())
def test_an_odd_row_is_refused_or_read_whole(case):
    """Whatever stands in a row, it gives lessons that can be written down, or a reason; edits always apply."""
    name, row = case
    for lesson in read_or_refused(name, row):
        assert Lesson.model_validate_json(lesson.model_dump_json()) == lesson
        if lesson.call_type == "execute_implement":
            assert parse_edits(lesson.response)


@settings(max_examples=30 * FUZZ)
@given(st.dictionaries(st.sampled_from(sorted({c for name in NINE for c in READERS[name].columns})), JSON, max_size=9))
def test_a_row_of_anything_is_refused(row):
    """A row in nobody's shape gives a reason, from every reader."""
    for name in NINE:
        with pytest.raises(BadRowError):
            lessons(name, row)

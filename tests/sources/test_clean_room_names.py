import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.sources.clean_room_answers import complaint, edits_of, json_of, plan_of, verdict_of
from flywheel.sources.clean_room_names import TaskName, parse_task, root_of

ROOT = "3f0c"


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (ROOT, TaskName(ROOT)),
        (f"{ROOT}:meta_plan", TaskName(ROOT, "meta_plan")),
        (f"{ROOT}:part_plan:p1", TaskName(ROOT, "part_plan", "p1")),
        (f"{ROOT}:scaffold:p1", TaskName(ROOT, "scaffold", "p1")),
        (f"{ROOT}:func_impl:p1:hash_put", TaskName(ROOT, "func_impl", "p1", "hash_put")),
        (f"{ROOT}:func_impl:p1:hash_put:retry_2", TaskName(ROOT, "func_impl", "p1", "hash_put", 2)),
        (f"{ROOT}:impl:p1:s1", TaskName(ROOT, "impl", "p1", "s1")),
        (f"{ROOT}:impl:p1:s1:retry_1", TaskName(ROOT, "impl", "p1", "s1", 1)),
        (f"{ROOT}:impl", TaskName(ROOT, "impl")),
        (f"{ROOT}:impl:retry_3", TaskName(ROOT, "impl", "", "", 3)),
        (f"{ROOT}:adjust:p1:after_s1", TaskName(ROOT, "adjust", "p1", "s1")),
        (f"{ROOT}:doc:p1", TaskName(ROOT, "doc", "p1")),
        (f"{ROOT}:test_plan:p1", TaskName(ROOT, "test_plan", "p1")),
        (f"{ROOT}:test_impl:p1:t1:retry_1", TaskName(ROOT, "test_impl", "p1", "t1", 1)),
        ("enrichment:src/a.py", TaskName("enrichment:src/a.py", "enrichment")),
        (f"{ROOT}:brand_new:x", TaskName(ROOT, "brand_new", "", "x")),
    ],
)
def test_every_form_of_a_task_id_is_taken_apart(task, name) -> None:
    """Each form the agent writes gives its root, kind, part, step and attempt; a form nobody knows gives its root."""
    assert parse_task(task) == name
    assert root_of(task) == name.root


@given(st.text(max_size=60))
def test_no_task_id_breaks_the_parser(task) -> None:
    """Whatever a task id holds, it has a root, and parsing its root gives the same root."""
    assert root_of(parse_task(task).root) == parse_task(task).root == root_of(task)


@given(st.text(max_size=300), st.sampled_from(["execute_implement", "scope", "execute_plan", "assembly_refilter", "x"]))
def test_no_answer_breaks_the_readers(text, call_type) -> None:
    """Whatever a model answers, reading it never raises."""
    for wrapped in (text, f"```json\n{text}\n```", f'<edit file="{text}"><search>{text}</search>', "[" * 300 + text):
        assert verdict_of(wrapped) in {True, False, None}
        assert all(edit.file in wrapped for edit in edits_of(wrapped) or ())
        plan_of(wrapped, "meta_plan")
        json_of(wrapped)
        assert isinstance(complaint(call_type, "", TaskName("r", "meta_plan"), "", wrapped), str)


@pytest.mark.parametrize(
    ("text", "said"),
    [("yes", True), (" NO\n", False), ('{"verdict": "relevant"}', True), ('{"verdict": "irrelevant"}', False),
     ('```json\n{"keep": true}\n```', True), ("Yes.", None), ("maybe", None), ("[1]", None), ("", None)],
)  # fmt: skip
def test_a_verdict_is_read_as_the_agent_reads_it(text, said) -> None:
    """A bare word or a small object is a verdict; `Yes.` is none, the agent takes it for a no."""
    assert verdict_of(text) is said


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('{"task_summary": "t", "parts": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}]}', True),
        ('{"task_summary": "t", "parts": []}', False),
        ('{"parts": [{"id": "a"}]}', False),
        ('{"task_summary": "t", "parts": [{"id": "a"}, {"id": "a"}]}', False),
        ('{"task_summary": "t", "parts": [{"id": "a", "depends_on": ["z"]}]}', False),
        ("Sure, here is the plan.", False),
    ],
)
def test_a_plan_is_held_to_what_the_agent_needs(text, fits) -> None:
    """A plan without parts, with doubled names or with unknown dependencies is no plan."""
    assert (plan_of(text, "meta_plan") is not None) is fits


def test_edit_blocks_survive_code_that_looks_like_them() -> None:
    """Closing tags inside the code do not end a block early; an empty search text makes the whole answer unusable."""
    block = '<edit file="a.py">\n<search>\nx = "</search>"\n</search>\n<replacement>\ny\n</replacement>\n</edit>'
    edits = edits_of(f"Here:\n{block}")
    assert edits is not None
    assert (edits[0].file, edits[0].search, edits[0].replacement) == ("a.py", 'x = "</search>"', "y")
    assert edits_of('<edit file="a.py"><search></search><replacement>y</replacement></edit>') is None
    assert edits_of("no blocks") is None

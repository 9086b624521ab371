import pytest
from clean_room_world import AFTER, BEFORE, FILE, SHOWN, TESTS, YES_OR_NO, World, edit, new_test

CODE, TEST = "{}:impl:p1:s1/execute_implement", "{}:test_impl:p1:t1/execute_test_implement"


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def code_of(run, world) -> str:
    return world.labels()[CODE.format(run.root)]


def notes(world, name) -> str:
    return "; ".join(f"{one.name}: {one.note}" for one in world.read()[0][name].labelled.signals)


def test_code_and_test_that_passed_and_stayed_are_positive(world) -> None:
    """Status, the part's own validation, the applied patches and the git mode agree: positive."""
    run = world.good_run()
    assert code_of(run, world) == "positive"
    assert world.labels()[TEST.format(run.root)] == "positive"


def test_the_agents_own_word_is_not_believed_unless_the_settings_say_so(world) -> None:
    """`task_runs.success` is 1 on every row: alone it labels nothing, and where it is trusted it does."""
    run = world.run()
    run.code()
    run.end("failed")
    assert code_of(run, world) == "unknown"
    assert world.labels(trust_task_success=True)[CODE.format(run.root)] == "positive"
    world.raw.execute("UPDATE task_runs SET success = 0")
    assert world.labels(trust_task_success=True)[CODE.format(run.root)] == "negative"


@pytest.mark.parametrize("status", ["running", "failed", "odd", ""])
def test_only_a_run_that_ended_well_makes_anything_positive(world, status) -> None:
    """A crash leaves `running` for ever; a server error after the edit was applied leaves `failed`."""
    run = world.good_run()
    world.raw.execute("UPDATE orchestrator_runs SET status = ?", (status,))
    assert code_of(run, world) == "unknown"


@pytest.mark.parametrize(("git", "label"), [(False, "positive"), (True, "unknown")])
def test_partial_keeps_the_edits_only_without_git(world, git, label) -> None:
    """With git a partial run throws everything away and yet its attempts stay marked as applied."""
    run = world.run(git=git, parts=2)
    run.code(commit="c1")
    run.validate(success=True)
    run.code("p2", text=edit(search="x = 1", replacement="x = 2"), commit="c2")
    run.validate(success=False, failing=("tests/test_price.py::test_old",))
    run.roll_back("p2")
    run.end("partial")
    world.index("c1", "c2")
    assert code_of(run, world) == label


def test_with_git_a_complete_run_must_have_been_seen_again(world) -> None:
    """The main branch may have moved meanwhile: nothing is kept until a later index or base shows it."""
    run = world.good_run(git=True)
    assert code_of(run, world) == "unknown"
    world.index("somebody-elses")
    assert code_of(run, world) == "unknown"
    world.index(f"{run.root}-c2")
    assert code_of(run, world) == "positive"


def test_a_later_runs_base_confirms_too(world) -> None:
    """The next run began where this one ended: its commits are on the branch."""
    run = world.good_run(git=True)
    world.run(git=True, base=f"{run.root}-c2")
    assert code_of(run, world) == "positive"


def test_a_run_on_the_branch_of_a_dead_one_is_not_believed(world) -> None:
    """A kill leaves its branch checked out; what follows on the same base, and what builds on that, is merged there."""
    world.run(git=True, base="b0").code(commit="dead-1")
    on_it = world.good_run(git=True, base="dead-1")
    after = world.good_run(git=True, base=f"{on_it.root}-c2")
    back = world.good_run(git=True, base="by-a-person")
    world.index(*(f"{run.root}-c2" for run in (on_it, after, back)))
    assert [code_of(run, world) for run in (on_it, after, back)] == ["unknown", "unknown", "positive"]


def test_without_git_a_crash_before_does_not_matter_to_a_pass(world) -> None:
    """The tree the dead run left behind passed the whole suite together with the new edit."""
    world.run().code()
    assert code_of(world.good_run(replacement="    return 1.0 * net"), world) == "positive"


def test_leftovers_of_a_crash_take_the_blame_out_of_a_failure(world) -> None:
    """What failed after a crash may have failed because of what the dead run left; a later pass clears the tree."""
    world.good_run()
    world.run().code(text=edit(search="y = 1", replacement="y = 2"))

    def failing_run():
        run = world.run()
        run.code(text=edit(replacement="    return 0.0 * net"))
        run.validate(success=False, failing=("tests/test_price.py::test_old",))
        run.roll_back()
        return run.end("failed")

    first = failing_run()
    world.good_run(replacement="    return net * 1.0")
    second = failing_run()
    assert [code_of(run, world) for run in (first, second)] == ["unknown", "negative"]


def test_two_runs_at_once_are_not_believed(world) -> None:
    """A validation hangs on the globally last attempt, so with two runs at work nobody knows whose it is."""
    one, other = world.run(), world.run()
    one.code()
    one.validate(success=True)
    other.code(text=edit(search="z = 1", replacement="z = 2"))
    other.validate(success=True)
    one.end("complete")
    other.end("complete")
    assert {code_of(one, world), code_of(other, world)} == {"unknown"}
    assert "at the same time" in notes(world, CODE.format(one.root))


def test_a_foreign_validation_on_a_part_that_is_done_changes_nothing(world) -> None:
    """A run that logs no attempt of its own hangs its validation on the last one there is: an earlier run's."""
    run = world.good_run()
    scaffold = world.run()
    scaffold.step("func_impl:p1:put", "execute_function_implement", edit())
    scaffold.validate(success=False, failing=("tests/test_c.py::test_put",))
    scaffold.end("failed")
    assert code_of(run, world) == "positive"
    assert world.labels()[f"{scaffold.root}:func_impl:p1:put/execute_function_implement"] == "unknown"


def test_a_validation_in_the_middle_of_a_part_is_a_doubt(world) -> None:
    """The agent validates once, at the end of a part: a validation on an earlier attempt is somebody else's."""
    run = world.run()
    first = run.code()
    run.test()
    run.validate(success=True)
    run.validate(success=True, attempt=first)
    run.end("complete")
    assert code_of(run, world) == "unknown"


@pytest.mark.parametrize(("success", "applied"), [(True, 0), (False, 1)])
def test_a_validation_that_contradicts_the_flags_decides_nothing(world, success, applied) -> None:
    """A pass on a rolled back attempt, or a failure on one that stayed, is no evidence either way."""
    run = world.run()
    run.code()
    run.validate(success=success, failing=("tests/test_price.py::test_old",))
    world.raw.execute("UPDATE run_attempts SET patch_applied = ?", (applied,))
    run.end("complete")
    assert code_of(run, world) == "unknown"


def test_a_rolled_back_part_unmarks_its_namesake_and_the_namesake_keeps_its_label(world) -> None:
    """The agent's LIKE takes the `_` of `fix_1` for any character, so `fixA1` is unmarked though it stayed."""
    run = world.run(parts=2)
    run.code("fixA1")
    run.validate(success=True)
    run.code("fix_1", text=edit(search="a = 1", replacement="a = 2"))
    run.validate(success=False, failing=("tests/test_price.py::test_old",))
    run.roll_back("fix_1")
    run.end("partial")
    labels = world.labels()
    assert labels[f"{run.root}:impl:fixA1:s1/execute_implement"] == "positive"
    assert labels[f"{run.root}:impl:fix_1:s1/execute_implement"] == "negative"


def test_an_answer_that_did_not_fit_and_its_successor_are_a_chain(world) -> None:
    """The first is negative, its retry positive, and both share a chain, so that they become a preference pair."""
    run = world.run()
    run.code(text=edit(search=f"{BEFORE}  # gone"), applied=False)
    run.code(retry=1)
    run.validate(success=True)
    run.end("complete")
    found, _ = world.read()
    failed, retried = (found[f"{run.root}:impl:p1:s1{end}/execute_implement"] for end in ("", ":retry_1"))
    assert [one.labelled.label.value for one in (failed, retried)] == ["negative", "positive"]
    assert failed.chain == retried.chain != ""
    assert failed.chain.startswith("room:")


def test_a_retry_exists_even_when_the_attempt_before_it_was_never_logged(world) -> None:
    """Malformed answers are mostly not logged: attempt two without attempt one is still judged by itself."""
    run = world.run()
    world.task(f"{run.root}:impl:p1:s1")
    run.code(retry=1)
    run.validate(success=True)
    run.end("complete")
    assert world.labels()[f"{run.root}:impl:p1:s1:retry_1/execute_implement"] == "positive"


def test_single_pass_attempts_are_validated_one_by_one(world) -> None:
    """Without parts each attempt has its own validation: failures before a pass are negative, the pass positive."""
    run = world.run()
    for retry, success in enumerate((False, False, True)):
        wrong = edit(replacement=f"    return net + {retry} * rate")
        row = run.single(wrong if not success else "", retry, applied=success)
        run.validate(success=success, attempt=row, failing=() if success else ("[", "tests/test_price.py::test_old"))
    run.end("complete")
    labels = world.labels()
    suffixes = ("", ":retry_1", ":retry_2")
    assert [labels[f"{run.root}:impl{one}/execute_implement"] for one in suffixes] == [
        "negative",
        "negative",
        "positive",
    ]


@pytest.mark.parametrize(
    ("failing", "label"),
    [
        (("[", "tests/test_price.py::test_old"), "negative"),
        (("tests/test_price.py::test_new",), "unknown"),
        (("[",), "unknown"),
    ],
)
def test_a_failure_is_blamed_on_the_code_only_when_an_older_test_failed(world, failing, label) -> None:
    """When only the test that was written beside it failed, or no test is named, the test may be the wrong one."""
    world.good_run(replacement="    return net * 1.0")
    run = world.run()
    run.code()
    run.test()
    run.validate(success=False, failing=failing)
    run.roll_back()
    run.end("failed")
    labels = world.labels()
    assert labels[CODE.format(run.root)] == label
    assert labels[TEST.format(run.root)] == "unknown"


def test_two_parts_that_need_each_other_are_not_blamed(world) -> None:
    """Each failed alone and may be right together with the other."""
    world.good_run()
    run = world.run(parts=2)
    for part in ("p1", "p2"):
        run.code(part, text=edit(search=f"{part} = 1", replacement=f"{part} = 2"))
        run.validate(success=False, failing=("tests/test_price.py::test_old",))
        run.roll_back(part)
    run.end("failed")
    assert {world.labels()[f"{run.root}:impl:{part}:s1/execute_implement"] for part in ("p1", "p2")} == {"unknown"}


def test_tests_that_never_pass_are_evidence_against_nobody(world) -> None:
    """In a repo whose suite is always red a failure says nothing about the answer."""
    run = world.run()
    run.code()
    run.validate(success=False, failing=("tests/test_price.py::test_old",))
    run.roll_back()
    run.end("failed")
    assert code_of(run, world) == "unknown"


def test_what_a_later_task_answers_otherwise_loses_its_label(world) -> None:
    """Tests that pass are not all there is: when the same place is rewritten by later accepted work, doubt is told."""
    weak = world.good_run(replacement="    return net + int(net * rate)")
    assert code_of(weak, world) == "positive"
    later = world.good_run(replacement="    return net + round(net * rate)")
    assert [code_of(run, world) for run in (weak, later)] == ["unknown", "positive"]
    same = world.good_run(replacement="    return net + round(net * rate)")
    assert [code_of(run, world) for run in (weak, later, same)] == ["unknown", "positive", "positive"]


def test_an_earlier_answer_that_did_not_fit_but_said_something_else_is_a_doubt(world) -> None:
    """Two answers to one question that put in different lines cannot both be right."""
    run = world.run()
    run.code(text=edit(search="nowhere to be found", replacement="    return something_else"), applied=False)
    run.code(retry=1)
    run.validate(success=True)
    run.end("complete")
    assert world.labels()[f"{run.root}:impl:p1:s1:retry_1/execute_implement"] == "unknown"


def test_an_answer_that_asks_for_the_tests_values_is_doubted(world) -> None:
    """Code that compares with the very value of an assertion it was shown was made to pass, not to be right."""
    prompt = f"{SHOWN}\nassert gross(10, 0.175) == 11.75\n"
    run = world.run()
    run.code(text=edit(replacement=f"{BEFORE} if rate == 0.175 else 0"), prompt=prompt)
    run.validate(success=True)
    run.end("complete")
    assert code_of(run, world) == "unknown"


def test_an_edit_that_changes_nothing_is_not_praised(world) -> None:
    """Replacing a text by itself, or committing what was already there, passes every test."""
    run = world.run()
    run.code(text=edit(replacement=f"{BEFORE}  "))
    run.validate(success=True)
    run.end("complete")
    assert code_of(run, world) == "unknown"
    git = world.run(git=True)
    git.code(commit="g1", text=edit(search="q = 1", replacement="q = 2"))
    git.code(step="s2", commit="g1", text=edit(search="q = 2", replacement="q = 3"))
    git.validate(success=True)
    git.end("complete")
    world.index("g1")
    labels = world.labels()
    assert labels[f"{git.root}:impl:p1:s1/execute_implement"] == "positive"
    assert labels[f"{git.root}:impl:p1:s2/execute_implement"] == "unknown"


@pytest.mark.parametrize(
    ("call_type", "system", "answer"),
    [("execute_implement", "", "I would change the rounding."), ("scope", YES_OR_NO, "Yes."), ("scope", "", "relevant"),
     ("precision", YES_OR_NO, "perhaps"), ("execute_plan", "", "1. fix it"), ("assembly_refilter", "", "all of them"),
     ("documentation", "", "<edit file='a'>"), ("stage_routing", YES_OR_NO, "Yes, sure."), ("scope", YES_OR_NO, "")],
)  # fmt: skip
def test_an_answer_the_agent_cannot_take_is_evidence_against_itself(world, call_type, system, answer) -> None:
    """Whatever became of the run, an answer that cannot be parsed is negative."""
    run = world.good_run()
    run.step("part_plan:p1", call_type, answer, system_prompt=system)
    assert world.labels()[f"{run.root}:part_plan:p1/{call_type}"] == "negative"


def test_plans_are_judged_by_whether_what_they_planned_was_built(world) -> None:
    """The meta plan by all its parts, a part's plan by exactly its steps, a test plan by its tests."""
    run = world.run(parts=1)
    run.plan("p1")
    run.part_plan("p1", ("s1",))
    run.code()
    run.part_plan("p1", ("t1",), kind="test_plan")
    run.test()
    run.validate(success=True)
    run.end("complete")
    labels = world.labels()
    kinds = ("meta_plan", "part_plan:p1", "test_plan:p1")
    assert {labels[f"{run.root}:{kind}/execute_plan"] for kind in kinds} == {"positive"}


def test_a_part_that_was_never_planned_takes_the_praise_from_the_plan_only(world) -> None:
    """A complete run can lack a part: what was built keeps its label, the plan for the whole does not get one."""
    run = world.run(parts=2)
    run.plan("p1", "p2")
    run.part_plan("p1", ("s1", "s2"))
    run.code()
    run.validate(success=True)
    run.end("complete")
    labels = world.labels()
    assert labels[f"{run.root}:meta_plan/execute_plan"] == "unknown"
    assert labels[f"{run.root}:part_plan:p1/execute_plan"] == "unknown"
    assert labels[CODE.format(run.root)] == "positive"


def test_documentation_is_judged_by_the_file_it_was_shown(world) -> None:
    """Only words may change and the edits have to fit: the agent throws everything else away without a trace."""
    prompt = f'# File: {FILE}\n<code lang="python">\ndef gross(net, rate):\n    """Add tax."""\n{AFTER}\n</code>\n'
    run = world.good_run()

    def label(text: str) -> str:
        run.step(f"doc:p1:retry_{len(text)}", "documentation", text, prompt=prompt)
        name = f"{run.root}:doc:p1:retry_{len(text)}/documentation"
        return world.labels()[name]

    assert label(edit(search='"""Add tax."""', replacement='"""Add tax, rounded to cents."""')) == "positive"
    assert label(edit(search='"""Gone."""', replacement='"""Add."""')) == "negative"
    assert label(edit(search=AFTER, replacement="    return 0")) == "negative"
    assert label("Nothing to improve.") == "unknown"


def test_written_test_names_are_taken_from_the_part_itself(world) -> None:
    """A failing test that the part wrote under a parametrised name is still its own."""
    world.good_run(replacement="    return net * 1.0")
    run = world.run()
    run.code()
    run.test(text=new_test("test_cents"))
    run.validate(success=False, failing=(f"{TESTS}::test_cents[1-2]",))
    run.roll_back()
    run.end("failed")
    assert code_of(run, world) == "unknown"

import json

import pytest
from clean_room_world import FILE, TESTS, YES_OR_NO, World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def scope(run, file: str, answer: str, at: str = "impl:p1:s1") -> str:
    prompt = f"Task: fix\n\nFile: {file} (language=python, tier=3)\npurpose=prices"
    run.world.call(f"{run.root}:{at}", "scope", answer, system_prompt=YES_OR_NO, prompt=prompt)
    return run.world.labels()[f"{run.root}:{at}/scope"]


def test_scope_is_judged_by_what_the_proven_edits_touched(world) -> None:
    """Needed and kept, or rightly left out: positive; needed and left out: negative; kept for nothing: unknown."""
    run = world.good_run()
    assert scope(run, FILE, "yes") == "positive"
    assert scope(run, FILE, "no") == "negative"
    assert scope(run, "src/shop/other.py", "no") == "positive"
    assert scope(run, "src/shop/other.py", "yes") == "unknown"
    assert scope(run, TESTS, "no") == "unknown"


def test_scope_of_work_that_is_not_proven_is_unknown(world) -> None:
    """Without a proven edit nobody knows what was needed."""
    run = world.run()
    run.code()
    run.end("failed")
    assert scope(run, FILE, "yes") == "unknown"


def symbol(run, name: str, *answers: str, at: str = "impl:p1:s1") -> list[str]:
    prompt = f"Task: fix\n\nSymbol: {name} (function) in {FILE}:1-9\n[no connections]"
    for answer in answers:
        run.world.call(f"{run.root}:{at}", "precision", answer, system_prompt=YES_OR_NO, prompt=prompt)
    found = [
        one for one in run.world.read_all()[0] if one.call_type == "precision" and one.messages[-1].content == prompt
    ]
    return [one.labelled.label.value for one in found]


def test_precision_is_judged_by_the_symbols_that_were_changed(world) -> None:
    """Each pass asks about the same symbol again: relevant, to be changed, and last how much of it to show."""
    run = world.good_run()
    assert symbol(run, "gross", "yes", "yes") == ["positive", "positive"]
    assert symbol(run, "net_of", "yes", "no", "no") == ["unknown", "positive", "unknown"]


def test_task_analysis_is_judged_by_whether_retrieval_found_the_files(world) -> None:
    """Ids are resolved when reading; one that means nothing any more is unknown, and never a crash."""
    world.index(files={1: FILE, 2: TESTS})
    run = world.good_run()
    task = f"{run.root}:impl:p1:s1"
    world.call(task, "task_analysis", "Round the price.")
    world.decide(task, 2)
    assert world.labels()[f"{task}/task_analysis"] == "negative"
    world.decide(task, 1)
    assert world.labels()[f"{task}/task_analysis"] == "positive"


def test_ids_from_before_a_rebuild_are_not_believed(world) -> None:
    """A curated database built anew gives the same ids to other files; the files shown with the question are used."""
    world.index(files={1: "docs/other.md"})
    run = world.good_run()
    task = f"{run.root}:impl:p1:s1"
    world.call(task, "task_analysis", "Round the price.")
    world.decide(task, 1)
    assert world.labels()[f"{task}/task_analysis"] == "negative"
    world.index(changed=5)
    assert world.labels()[f"{task}/task_analysis"] == "positive"
    world.raw.execute("UPDATE retrieval_llm_calls SET prompt = 'fix it' WHERE call_type = 'execute_implement'")
    assert world.labels()[f"{task}/task_analysis"] == "unknown"


def test_lists_of_verdicts_of_older_agents_are_judged_too(tmp_path) -> None:
    """The old schema has no sub-stages and no branches; its stages answer for all candidates at once."""
    world = World(tmp_path, old=True)
    run = world.good_run()
    prompt = f"Candidate files:\n- {FILE} (tier=2, language=python)\n- b.py (tier=4, language=python)"
    for verdict in ("irrelevant", "relevant"):
        answer = json.dumps([{"path": FILE, "verdict": verdict}, {"path": "b.py", "verdict": "irrelevant"}])
        world.call(f"{run.root}:impl:p1:s1", "scope", answer, prompt=prompt)
        expected = "positive" if verdict == "relevant" else "negative"
        assert world.labels()[f"{run.root}:impl:p1:s1/scope"] == expected
    answer = json.dumps([{"name": "gross", "file_path": FILE, "detail_level": "excluded"}])
    world.call(f"{run.root}:impl:p1:s1", "precision", answer)
    assert world.labels()[f"{run.root}:impl:p1:s1/precision"] == "negative"
    world.close()

"""The tiny world: a large, repeatable space of tasks, and a base that is whole or absent."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.nurslings import environment
from fixtures.tiny import JOBS, command, digests, events, run, tasks, train_python


def test_twenty_thousand_tasks_share_no_prompt() -> None:
    """Disjoint ranges of one seed are disjoint tasks."""
    prompts = [task["messages"][-1]["content"] for task in tasks(20_000, seed=1)]
    assert len(set(prompts)) == 20_000


def test_a_seed_gives_the_same_list_always_and_start_cuts_into_it() -> None:
    """A range is a range of one fixed list, whatever was asked before."""
    whole = tasks(60, seed=4)
    assert tasks(60, seed=4) == whole
    assert tasks(20, seed=4, start=40) == whole[40:]
    assert tasks(60, seed=5) != whole


def test_a_task_names_its_tool_and_the_one_right_call() -> None:
    """Eight tools in equal shares, each with a call that can be compared as JSON."""
    found = tasks(80, seed=2)
    tools = [task["tool"] for task in found]
    assert sorted(set(tools)) == sorted(set(tools[:8]))
    assert {tools.count(tool) for tool in tools} == {10}
    for number, task in enumerate(found):
        (call,) = task["expected"]
        assert task["id"] == f"task-{number:06d}"
        assert call["name"] == task["tool"]
        assert call["arguments"]
        assert len(task["messages"][0]["content"]) < 80


def test_no_task_of_any_seed_was_seen_in_pretraining() -> None:
    """What is measured was never shown to the base."""
    code = (
        "import itertools, json, tiny_tasks as t;"
        "print(json.dumps([x.prompt for x in itertools.islice(t.pretraining_tasks(0), 11000)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=JOBS, capture_output=True, text=True, check=True)
    seen = set(json.loads(done.stdout))
    for seed in range(3):
        assert seen.isdisjoint(task["messages"][0]["content"] for task in tasks(4000, seed))


def test_tasks_need_no_torch_and_little_time() -> None:
    """A shell loop may ask for tasks one by one."""
    began = time.monotonic()
    line = [sys.executable, "-S", *command("tiny_world.py", "tasks", "--count", "1", "--seed", "0")[1:]]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert len(events(done.stdout)) == 1
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(("count", "reason"), [("1000000", "one seed has"), ("-1", "must not be negative")])
def test_a_senseless_count_is_refused(count: str, reason: str) -> None:
    """Exit 2 and one line, rather than repeated prompts."""
    done = run("tiny_world.py", "tasks", "--count", count, "--seed", "0")
    assert done.returncode == 2
    assert reason in done.stderr


@pytest.mark.train
def test_a_whole_base_is_left_alone(tiny_base: Path) -> None:
    """Building again does nothing, at once, and needs no torch for it."""
    before = digests(tiny_base)
    began = time.monotonic()
    done = run("tiny_world.py", "build", "--out", tiny_base)
    assert (done.returncode, done.stdout) == (0, "")
    assert time.monotonic() - began < 2.0
    assert digests(tiny_base) == before


@pytest.mark.train
def test_a_killed_build_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    """A base is whole or absent."""
    out = tmp_path / "base"
    line = command("tiny_world.py", "build", "--out", out, python=train_python())
    with subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "progress"
        process.kill()
    assert not out.exists()


def test_something_else_under_the_name_is_not_overwritten(tmp_path: Path) -> None:
    """A folder that is no tiny base is somebody's folder."""
    (tmp_path / "thesis.txt").write_text("mine")
    done = run("tiny_world.py", "build", "--out", tmp_path)
    assert done.returncode == 1
    assert events(done.stdout)[0]["event"] == "failed"
    assert (tmp_path / "thesis.txt").read_text() == "mine"

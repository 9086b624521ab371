"""A line is good before its agent has produced a single run: mined, taught, frozen, trained and proved."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bootstrap"))  # the teachers' double lies with the tests of teachers

from acceptance_house import Model
from cold_start_house import LINE, ColdHome, questions, right_answer, write_history
from teacher_house import double_beside

from flywheel.bootstrap.teacher_doubles import TeacherDouble

pytestmark = [pytest.mark.train, pytest.mark.timeout(700)]

REPOS = ("api", "auth", "cli", "core", "docs", "jobs")
ASKED = 96
WRONG = 5  # of so many questions the second teacher thinks otherwise of one


def answer(body: dict[str, Any]) -> str:
    """Two teachers: one is right, the other is wrong at times."""
    asked = str(body["messages"][-1]["content"])
    said = right_answer(asked)
    if body["model"] == "second" and sum(map(ord, asked)) % WRONG == 0:
        return "no" if said == "yes" else "yes"
    return said


@pytest.fixture(scope="module")
def started(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColdHome]:
    """A home in which a line was started cold, up to its second rung."""
    home = ColdHome(tmp_path_factory.mktemp("home"), model)
    home.mined = home.mine([
        write_history(home.home / "src" / name, f"own/{name}", commits=28, first=1_700_000_000 + 60 * number)
        for number, name in enumerate(REPOS)
    ])  # fmt: skip
    with home.daemon():
        home.until(lambda: home.told("policy.intent_refused", "train.start_run"))
        with double_beside(TeacherDouble(answer, moods=("429", "500", "ok", "truncated"))) as double:
            home.hire(double.base_url)
            home.taught, home.again = (home.teach(questions(REPOS, ASKED)) for _ in range(2))
        home.until(lambda: home.events("gate.adapter_passed", "gate.adapter_failed", "train.run_failed"))
        home.until(lambda: len(home.told("policy.intent_held", "curate.climb_rung")) > 1, 60)
    yield home
    home.close()


def test_nothing_was_ever_logged(started: ColdHome) -> None:
    """There is no source in the settings, and every outcome in the store was made by the cold start."""
    assert "sources" not in started.config.read_text()
    outcomes = started.rows("outcomes")
    assert {row["source"] for row in outcomes} == {"bootstrap"}
    mined = sum(repo["makings"] for repo in started.mined["repos"])
    assert len(outcomes) == mined + started.taught["tasks"]["answers"]["makings"]


def test_mined_examples_alone_do_not_train_a_small_base(started: ColdHome) -> None:
    """The base has less than six billion parameters: the guardrail asks for a teacher, and says so in one sentence."""
    (refusal,) = started.told("policy.intent_refused", "train.start_run")
    assert refusal == "refuse: dataset.teacher_share is 0, needs at least 0.05 (teacher-below-6b)"
    first, second = (event.body for event in started.events("curate.dataset_frozen"))
    assert (first["teacher_share"], first["synthetic_share"]) == (0, 1)
    assert second["teacher_share"] >= 0.05
    assert (second["lost_examples"], second["above_rung"], second["others_share"]) == (0, 0, 1)


def test_teachers_are_believed_where_they_agree_and_asked_once(started: ColdHome) -> None:
    """Who disagrees waits, what was cut off is refused, and a second run asks nothing and costs nothing."""
    told = started.taught["tasks"]["answers"]
    (disagreed,) = told["waiting"].values()
    assert told["believed"] > ASKED / 2
    assert disagreed > 0
    assert told["believed"] + disagreed + sum(told["refused"].values()) == ASKED
    assert started.taught["cost"] > 0
    assert (started.again["asked"], started.again["cost"]) == (0, 0)
    assert started.again["tasks"]["answers"]["believed"] == 0


def test_the_first_adapter_is_proved_on_commits_it_never_saw(started: ColdHome) -> None:
    """The suite was frozen of held-out commits before any training; the adapter passes, the base knows no answer."""
    (suite,), (run,) = started.events("gate.suite_frozen"), started.events("train.run_started")
    assert suite.seq is not None
    assert run.seq is not None
    assert suite.seq < run.seq
    (passed,) = started.events("gate.adapter_passed")
    assert passed.subject == f"{LINE}@1"
    print(passed.body["sentence"])
    (measured,) = started.events("gate.adapter_measured")
    numbers = measured.body["numbers"]
    assert numbers["problems"] >= 40
    assert numbers["candidate.pass@1"] - numbers["base.pass@1"] > 0.5


def test_the_next_rung_opens_when_its_guardrails_say_so(started: ColdHome) -> None:
    """Held until an adapter passed, then climbed; the rung after it is held for want of the line's own answers."""
    (climbed,), (passed,) = started.events("curate.rung_climbed"), started.events("gate.adapter_passed")
    held = [event for event in started.events("policy.intent_held")
            if event.body["intent"]["kind"] == "curate.climb_rung"]  # fmt: skip
    first, second = held
    assert [event.body["intent"]["params"]["rung"] for event in held] == [2, 3]
    assert first.body["sentence"] == "hold: line.passes_on_rung is 0, needs at least 1 (climb-when-proven)"
    assert "line.own_examples is 0, needs at least line.minimum_examples (200)" in second.body["sentence"]
    order = [event.seq for event in (first, passed, climbed, second)]
    assert order == sorted(order, key=lambda seq: seq or 0)
    assert (climbed.body["from"], climbed.body["rung"]) == (1, 2)


def test_status_tells_what_was_made_and_what_the_next_rung_wants(started: ColdHome) -> None:
    """The shelf by recipe, line and licence, the line's rung, and the reasons in the words of the guardrails."""
    told = json.loads(started.run("bootstrap", "status", "--json"))
    assert {row["recipe"] for row in told["shelf"]} == {"mine", "teach"}
    assert {row["line"] for row in told["shelf"] if row["recipe"] == "teach"} == {LINE}
    (line,) = told["lines"]
    assert (line["rung"], line["next"], line["climbs_to"]) == (2, 3, 4)
    assert any("climb-on-own-answers" in one for one in line["wants"])
    assert f"{LINE}: rung 2 of 4, mixed" in started.run("bootstrap", "status")
    assert "rung 1 (climbs to 4)" in started.run("policy", "explain", LINE)

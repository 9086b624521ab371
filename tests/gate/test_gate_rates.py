import re
from pathlib import Path

import pytest
from gate_house import make_gate
from measuring_house import code_problem, tool_problem

from flywheel.core.clocks import ManualClock
from flywheel.gate.answers import AnswerLog
from flywheel.gate.evidence import Answer, Compared, Samples, compare
from flywheel.gate.figures import figures
from flywheel.gate.metrics.scores import Score
from flywheel.gate.rates import FIRST_ANSWERS, Progress
from flywheel.gate.verdicts import Subject, judge
from flywheel.sandbox.programs import Ending, Run

PROBLEMS = [tool_problem(n) for n in range(40)]


class Told:
    """A progress with a clock that is moved, and what it said."""

    def __init__(self, folder, of=80):
        self.clock, self.said = ManualClock(), []
        self.log = AnswerLog(folder / "answers.jsonl")
        self.progress = Progress(PROBLEMS, self.log, of, self.clock, self.said.append)

    def answer(self, number, role="candidate", *, text="no call", seconds=1.0, **more):
        """Let some time pass, then an answer come; return the line that was said last."""
        one = Answer(problem=f"tool-{number}", role=role, sample=0, text=text, **more)
        self.clock.advance(seconds)
        self.log.append(one)
        self.progress.tell(one)
        return self.said[-1]


@pytest.fixture
def told(tmp_path):
    made = Told(tmp_path)
    yield made
    made.log.close()


def test_each_role_has_its_own_rate(told):
    """The time between two answers belongs to the role that gave the later one."""
    for number in range(4):
        told.answer(number, "base", seconds=2, tokens=10)
    line = [told.answer(number, seconds=1, tokens=10) for number in range(4)][-1]
    assert (line["done"], line["of"]) == (8, 80)
    assert line["roles"] == {
        "base": {"answers": 4, "unusable": 0, "answers_per_second": 0.5, "tokens_per_second": 5.0},
        "candidate": {"answers": 4, "unusable": 0, "answers_per_second": 1.0, "tokens_per_second": 10.0},
    }
    assert line["eta_seconds"] == pytest.approx(12 / 8 * 72)


def test_it_speaks_once_a_second_and_at_the_end(tmp_path):
    """Many quick answers are one line; the last is always told."""
    told = Told(tmp_path, of=30)
    for number in range(30):
        told.answer(number, seconds=0.01)
    assert [line["done"] for line in told.said] == [1, 30]
    told.progress.tell_runs(1, 9)
    told.clock.advance(1)
    told.progress.tell_runs(2, 9)
    told.progress.tell_runs(9, 9)
    assert told.said[2:] == [{"event": "progress", "programs_run": n, "programs": 9} for n in (2, 9)]
    told.log.close()


def test_a_candidate_that_begins_with_faults_only_is_told_early(told):
    """After so many answers without a usable one every line warns; the base's faults do not count."""
    for number in range(FIRST_ANSWERS):
        told.answer(number, "base", text="")
    lines = [told.answer(number, text="") for number in range(FIRST_ANSWERS)]
    warnings = ["warning" in line for line in lines]
    assert warnings == [False] * (FIRST_ANSWERS - 1) + [True]
    assert "none of the candidate's first 16 answers can be used" in told.answer(30)["warning"]


def test_one_usable_answer_among_the_first_is_no_warning(told):
    """Whatever follows: the number is fixed."""
    told.answer(0)
    assert not any("warning" in told.answer(number, text="") for number in range(1, 40))


def test_the_warning_survives_a_restart(tmp_path):
    """What was answered before counts from where it was."""
    told = Told(tmp_path)
    for number in range(FIRST_ANSWERS):
        told.answer(number, error="status 500")
    told.log.close()
    again = Told(tmp_path)
    assert "warning" in again.answer(20)
    again.log.close()


def evidence(base, candidate):
    return [Compared(f"p{n}", "c", f"g{n}", {"base": base[n], "candidate": candidate[n]}) for n in range(len(base))]


def sampled(*scores, **more):
    judged = tuple(Score(value, format="json", parts=more.pop("parts", {})) for value in scores)
    return Samples(tuple(scores), judged=judged, **more)


def test_figures_are_those_of_each_role():
    """pass@k is unbiased and asked for what was drawn; medians are over answers; parts over those that have them."""
    base = [sampled(1.0, 0.0, 0.0, 0.0, seconds=(1.0, 3.0)), sampled(0.0, 0.0, 0.0, 0.0, seconds=(2.0,))]
    candidate = [sampled(1.0, 1.0, 0.0, 0.0, first_tokens=(0.1, 0.3), rates=(5.0,)), sampled(1.0, 1.0, 1.0, 1.0)]
    seen = figures(evidence(base, candidate))
    assert (seen["base.pass@1"], seen["base.pass@2"], seen["base.pass@4"]) == (0.125, 0.25, 0.5)
    assert seen["candidate.pass@1"] == 0.75
    assert seen["candidate.pass@2"] == pytest.approx((1 - 1 / 6 + 1) / 2)
    assert seen["base.seconds"] == 2.0
    assert seen["candidate.first_token"] == pytest.approx(0.2)
    assert (seen["base.format.json"], seen["candidate.right.json"]) == (1.0, 0.75)
    assert "candidate.precision" not in seen


def test_times_that_were_not_taken_side_by_side_are_left_out():
    """A base from another measurement has scores and lengths, and no times."""
    told = {"seconds": 1.0, "first_token": 0.5, "tokens": 4, "text": "x", "sample": 0, "problem": "tool-1"}
    base, candidate = (Answer(role=role, **told) for role in ("base", "candidate"))
    beside = compare(PROBLEMS, [base, candidate])
    assert beside[0].log_ratio() == 0.0
    apart = compare(PROBLEMS, [base.model_copy(update={"run": "earlier"}), candidate])
    assert apart[0].log_ratio() is None
    seen = figures(apart)
    assert not {"base.seconds", "base.first_token", "base.tokens_per_second"} & set(seen)
    assert (seen["base.tokens"], seen["candidate.seconds"]) == (4.0, 1.0)


def test_parts_are_means_over_the_problems_whose_kind_has_them():
    """Precision of a few problems of files is not thinned by problems of another kind."""
    problem = tool_problem(1).model_copy(update={"id": "items", "kind": "items", "expected": ["a.py", "b.py"]})
    answers = [Answer(problem=name, role=role, sample=n, text=text)
               for role in ("base", "candidate") for n, text in enumerate(['["a.py"]', '["a.py", "b.py"]'])
               for name in ("items", "tool-2")]  # fmt: skip
    seen = figures(compare([problem, tool_problem(2)], answers))
    assert (seen["base.precision"], seen["base.recall"]) == (1.0, 0.75)


def documented():
    """The names of numbers in docs/gate.md, as patterns."""
    text = (Path(__file__).parents[2] / "docs" / "gate.md").read_text().partition("### The numbers of a report")[2]
    table = text.partition("\n\n|")[2].partition("\n\n")[0]
    names = [name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    patterns = {"ROLE": "(base|candidate|active)", "NAME": ".+", "K": "[0-9]+"}
    return [
        re.compile(re.sub("ROLE|NAME|K", lambda word: patterns[word[0]], name.replace(".", r"\."))) for name in names
    ]


def test_every_number_of_a_report_is_in_the_docs():
    """A report on every kind at once, with an active adapter, has no number that docs/gate.md does not explain."""
    kinds = [
        PROBLEMS[0],
        code_problem(1),
        PROBLEMS[1].model_copy(update={"id": "items", "kind": "items", "expected": ["a.py"]}),
        PROBLEMS[1].model_copy(update={"id": "choice", "kind": "choice", "expected": "B"}),
    ]
    texts = {"items": '["a.py"]', "choice": "B", "code-1": "```python\ndef double(n):\n    return 2 * n\n```"}
    answers = [
        Answer(problem=one.id, role=role, sample=n, text=texts.get(one.id, "x"), seconds=1.0, first_token=0.5, tokens=3)
        for one in kinds for role in ("base", "candidate", "active") for n in range(2)
    ]  # fmt: skip
    ran = (Run(ending=Ending.FINISHED, value="2"), Run(ending=Ending.FINISHED, value="-2"))
    evidence = compare(kinds, answers, "json", lambda _: ran)
    report = judge(evidence, make_gate(), Subject(adapter="a", suite="s", alpha=0.03))
    patterns = documented()
    unknown = [key for key in {**figures(evidence), **report.numbers} if not any(p.fullmatch(key) for p in patterns)]
    assert not unknown
    assert len(patterns) > 25

"""Judgements taught whole: asked over HTTP, laid on the shelf, read by the source, and learned as what they are."""

import json
import re
from contextlib import closing

import pytest
from histories_house import History
from judgement_house import line
from task_house import classroom, form, saying, staff_of, taught
from test_bootstrap_rescoring import LOW_SCORE, RIGHT, bring, outcome

from flywheel.bootstrap.chunk_miners import Order, Way, mine_chunk
from flywheel.bootstrap.code_order_tasks import ORDERS
from flywheel.bootstrap.message_rewordings import MESSAGES
from flywheel.bootstrap.poor_commits import clone_mark, marks_of
from flywheel.bootstrap.reflections import REFLECTIONS
from flywheel.bootstrap.repos import look_at
from flywheel.bootstrap.rescoring_tasks import KNOWN_BY_NOW, RESCORING
from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.task_registries import TASKS, tasks_for
from flywheel.bootstrap.teacher_doubles import TeacherDouble
from flywheel.core.outcomes import Label
from flywheel.curate.pairings import pairs_among
from flywheel.sources.bootstraps import BootstrapReader

GOOD = "Return the rest of the row without its head"
HIGH = form(accurate=9, whole=9, clear=9, reason="It is so.")


def read(home):
    """What the source reads of the shelf."""
    with closing(BootstrapReader(home / "bootstrap.db")) as reader:
        return [one for task in reader.read({}, {}).tasks for one in task.outcomes]


@pytest.fixture
def mined(home, tmp_path):
    """A history on the shelf: one commit that is a lesson, and one with a poor message."""
    history = History(tmp_path / "clone")
    rows = "def head(row):\n    return row[0]\n\n\ndef rest(row):\n    return row\n"
    history.commit("Add the first two functions", {"rows.py": rows, "far.py": "def far():\n    return 1\n"})
    history.commit("wip", {"rows.py": rows.replace("return row\n", "return row[1:]\n")})
    history.commit("Return the last cell as head", {"rows.py": rows.replace("row[0]", "row[-1]")})
    repo, way = look_at(history.path), Way(own=True)
    chunk = mine_chunk(Order(repo, way, tuple(history.git("rev-list", "--reverse", "HEAD").split())))
    with Shelf(home / "bootstrap.db") as shelf:
        marks = {**marks_of(repo.name, chunk), f"mine/{repo.name}": {"clone": clone_mark(repo, way)}}
        shelf.put(chunk.tasks, marks)
    return home


@pytest.mark.asyncio
async def test_better_messages_become_lessons_once(mined):
    """The commit's lessons lie where a good message would have put them; a second run asks and pays nothing."""
    of = line("task_analysis", "scope", "precision", "execute_plan", "execute_implement")
    double = TeacherDouble(answer=saying({"primary": form(message=GOOD), "judge": HIGH}))
    async with double.running():
        for _ in range(2):
            async with classroom(mined, staff_of(double, "primary", "judge"), of=of) as room:
                tally = await taught(MESSAGES, room)
    assert (tally.done, len(double.asked)) == (0, 2)
    told = [one for one in read(mined) if "message" in one.extra]
    assert {one.call_type for one in told if one.labelled.label is Label.POSITIVE} >= {
        "task_analysis",
        "execute_implement",
    }
    assert {one.extra["message"]["judge"] for one in told} == {"judge"}
    (analysis,) = [one for one in told if one.call_type == "task_analysis"]
    assert (analysis.origin, analysis.response.startswith(GOOD)) == ("teacher", True)


@pytest.mark.asyncio
async def test_reasons_are_learned_where_the_change_bears_them_out(mined):
    """Each file and symbol is judged blind; what the teacher has right is learned with its reasons."""

    def weigh(body):
        asked = body["messages"][-1]["content"]
        verdict = "yes" if "rows.py" in asked else "no"
        quote = re.search(r"(?:File|Symbol): (\S+)", asked)[1]
        return form(evidence=[quote], speaks_for="It is near.", speaks_against="It is far.", verdict=verdict)

    double, of = TeacherDouble(answer=saying({"thinking": weigh})), line("scope")
    async with double.running(), classroom(mined, staff_of(double, "thinking"), of=of) as room:
        tally = await taught(REFLECTIONS, room)
    assert tally.ends["believed", ""] == tally.done
    found = [one for one in read(mined) if one.extra["recipe"] == "teach"]
    assert {json.loads(one.response)["verdict"] for one in found} == {"yes", "no"}
    assert {one.labelled.label for one in found} == {Label.POSITIVE}
    assert {one.extra["made_for"] for one in found} == {"own"}


@pytest.mark.asyncio
async def test_what_the_model_said_is_judged_and_paired(home, store):
    """A wrong answer and its correction are a pair of the line; when the agent knows better, both are taken back."""
    of = line("task_analysis", rung=2)
    words = {"judge": lambda body: json.dumps(LOW_SCORE if "The file 0." in body["messages"][1]["content"] else RIGHT),
             "primary": "The file 1."}  # fmt: skip
    bring(store, outcome())
    async with TeacherDouble(answer=saying(words)).running() as double:
        staff = staff_of(double, "primary", "judge")
        async with classroom(home, staff, of=of) as given:
            room = given._replace(material=given.material._replace(store=store))
            assert (await taught(RESCORING, room)).ends == {("believed", ""): 1}
            outcomes = read(home)
            (pair,) = pairs_among(of, "question", outcomes)
            answers = {one.key: one.response for one in outcomes}
            assert (answers[pair.chosen], answers[pair.rejected]) == ("The file 1.", "The file 0.")
            assert (await taught(RESCORING, room)).done == 0
            bring(store, outcome(0, Label.POSITIVE))
            assert (await taught(RESCORING, room)).ends == {("refused", KNOWN_BY_NOW): 1}
        assert len(double.asked) == 3
    assert read(home) == []


@pytest.mark.asyncio
async def test_orders_for_real_code_reach_their_specialist(home, tmp_path):
    """Of a clone that was mined as one's own; the code is the answer, under its licence."""
    history = History(tmp_path / "clone")
    body = "".join(f"    let a{number} = x + {number};\n" for number in range(5))
    history.commit("Add a function that adds", {"src/lib.rs": f"pub fn add(x: u32) -> u32 {{\n{body}    a4\n}}\n"})
    repo = look_at(history.path)

    def order(body):
        start = re.search(r"<code>\n(.*)\n</code>", body["messages"][1]["content"], re.DOTALL)[1].replace(
            "x + 4", "x + 3"
        )
        wants_start = '"start"' in body["messages"][1]["content"]
        return form(task="It adds too little.", **({"start": start} if wants_start else {}))

    words = {"coder": order, "judge": form(done=9, clear=9, natural=9, reason="So it is.")}
    with Shelf(home / "bootstrap.db") as shelf:
        shelf.put({}, {f"mine/{repo.name}": {"clone": clone_mark(repo, Way(own=True))}})
    of = line(tags=("language:rust",))
    double = TeacherDouble(answer=saying(words))
    async with double.running(), classroom(home, staff_of(double, "coder", "judge"), of=of) as room:
        tally = await taught(ORDERS, room)
    assert tally.ends == {("believed", ""): 1}
    (made,) = read(home)
    assert (made.tags, made.labelled.label) == (("language:rust",), Label.POSITIVE)
    assert "foreign" not in made.extra


def test_each_line_has_the_tasks_that_suit_it():
    """Named ones are done whatever the line; without a name those that suit."""

    def names(of):
        return {task.name for task in tasks_for(of, ())} & {"messages", "reflections", "orders", "rescoring"}

    assert names(line("scope", rung=2)) == {"messages", "reflections", "rescoring"}
    assert names(line("execute_plan", rung=1)) == {"messages"}
    assert names(line(tags=("language:swift",), rung=3)) == {"orders", "rescoring"}
    assert {"messages", "reflections", "orders", "rescoring"} <= TASKS.keys()

"""Which suite a line is measured on: imported, adopted, replaced when due; never sharing anything with datasets."""

import json

import pytest
from gate_house import NOW, example_of, freeze_dataset, make_gate, rows
from imports_house import apps, write_lines

from flywheel.core.attempts import Done, Failed
from flywheel.core.facts import check_facts
from flywheel.core.nearness import SCHEME
from flywheel.core.requests import Request
from flywheel.gate import foreign_suites, suite_shelves
from flywheel.gate.foreign_suites import staging
from flywheel.gate.imports import Order, stage
from flywheel.gate.sharing import sketch_of
from flywheel.gate.suites import read_manifest, read_problems
from flywheel.store import reports, sketches, suites
from flywheel.store.requests import make_request, open_requests, request_by_id
from flywheel.store.sketches import Asked, Sketched, record_sketches
from flywheel.store.stores import insert_new
from flywheel.store.tables import DatasetRow, ExampleRow, ReportRow

KINDS = ("gate.suite_frozen", "gate.suite_adopted", "gate.suite_rotated", "gate.successor_called",
         "operator.request_refused")  # fmt: skip


async def step(world, only="gate."):
    """One cycle of the room alone; return the kinds and the attempts."""
    found = await world.room.propose()
    for proposal in found.proposals:
        check_facts(proposal.facts)
    return [(p.intent.kind, await world.room.perform(p.intent, p.cause)) for p in found.proposals]


def ask(world, kind, subject, line="scope", **body):
    """Do what the command line does."""
    request = Request(id=f"req-{kind}-{subject}", kind=kind, line=line, subject=subject, at=NOW, body=body)
    with world.store.write() as session:
        make_request(session, request)
    return request.id


def answer_to(world, request):
    with world.store.read() as session:
        found = request_by_id(session, request)
    return found.state, found.answer


def bring(world, rows, name="brought"):
    """Stage a file and ask for its import."""
    path = write_lines(world.folder / f"{name}.jsonl", rows)
    digest, staged = stage(Order(name=name, path=path), staging(world.folders.suites), lambda *_: None)
    return ask(world, "import", name, staged=digest, **staged.model_dump(mode="json", exclude={"sha256"}))


def live(world):
    with world.store.read() as session:
        return suites.live_suite(session, "scope")


def kinds(world):
    return [event.kind for event in world.events() if event.kind in KINDS]


def hold_out(world, begin, end, number):
    """Do what the curate room does: a dataset whose test part asks what no other asked."""
    made, known_rows = rows(end)
    manifest = freeze_dataset(world.folders.datasets, made[begin:], number=number)
    with world.store.write() as session:
        insert_new(session, DatasetRow, [
            {"hash": manifest.hash, "line": "scope", "number": number, "watermark": 1, "seq": 1,
             "body": manifest.model_dump(mode="json")}
        ])  # fmt: skip
        insert_new(session, ExampleRow, [
            {"id": one.id, "line": "scope", "outcome": one.outcome, "category": one.category, "at": one.at,
             "prompt_key": one.prompt_key, "withdrawn": False, "body": one.model_dump(mode="json")}
            for one in (example_of(row, known_rows[row.example]) for row in made[begin:])
        ])  # fmt: skip
    return manifest


def judged(world, suite, count, spent):
    """Let so many adapters have been judged on a suite."""
    with world.store.write() as session:
        insert_new(session, ReportRow, [
            {"id": f"report-{n}", "line": "scope", "adapter": f"a{n}", "suite": suite, "verdict": "fail",
             "alpha_spent": spent / count, "at": NOW, "seq": 1, "body": {}} for n in range(count)
        ])  # fmt: skip


@pytest.mark.asyncio
async def test_an_import_becomes_the_suite_of_a_line_that_has_none(world):
    """It is published whole under its hash, is live, its questions are known, and what was staged is gone."""
    request = bring(world, [apps(n) for n in range(12)])
    ((kind, attempt),) = await step(world)
    assert (kind, type(attempt)) == ("gate.import_suite", Done)
    suite = live(world)
    assert (suite.name, suite.origin, suite.problems, suite.groups, suite.due) == ("brought", "imported", 12, 12, False)
    problems = read_problems(world.folders.suites / suite.hash)
    assert [one.kind for one in problems] == ["code_io"] * 12
    with world.store.read() as session:
        assert suites.suite_prompts(session, "scope") == {one.prompt_key for one in problems}
        assert suites.suite_sketches(session, SCHEME) == {one.prompt_key: sketch_of(one.messages) for one in problems}
    assert answer_to(world, request)[0] == "satisfied"
    assert list(staging(world.folders.suites).iterdir()) == []
    assert kinds(world) == ["gate.suite_frozen"]
    assert not (await world.room.propose()).proposals


@pytest.mark.asyncio
async def test_an_import_waits_where_a_suite_is_in_use(world):
    """It is recorded and forbidden to datasets, and examines nobody until it is adopted; then the other is retired."""
    world.freeze_dataset()
    await step(world)
    before = live(world)
    request = bring(world, [apps(n) for n in range(12)])
    await step(world)
    assert live(world) == before
    assert "`flywheel suites adopt brought --line scope` puts it in use" in answer_to(world, request)[1]
    asked = ask(world, "adopt", "brought")
    ((kind, _),) = await step(world)
    assert kind == "gate.adopt_suite"
    assert live(world).name == "brought"
    state, answer = answer_to(world, asked)
    assert (state, f"suite {before.hash[:8]} is retired" in answer) == ("satisfied", True)
    (event,) = world.events("gate.suite_rotated")
    assert (event.subject, event.body["suite"], event.body["retired"]) == (before.hash, live(world).hash, before.hash)
    with world.store.read() as session:
        assert suites.suite_by_hash(session, before.hash).retired
        assert {f"key-{n}" for n in range(12)} < suites.suite_prompts(session, "scope")


@pytest.mark.asyncio
async def test_the_same_file_again_has_nothing_new(world):
    """What was examined before is not examined again: the import is refused, and says why."""
    bring(world, [apps(n) for n in range(12)])
    await step(world)
    again = bring(world, [apps(n) for n in range(12)], name="again")
    await step(world)
    assert answer_to(world, again) == (
        "refused",
        "none of the 12 problems of again can examine scope: 12 examined before",
    )
    assert len(world.events("operator.request_refused")) == 1


@pytest.mark.asyncio
async def test_what_the_pool_asks_or_nearly_asks_is_left_out_and_counted(world):
    """A question of any line's examples never examines, whether it is the very same or differs in a word."""
    brought = [apps(n, question=f"{'Some words about nothing in particular. ' * 3}{_long(n)}") for n in range(4)]
    near = brought[1]["question"].replace("word7 of1", "omega", 1)
    pool = {"same": brought[0]["question"], "near": near, "far": "Something else entirely, which nobody asked before."}
    known(world, pool)
    bring(world, brought)
    await step(world)
    suite = live(world)
    assert [one.id for one in read_problems(world.folders.suites / suite.hash)] == ["apps/2", "apps/3"]
    assert read_manifest(world.folders.suites / suite.hash).left_out == {"nearly stands in the pool": 2}


def _long(number):
    return " ".join(f"word{place} of{number}" for place in range(80))


def known(world, texts):
    """Let the curate room have compared examples that ask these."""
    from flywheel.core.nearness import bands

    asked, banded = [], []
    for number, (name, text) in enumerate(texts.items(), 1):
        drawn = sketch_of([{"role": "user", "content": text}])
        asked.append(Asked(number, name, drawn))
        banded += [(band, number) for band in bands(drawn)]
    with world.store.write() as session:
        record_sketches(session, SCHEME, len(texts), Sketched(asked, banded, (), (), ()))
        assert sketches.questions_asked(session, ["same"]) == {"same": 1}


@pytest.mark.asyncio
async def test_a_changed_import_is_refused(world):
    """Bytes that are not what was staged are not taken in, and neither is what is gone."""
    first = bring(world, [apps(1)], name="first")
    (folder,) = staging(world.folders.suites).iterdir()
    (folder / "problems.jsonl").write_text("{}\n")
    gone = ask(world, "import", "gone", staged="../../etc")
    await step(world)
    assert "were changed" in answer_to(world, first)[1]
    assert answer_to(world, gone)[0] == "refused"
    assert live(world) is None


@pytest.mark.asyncio
async def test_a_request_about_a_line_that_is_not_there_is_refused(world):
    """So is a rotation of a line that has no suite, and an adoption of what nobody knows."""
    requests = [ask(world, "rotate", "other", line="other"), ask(world, "rotate", "scope")]
    await step(world)
    requests.append(ask(world, "adopt", "nothing"))
    await step(world)
    states = [answer_to(world, request) for request in requests]
    assert [state for state, _ in states] == ["refused"] * 3
    assert "is no line of the settings" in states[0][1]
    assert "has no suite that could be replaced" in states[1][1]
    assert "no suite of the line and no starter is called 'nothing'" in states[2][1]


@pytest.fixture
def starters(tmp_path, monkeypatch):
    """A starter of twelve problems."""
    folder = tmp_path / "starters"
    folder.mkdir()
    rows = [{"id": f"s{n}", "kind": "tool_call", "category": "files", "group": f"g{n % 4}", "prompt_key": "any",
             "messages": [{"role": "user", "content": f"Read the file number {n}, please."}],
             "expected": [{"name": "read_file", "arguments": {"path": f"{n}"}}]} for n in range(12)]  # fmt: skip
    write_lines(folder / "tool-calling.jsonl", rows)
    monkeypatch.setattr(foreign_suites, "STARTERS", folder)
    monkeypatch.setattr(foreign_suites.starter, "__defaults__", (folder,))
    monkeypatch.setattr(foreign_suites.starter_names, "__defaults__", (folder,))
    return folder


@pytest.mark.asyncio
async def test_a_gate_s_starter_examines_until_rows_enough_are_held_out(world, starters):
    """On day one the starter examines; the datasets hold rows out, and with enough of them it retires."""
    world.gates = {"tool-calling": make_gate(starter="tool-calling")}
    ((kind, _),) = await step(world)
    assert kind == "gate.adopt_suite"
    lent = live(world)
    assert (lent.origin, lent.due, lent.problems) == ("starter", True, 12)
    with world.store.read() as session:
        assert suites.holds_out(session, "scope")
    assert await step(world) == []
    world.freeze_dataset(4)
    assert await step(world) == []
    manifest = world.freeze_dataset(12, number=2)
    ((kind, _),) = await step(world)
    assert kind == "gate.rotate_suite"
    assert (live(world).dataset, live(world).origin, live(world).due) == (manifest.hash, "held_out", False)
    assert kinds(world) == ["gate.suite_frozen", "gate.suite_adopted", "gate.suite_frozen", "gate.suite_rotated"]
    with world.store.read() as session:
        assert not suites.holds_out(session, "scope")
        assert len(suites.suite_prompts(session, "scope")) == 24


@pytest.mark.asyncio
async def test_rows_enough_come_before_a_starter_and_few_after_it(world, starters):
    """Held-out rows that can decide are the suite at once; fewer do not displace the starter."""
    world.gates = {"tool-calling": make_gate(starter="tool-calling")}
    world.freeze_dataset(12)
    assert [kind for kind, _ in await step(world)] == ["gate.freeze_suite"]


@pytest.mark.asyncio
async def test_a_retired_suite_is_not_adopted_again(world, starters):
    """What its budget bought is spent; adopting it again would begin to count anew."""
    ask(world, "adopt", "tool-calling")
    await step(world)
    bring(world, [apps(n) for n in range(12)])
    await step(world)
    await step(world)
    ask(world, "adopt", "brought")
    await step(world)
    assert live(world).name == "brought"
    with world.store.write() as session:
        make_request(session, Request(id="again", kind="adopt", line="scope", subject="tool-calling", at=NOW))
    await step(world)
    state, answer = answer_to(world, "again")
    assert (state, "was retired" in answer) == ("refused", True)


@pytest.mark.asyncio
async def test_a_spent_suite_is_replaced_by_rows_held_out_since(world):
    """Below the gate's share of its budget a suite calls for a successor, and serves on until that is there."""
    world.freeze_dataset()
    await step(world)
    old = live(world)
    judged(world, old.hash, 12, 0.05 * 0.96)
    ((kind, attempt),) = await step(world)
    assert (kind, "4.0 % of its budget is left" in attempt.sentence) == ("gate.call_successor", True)
    assert (live(world).hash, live(world).due) == (old.hash, True)
    assert await step(world) == []
    hold_out(world, 12, 26, number=2)
    ((proposal,), _) = ((await world.room.propose()).proposals, None)
    assert proposal.facts["suite.due"] is True
    assert proposal.facts["suite.next_problems"] == 14
    await step(world)
    new = live(world)
    assert (new.hash != old.hash, new.due) == (True, False)
    (event,) = world.events("gate.suite_rotated")
    assert (event.subject, event.body["judged"], event.body["suite"]) == (old.hash, 12, new.hash)
    assert event.body["alpha_left"] == pytest.approx(0.04)
    assert not (await world.room.propose()).proposals


@pytest.mark.asyncio
async def test_questions_of_a_retired_suite_never_examine_again(world):
    """Rows that ask the same again are left out of the successor."""
    world.freeze_dataset()
    await step(world)
    old = live(world)
    judged(world, old.hash, 12, 0.0495)
    await step(world)
    world.freeze_dataset(14, number=2)
    ((_, attempt),) = await step(world)
    assert isinstance(attempt, Failed)
    assert "only 2 of the rows held out for scope can examine: {'examined before': 12}" in attempt.reason
    assert live(world).hash == old.hash
    hold_out(world, 8, 24, number=3)
    await step(world)
    manifest = read_manifest(world.folders.suites / live(world).hash)
    assert (manifest.left_out, manifest.problems) == ({"examined before": 4}, 12)


@pytest.mark.asyncio
async def test_a_suite_too_small_to_decide_calls_for_another(world):
    """Fewer problems or groups than the gate asks for prove nothing: datasets hold rows out until there are enough."""
    world.gates = {"tool-calling": make_gate(minimum_problems=20)}
    world.freeze_dataset()
    await step(world)
    ((kind, attempt),) = await step(world)
    assert (kind, "it has 12 problems, and 20 are needed" in attempt.sentence) == ("gate.call_successor", True)
    world.gates = {"tool-calling": make_gate(minimum_problems=20, minimum_groups=11)}
    assert await step(world) == []


@pytest.mark.asyncio
async def test_a_person_may_rotate_at_once_or_call_for_the_next(world):
    """Without rows held out the suite serves on and is due; with any, or an import that waits, it is replaced."""
    world.freeze_dataset()
    await step(world)
    old = live(world)
    first = ask(world, "rotate", "scope")
    await step(world)
    assert "serves until the next dataset holds rows out" in answer_to(world, first)[1]
    assert live(world).due
    bring(world, [apps(n) for n in range(3)])
    await step(world)
    with world.store.write() as session:
        make_request(session, Request(id="second", kind="rotate", line="scope", subject="scope", at=NOW))
    await step(world)
    assert live(world).name == "brought"
    assert answer_to(world, "second")[0] == "satisfied"
    with world.store.read() as session:
        assert suites.suite_by_hash(session, old.hash).retired


@pytest.mark.asyncio
async def test_nothing_is_rotated_under_a_measurement(world):
    """A suite that an adapter is being measured on stays until the verdict is there."""
    world.freeze_dataset()
    world.register(1)
    await step(world)
    await step(world)
    request = ask(world, "rotate", "scope")
    found = await world.room.propose()
    assert (found.proposals, list(found.waits)) == ((), ["scope"])
    assert answer_to(world, request)[0] == "open"


@pytest.mark.asyncio
async def test_a_candidate_is_measured_on_the_suite_of_the_moment(world):
    """An intent that names a suite which was retired meanwhile does nothing."""
    world.freeze_dataset()
    await step(world)
    world.register(1)
    ((proposal,), _) = ((await world.room.propose()).proposals, None)
    with world.store.write() as session:
        suites.retire(session, live(world).hash)
    attempt = await world.room.perform(proposal.intent, proposal.cause)
    assert (attempt.changed, "another suite by now" in attempt.sentence) == (False, True)


class Killed(BaseException):
    """A crash."""


def prepare(world, deed):
    """Lead to the moment before a deed; return what the line is measured on after it."""
    if deed == "import":
        bring(world, [apps(n) for n in range(12)])
        return "imported", 1
    if deed == "adopt":
        ask(world, "adopt", "tool-calling")
        return "starter", 1
    world.freeze_dataset()
    return "held_out", 2


@pytest.mark.asyncio
@pytest.mark.parametrize("deed", ["import", "adopt", "rotate"])
@pytest.mark.parametrize("moment", range(1, 8))
async def test_a_crash_at_any_line_is_repaired(world, starters, monkeypatch, deed, moment):
    """Killed between any two writes, the next cycles end the same, and nothing stands twice."""
    origin, count = prepare(world, deed)
    if deed == "rotate":
        await step(world)
        ask(world, "rotate", "scope")
        hold_out(world, 12, 24, number=2)
    calls = 0

    def dying(real):
        def act(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == moment:
                raise Killed
            return real(*args, **kwargs)

        return act

    for owner, name in ((suite_shelves, "publish"), (suite_shelves, "publish_chosen"), (suite_shelves.ledger, "append"),
                        (suite_shelves.suites, "record_suite"), (suite_shelves.suites, "retire"),
                        (suite_shelves, "answer_request"), (suite_shelves.shutil, "rmtree")):  # fmt: skip
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
    for _ in range(4):
        try:
            await step(world)
        except Killed:
            world.room = world.make_room()
    with world.store.read() as session:
        found = suites.suites(session, "scope")
    assert (live(world).origin, live(world).problems, len(found)) == (origin, 12, count)
    assert [one.retired for one in found] == [False] if count == 1 else [True, False]
    assert kinds(world).count("gate.suite_frozen") == count
    assert len(kinds(world)) == {"import": 1, "adopt": 2, "rotate": 3}[deed]
    with world.store.read() as session:
        assert open_requests(session) == []


def test_a_starter_that_holds_no_problem_is_said_with_its_line(starters):
    """A damaged file of the package is named with the row."""
    path = starters / "tool-calling.jsonl"
    path.write_text(path.read_text() + json.dumps({"kind": "exact"}) + "\n")
    with pytest.raises(Exception, match=r"tool-calling.jsonl line 13 is no problem: messages: nothing is asked"):
        list(foreign_suites.problems_of(path))


@pytest.mark.asyncio
async def test_a_starter_nobody_ships_is_said(world):
    """A gate that names a starter which is not there fails with the names of those that are."""
    world.gates = {"tool-calling": make_gate(starter="no-such")}
    ((_, attempt),) = await step(world)
    assert isinstance(attempt, Failed)
    assert "no starter is called 'no-such'" in attempt.reason
    with world.store.read() as session:
        assert reports.spent_on(session, "x") == (0, 0.0)

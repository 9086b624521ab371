"""`flywheel doctor`: each look is bounded, says one sentence with its mend, and changes nothing."""

import asyncio
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cli_house import Said

from flywheel.cli import doctor_machines as machines
from flywheel.cli import doctor_places as places
from flywheel.cli import doctor_servers as servers
from flywheel.cli import doctors
from flywheel.cli.doctor_findings import Finding, odd, well
from flywheel.cli.doctor_patients import Patient
from flywheel.cli.doctor_rounds import Look, examine
from flywheel.cli.doctor_sources import source
from flywheel.cli.doctor_units import judged
from flywheel.core.errors import UnavailableError
from flywheel.core.events import Event
from flywheel.core.jobs import Job, JobState
from flywheel.core.serving import ModelServer
from flywheel.daemon.notification_couriers import PREFIX, Standing
from flywheel.daemon.settings import load_settings
from flywheel.store.counters import move_cursor
from flywheel.store.jobs import enqueue
from flywheel.store.ledger import append
from flywheel.store.stores import open_store, sqlite_url
from flywheel.store.tables import JobRow

Seen = list[tuple[str, str]]


def states(found: Any) -> Seen:
    return [(one.check, one.state) for one in found]


class Neighbour:
    """Another process's door, in a thread of its own: it answers what it is told."""

    def __init__(self, routes: dict[tuple[str, str], web.Response | str]) -> None:
        self.asked: list[str] = []
        self._routes = routes
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        found = self._routes.get((request.method, request.path))
        if found is None:
            return web.json_response({"detail": "Not Found"}, status=404)
        if isinstance(found, str):
            return web.Response(text=found, content_type="application/json")
        return web.Response(status=found.status, text=found.text, headers=found.headers)

    def _serve(self) -> None:
        async def begin() -> web.AppRunner:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", self._answer)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            return runner

        runner = self._loop.run_until_complete(begin())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)


@pytest.fixture
def neighbours() -> Iterator[Callable[..., Neighbour]]:
    begun: list[Neighbour] = []

    def begin(routes: dict[tuple[str, str], web.Response | str]) -> Neighbour:
        begun.append(Neighbour(routes))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


MODELS = json.dumps({"data": [{"id": "base"}, {"id": "l@1", "parent": "base", "root": "/a"}]})
UNLOAD = ("POST", "/v1/unload_lora_adapter")
NOT_HELD = web.Response(status=404, text='{"error": {"message": "The lora adapter cannot be found."}}',
                        headers={"content-type": "application/json"})  # fmt: skip


def patient_of(tmp_path: Path, more: str = "", lines: str = '["tool-calling"]') -> Patient:
    """Return a home with one line, an empty store and whatever more the settings say."""
    base = tmp_path / "base"
    base.mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (base / name).write_text("{}")
    config = tmp_path / "flywheel.toml"
    config.write_text(
        f'home = "{tmp_path}"\nlines = {lines}\n{more}\n[bases.main]\npath = "{base}"\nserved_as = "base"\n'
    )
    if not (tmp_path / "flywheel.db").exists():
        open_store(sqlite_url(tmp_path / "flywheel.db")).close()
    return Patient(load_settings(config), config)


def told(tmp_path: Path, kind: str, at: datetime | None = None, **body: Any) -> None:
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store, store.write() as session:
        append(session, Event(kind=kind, at=at or datetime.now(UTC), body=body))


def test_every_look_is_bounded_and_none_holds_another_up() -> None:
    """Looks are taken at once; one that hangs, fails or breaks is a finding like any other, in its place."""
    both, never = threading.Barrier(2), threading.Event()

    def meet() -> Iterator[Finding]:
        both.wait(20)
        yield well("meeting", "they met")

    def fail() -> Iterator[Finding]:
        raise UnavailableError("it is away", "bring it back")
        yield

    def breaks() -> Iterator[Finding]:
        yield odd("first", "seen", "mend")
        raise RuntimeError("odd")

    def hang() -> Iterator[Finding]:
        never.wait(60)
        yield well("hang", "never")

    looks = [Look("hang", hang, 0.2), Look("a", meet, 20), Look("b", meet, 20), Look("c", fail), Look("d", breaks)]
    found = examine(looks)
    never.set()
    assert states(found) == [("hang", "fail"), ("meeting", "ok"), ("meeting", "ok"), ("c", "fail"), ("d", "fail")]
    assert found[3].mend == "bring it back"
    assert "did not end in 0.2 seconds" in found[0].sentence


def test_everything_that_is_not_well_comes_with_its_mend(tmp_path: Path) -> None:
    """On a home where nothing is there yet, each finding that is not ok says what to do, and only what lacks fails."""
    patient = patient_of(tmp_path, '[[sources]]\nname = "a"\npath = "/no/such.db"')
    looks = [look for look in doctors.looks_of(patient) if look.check not in {"sandbox", "GPU", "clock"}]
    found = examine(looks)
    patient.close()
    assert all(one.mend for one in found if one.state != "ok")
    assert {one.check for one in found if one.state == "fail"} == {"source a"}


@pytest.mark.parametrize(
    ("unload", "state", "words"),
    [
        (NOT_HELD, "ok", "it serves base with 1 adapter(s), and loads more while it runs"),
        (None, "fail", "it does not unload adapters while it runs"),
        (web.Response(status=403, text='{"error": "lock-down: no"}'), "fail", "it does not know this daemon's token"),
    ],
)
def test_a_server_is_asked_for_runtime_lora_without_harm(
    tmp_path: Path, neighbours: Callable[..., Neighbour], unload: web.Response | None, state: str, words: str
) -> None:
    """A server that cannot load adapters while it runs is told from one that can by letting go of what nobody has."""
    routes = {("GET", "/v1/models"): MODELS} | ({UNLOAD: unload} if unload is not None else {})
    there = neighbours(routes)
    patient = patient_of(tmp_path)
    found = list(servers.server(patient, ModelServer(url=there.url)))
    patient.close()
    assert (found[0].state, found[0].sentence) == (state, words)
    assert set(there.asked) <= {"GET /v1/models", "POST /v1/unload_lora_adapter", "GET /health"}


def test_a_server_of_another_base_or_too_little_room_is_told(
    tmp_path: Path, neighbours: Callable[..., Neighbour]
) -> None:
    """A server that serves no line's base fails, and so does a line whose rank is above what the server takes."""
    other = json.dumps({"data": [{"id": "other"}]})
    there = neighbours({("GET", "/v1/models"): other, UNLOAD: NOT_HELD})
    patient = patient_of(tmp_path)
    found = list(servers.server(patient, ModelServer(url=there.url, max_lora_rank=1)))
    patient.close()
    assert [one.state for one in found] == ["fail", "fail"]
    assert "no line's base is among that (base)" in found[0].sentence
    assert "trains rank" in found[1].sentence


@pytest.mark.parametrize(("seconds", "expected"), [(0, []), (30, ["warn"]), (-600, ["fail"])])
def test_a_servers_clock_is_held_against_ours(
    tmp_path: Path, neighbours: Callable[..., Neighbour], seconds: int, expected: list[str]
) -> None:
    """The Date a server sends shows how far apart the clocks are; a second or two are nothing."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    there = neighbours({("GET", "/health"): web.Response(headers={"date": date})})
    assert [one.state for one in servers._skew(there.url)] == expected


def test_a_server_that_is_down_fails_only_when_it_is_needed(tmp_path: Path) -> None:
    """As long as no adapter was released, a server that does not answer is only told."""
    patient = patient_of(tmp_path)
    down = ModelServer(url="http://127.0.0.1:9")
    assert states(servers.server(patient, down)) == [("server http://127.0.0.1:9", "warn")]
    patient.__dict__["releases"] = ("one",)
    assert states(servers.server(patient, down)) == [("server http://127.0.0.1:9", "fail")]
    patient.close()


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ({"version": 3, "servers": [{"url": "x", "answers": True}], "capture": {}}, "ok", "by routing version 3"),
        ({"version": 3, "servers": [{"url": "x", "answers": False}]}, "warn", "x does not answer it"),
        ({"version": 3, "servers": [], "capture": {"dropped": 4}}, "warn", "4 calls were not captured"),
    ],
)
def test_a_gateway_tells_how_it_routes(
    tmp_path: Path, neighbours: Callable[..., Neighbour], answer: dict[str, Any], state: str, words: str
) -> None:
    """A gateway that answers is asked for its version, its servers and its capture."""
    there = neighbours({("GET", "/flywheel/routing"): json.dumps(answer)})
    patient = patient_of(tmp_path, f"[gateway]\nport = {there.url.rpartition(':')[2]}")
    (found,) = servers.gateway(patient)
    patient.close()
    assert (found.state, words in found.sentence) == (state, True), found.sentence


def test_rights_that_are_too_wide_are_told(tmp_path: Path) -> None:
    """A secret that everybody reads fails, a home that everybody reads is told; and so are settings open to all."""
    home = tmp_path / "home"
    home.mkdir(mode=0o750)
    patient = patient_of(home)
    (home / "server.token").write_text("secret")
    (home / "server.token").chmod(0o644)
    assert states(places.rights(patient)) == [("rights", "ok")]  # the home is closed: nobody gets there
    home.chmod(0o755)
    (home / "flywheel.toml").chmod(0o666)
    found = list(places.rights(patient))
    patient.close()
    assert [one.state for one in found] == ["warn", "fail", "fail"]
    assert found[1].mend == f"chmod o-rwx {home}/server.token"
    assert found[2].mend == f"chmod o-w {home}/flywheel.toml"


def test_a_clock_that_was_set_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event in the future means that the clock was set back."""
    monkeypatch.setattr(machines, "_WATCHED_SECONDS", 0.01)
    patient = patient_of(tmp_path)
    assert states(machines.clocks(patient)) == [("clock", "ok")]
    told(tmp_path, "daemon.started", datetime.now(UTC) + timedelta(hours=1))
    assert states(machines.clocks(patient)) == [("clock", "fail")]
    patient.close()


def test_the_daemon_is_known_by_its_lock(tmp_path: Path) -> None:
    """Who holds the home is at work; failing cycles and starts without end are told; looking leaves no lock."""
    patient = patient_of(tmp_path)
    assert states(places.daemon(patient)) == [("daemon", "warn")]
    assert not (tmp_path / "daemon.lock").exists()
    with (tmp_path / "daemon.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.flush()
        (found,) = places.daemon(patient)
        assert (found.state, str(os.getpid()) in found.sentence) == ("ok", True)
        os.utime(tmp_path / "daemon.lock", (1e9, 1e9))
        (found,) = places.daemon(patient)
        assert (found.state, "no sign of life" in found.sentence) == ("fail", True)
        os.utime(tmp_path / "daemon.lock")
        for _ in range(6):
            told(tmp_path, "daemon.started")
        assert states(places.daemon(patient)) == [("daemon", "warn")]
        told(tmp_path, "daemon.cycles_failed", sentence="cycles have been failing")
        (found,) = places.daemon(patient)
        assert (found.state, found.sentence) == ("fail", "cycles have been failing")
        told(tmp_path, "daemon.cycles_recovered")
        assert states(places.daemon(patient)) == [("daemon", "warn")]
    patient.close()


def test_work_that_nobody_follows_is_told(tmp_path: Path) -> None:
    """A job that runs by its row and has no process, nor anybody who renews its lease, is left behind."""
    patient = patient_of(tmp_path)
    (tmp_path / "job").mkdir()
    job = Job(id="j1", kind="train", line="l", subject="r", state=JobState.QUEUED, folder=str(tmp_path / "job"))
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        with store.write() as session:
            enqueue(session, job)
        assert states(places.jobs(patient)) == [("jobs", "ok")]
        with store.write() as session:
            row = session.get(JobRow, "j1")
            assert row is not None
            row.state, row.lease_until = "running", datetime.now(UTC) - timedelta(hours=1)
            session.add(row)
    (found,) = places.jobs(patient)
    patient.close()
    assert (found.state, "j1" in found.sentence) == ("warn", True)
    assert list((tmp_path / "job").iterdir()) == []


def test_a_source_is_read_by_whoever_looks(tmp_path: Path) -> None:
    """A file that is no database fails with its mend; what the daemon could not read and we can is told apart."""
    path = tmp_path / "agent.db"
    path.write_text("this is no database at all, whatever its name")
    more = f'[[sources]]\nname = "a"\npath = "{path}"'
    patient = patient_of(tmp_path, more)
    (found,) = source(patient, patient.settings.sources[0])
    assert (found.state, bool(found.mend)) == ("fail", True)
    patient.close()


def test_policies_are_checked_with_their_cases(tmp_path: Path) -> None:
    """Broken policies fail and name the command that says more; with no line switched on, that is told."""
    (tmp_path / "policies" / "guardrails").mkdir(parents=True)
    (tmp_path / "policies" / "guardrails" / "a.toml").write_text("guards = 3\n")
    patient = patient_of(tmp_path, f'policies = "{tmp_path}/policies"', lines="[]")
    (found,) = places.policies(patient)
    assert (found.state, found.mend) == ("fail", "flywheel policy check")
    assert states(places.policies(patient_of(tmp_path, lines="[]"))) == [("policies", "warn")]


@pytest.mark.parametrize(
    ("told_", "state"),
    [
        ({"LoadState": "not-found"}, ""),
        ({"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}, "ok"),
        ({"LoadState": "loaded", "ActiveState": "failed", "Result": "watchdog", "UnitFileState": "enabled"}, "fail"),
        ({"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "enabled"}, "fail"),
        ({"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "disabled"}, "ok"),
        ({"LoadState": "loaded", "ActiveState": "active", "NRestarts": "9"}, "warn"),
        ({"LoadState": "loaded", "ActiveState": "active", "NeedDaemonReload": "yes"}, "warn"),
    ],
)
def test_units_are_judged_by_what_systemd_says(told_: dict[str, str], state: str) -> None:
    """A unit that failed, or should run and does not, fails; one that is not installed is not spoken of."""
    found = judged({"flywheel.service": told_}, "systemctl")
    assert [one.state for one in found] == ([state] if state else [])
    assert all(one.mend for one in found if one.state != "ok")


def test_an_address_that_refuses_is_told(tmp_path: Path) -> None:
    """A secret that is not there fails, and so does an address whose last tries failed."""
    more = '[[notify]]\nname = "a"\nurl = "https://example.org/x"\nsecret_env = "NO_SUCH_VARIABLE"\n'
    more += '[[notify]]\nname = "b"\ncommand = ["true"]'
    patient = patient_of(tmp_path, more)
    a, b = patient.settings.notify
    assert states(servers.notification(patient, a)) == [("notify a", "fail")]
    assert states(servers.notification(patient, b)) == [("notify b", "ok")]
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store, store.write() as session:
        move_cursor(session, f"{PREFIX}b", Standing(failures=3, reason="it answers 500").model_dump())
    (found,) = servers.notification(patient, b)
    patient.close()
    assert (found.state, "it answers 500" in found.sentence) == ("fail", True)


def test_the_command_changes_nothing_and_says_all_of_it(
    tmp_path: Path, typed: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As JSON it is one document with every finding; the exit code is 1 when one fails; no file comes or changes."""
    monkeypatch.setattr(machines, "_WATCHED_SECONDS", 0.01)
    monkeypatch.setattr(servers, "sandbox", lambda _: iter(()))
    patient_of(tmp_path, '[[sources]]\nname = "a"\npath = "/no/such.db"').close()
    before = _files(tmp_path)
    said = typed("doctor", "--json", "--config", tmp_path / "flywheel.toml")
    found = json.loads(said.out)
    assert (said.status, found["well"], found["counts"]["fail"]) == (1, False, 1)
    assert _files(tmp_path) == before
    words = typed("doctor", "--config", tmp_path / "flywheel.toml")
    assert words.out.count("\nfail") == 1
    assert all(one["sentence"][:40] in words.out for one in found["findings"] if one["check"] != "clock")


def _files(folder: Path) -> dict[str, bytes]:
    """Return what lies in a folder; SQLite's own files beside a database that is open come and go."""
    return {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_wrong_settings_are_the_first_finding(tmp_path: Path, typed: Callable[..., Said]) -> None:
    """Settings that say something impossible are told first; what needs no settings is looked at all the same."""
    config = tmp_path / "flywheel.toml"
    config.write_text("hom = 1\n")
    said = typed("doctor", "--json", "--config", config)
    found = json.loads(said.out)["findings"]
    assert (said.status, found[0]["check"], found[0]["state"]) == (1, "settings", "fail")
    assert "did you mean 'home'?" in found[0]["sentence"]
    assert {"versions", "services"} <= {one["check"] for one in found}


def test_a_test_notification_is_sent_and_its_failure_is_the_exit_code(
    tmp_path: Path, typed: Callable[..., Said]
) -> None:
    """`notify test` says who took it and who did not; `notify list` says how it goes."""
    more = f'[[notify]]\nname = "good"\ncommand = ["sh", "-c", "cat > {tmp_path}/heard"]\n'
    more += '[[notify]]\nname = "bad"\ncommand = ["false"]'
    patient_of(tmp_path, more).close()
    config = tmp_path / "flywheel.toml"
    said = typed("notify", "test", "--config", config)
    assert (said.status, "good: taken by sh" in said.out, "1 of 2 did not take it" in said.err) == (1, True, True)
    assert json.loads((tmp_path / "heard").read_text())["kind"] == "test"
    assert typed("notify", "test", "good", "--config", config).status == 0
    assert typed("notify", "test", "nobody", "--config", config).status == 2
    rows = json.loads(typed("notify", "list", "--json", "--config", config).out)
    assert [(row["name"], row["problem"], row["waits"]) for row in rows] == [("good", "", False), ("bad", "", False)]

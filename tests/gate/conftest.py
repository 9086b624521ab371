from pathlib import Path

import pytest
from gate_house import NOW, example_of, freeze_dataset, make_gate, rows

from flywheel.core.clocks import ManualClock
from flywheel.core.events import Event
from flywheel.core.jobs import ProcessMark
from flywheel.core.lines import Line
from flywheel.core.serving import Loaded
from flywheel.core.training import AdapterManifest
from flywheel.gate.run import Folders, GateRoom
from flywheel.gate.situations import ServerView
from flywheel.store import jobs, ledger, releases
from flywheel.store.loaded import mark_loaded
from flywheel.store.runs import adapter_by_name, record_adapter
from flywheel.store.stores import insert_new, open_store, sqlite_url
from flywheel.store.tables import DatasetRow, ExampleRow

SERVER = "http://127.0.0.1:8000"


class World:
    """A store, the gate room on it, and the other rooms' deeds that lead there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.store = open_store(sqlite_url(folder / "flywheel.db"))
        self.lines = {"scope": Line(name="scope", why="tests", base="tiny", gate="tool-calling")}
        self.gates = {"tool-calling": make_gate()}
        self.server = ServerView(url=SERVER, bases={"tiny": "base"})
        self.folders = Folders(
            datasets=folder / "datasets", suites=folder / "suites", measurements=folder / "measurements",
            reports=folder / "reports",
        )  # fmt: skip
        self.room = self.make_room()

    def make_room(self):
        """Return a room as a restarted daemon would make it."""
        return GateRoom(
            self.store, self.clock, lambda: self.lines, lambda: self.gates, self.folders, lambda: self.server
        )

    def freeze_dataset(self, count=12, number=1):
        """Do what the curate room does."""
        made, known = rows(count)
        manifest = freeze_dataset(self.folders.datasets, made, number=number)
        with self.store.write() as session:
            event = Event(kind="curate.dataset_frozen", at=NOW, line="scope", subject=manifest.hash)
            seq = ledger.append(session, event)
            body = {"hash": manifest.hash, "line": "scope", "number": number, "watermark": 1, "seq": seq,
                    "body": manifest.model_dump(mode="json")}  # fmt: skip
            insert_new(session, DatasetRow, [body])
            examples = [example_of(row, known[row.example]) for row in made]
            insert_new(session, ExampleRow, [
                {"id": one.id, "line": "scope", "outcome": one.outcome, "category": one.category, "at": one.at,
                 "prompt_key": one.prompt_key, "withdrawn": False, "body": one.model_dump(mode="json")}
                for one in examples
            ])  # fmt: skip
        return manifest

    def register(self, number, *, warm=True, server=SERVER, base="tiny"):
        """Do what train, rollout and serve do; return the event's number."""
        name = f"scope@{number}"
        manifest = AdapterManifest(
            hash=f"{number:064d}", line="scope", number=number, run=f"run-{number}", dataset="d", base_name=base,
            base_fingerprint="f", rank=8, target_modules=("q_proj",), files={},
        )  # fmt: skip
        with self.store.write() as session:
            record_adapter(session, manifest, f"/adapters/{number}", 1)
            seq = ledger.append(session, Event(kind="rollout.adapter_registered", at=NOW, line="scope", subject=name))
            releases.register(session, adapter_by_name(session, name), NOW, seq)
            if warm:
                mark_loaded(session, Loaded(server=server, name=name, path=f"/adapters/{number}", warmed_at=NOW))
        return seq

    def end_job(self, name, error=""):
        """Do what the supervisor does."""
        with self.store.write() as session:
            token = jobs.take_over(session, name, self.clock.now(), NOW - NOW)
            jobs.mark_running(session, name, token, ProcessMark(pid=1, started=0.0))
            jobs.finish(session, name, token, error)

    def events(self, *kinds):
        """Return the ledger."""
        with self.store.read() as session:
            return ledger.events(session, kinds=kinds)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.store.close()

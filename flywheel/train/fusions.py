"""Fuses adapters into bases, where policy lets that be: a job makes the model, a folder and a pin make it a base.

What was fused into what stands in the folder (`lineage.json`), in the ledger, and with the base itself.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done, Failed, Retry
from flywheel.core.bases import LINEAGE, Layer, Lineage
from flywheel.core.clocks import Clock
from flywheel.core.errors import CorruptError, FlywheelError, UnavailableError
from flywheel.core.events import Event
from flywheel.core.facts import Value, check_facts
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.jobs import Job, JobState
from flywheel.core.requests import Request
from flywheel.core.rooms import Plan
from flywheel.core.training import Base
from flywheel.proc.files import file_hash, sync_folder, write_file, write_json
from flywheel.store import jobs as job_rows
from flywheel.store import runs as run_rows
from flywheel.store.ledger import append, last_event
from flywheel.store.requests import answer_request, open_requests, request_by_id
from flywheel.store.runs import Adapter
from flywheel.store.stores import Store
from flywheel.train.adapters import is_whole
from flywheel.train.backends.seams import RESULT
from flywheel.train.backends.trl import ENV
from flywheel.train.fingerprints import lineage_of, prints
from flywheel.train.fusion_plans import Wish, plan
from flywheel.train.pins import Looked, standing

KIND = "fuse"
NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")

_JOB = Path(__file__).parent.parent / "jobs" / "fuse_adapter.py"
_ENV = {**ENV, "CUDA_VISIBLE_DEVICES": ""}  # a sum needs no GPU, and the GPU is the agent's


class FusionPlaces(Frozen):
    """Where adapters lie, work is done, fused bases go, and what interpreter fuses."""

    adapters: Path
    runs: Path
    bases: Path
    python: Path


class FusionRoom:
    """From a person's wish to a base with layers. See `core.rooms.Room`."""

    name = "train"

    def __init__(
        self, store: Store, clock: Clock, bases: Mapping[str, Base], places: FusionPlaces, known: Callable[[], set[str]]
    ) -> None:
        """Fuse into these bases; `known` tells every name that a base has."""
        self._store = store
        self._clock = clock
        self._bases = bases
        self._places = places
        self._known = known
        self._looked = Looked()

    async def propose(self) -> Plan:
        """Return what the open wishes need now."""
        return await asyncio.to_thread(self._plan)

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Do one allowed thing."""
        deeds = {
            "train.fuse_adapter": self._fuse,
            "train.register_base": self._register,
            "operator.refuse_request": self._refuse,
        }
        try:
            return await asyncio.to_thread(deeds[intent.kind], intent, cause)
        except UnavailableError as error:
            return Retry(at=self._clock.now() + timedelta(seconds=error.delay), reason=str(error))
        except FlywheelError as error:
            return Failed(reason=error.message, mend=error.mend)

    def _plan(self) -> Plan:
        with self._store.read() as session:
            return plan(tuple(self._wish(session, request) for request in open_requests(session, "fuse")))

    def _wish(self, session: Session, request: Request) -> Wish:
        name = str(request.body.get("base", ""))
        wish = Wish(request=request, base=name, adapter=request.subject)
        job = job_rows.job_by_id(session, _job_id(request.id))
        if job is not None:
            return wish.model_copy(update={"job": job})
        told = last_event(session, kinds=["policy.intent_refused"], subject=request.subject, after=request.cause or 0)
        if told is not None and told.body.get("intent", {}).get("params", {}).get("request") == request.id:
            return wish.model_copy(update={"refused": str(told.body.get("sentence", "policy refuses it"))})
        adapter = run_rows.adapter_by_name(session, request.subject)
        try:
            impossible = self._impossible(session, adapter, request, name)
            facts = self._facts(session, adapter) if adapter and not impossible else {}
        except (UnavailableError, CorruptError) as error:
            return wish.model_copy(update={"impossible": str(error)})
        return wish.model_copy(update={"impossible": impossible, "facts": facts})

    def _impossible(self, session: Session, adapter: Adapter | None, request: Request, name: str) -> str:
        if adapter is None:
            return f"there is no adapter {request.subject!r} that was trained here"
        if adapter.manifest.base_name not in self._bases:
            return f"its base {adapter.manifest.base_name!r} is not in the settings any more"
        if NAME.fullmatch(name) is None:
            return f"{name!r} cannot name a base: use small letters, digits, dots and hyphens"
        if name in self._known() or run_rows.pinned_base(session, name) is not None:
            return f"there is a base {name!r} already"
        others = [
            one for one in open_requests(session, "fuse") if one.id != request.id and one.body.get("base") == name
        ]
        if any(job_rows.job_by_id(session, _job_id(one.id)) is not None for one in others):
            return f"a base {name!r} is being made already"
        return "" if is_whole(self._folder(adapter)) else f"the folder of {adapter.name} is not whole"

    def _facts(self, session: Session, adapter: Adapter) -> dict[str, Value]:
        """Return what guardrails judge by: of the base as it would be, and of the one below it."""
        below = self._bases[adapter.manifest.base_name]
        found = self._looked.at(Path(below.path))
        facts: dict[str, Value] = {
            "base.fingerprint_is_frozen": standing(session, below, found).frozen
            and adapter.manifest.base_fingerprint == found.whole,
            "base.is_adapter": True,
            "base.layers": (len(below.lineage.layers) if below.lineage else 0) + 1,
            "base.parameters_billion": below.parameters,
        }
        check_facts(facts)
        return facts

    def _fuse(self, intent: Intent, cause: int | None) -> Attempt:
        if not self._places.python.exists():
            return Failed(reason="the train environment is not there", mend="run `flywheel env create train`")
        request, adapter = self._asked(intent)
        if request.state != "open":
            return Done(sentence="the request was answered already", changed=False)
        below = self._bases[adapter.manifest.base_name]
        self._looked.forget()
        if self._looked.at(Path(below.path)).whole != adapter.manifest.base_fingerprint:
            raise CorruptError(f"{adapter.name} was trained on other bytes of base {below.name!r}", "restore the base")
        folder = self._places.runs / _job_id(request.id)
        orders = {"base": str(Path(below.path).resolve()), "adapter": str(self._folder(adapter).resolve()),
                  "out": str((folder / "out").absolute())}  # fmt: skip
        write_json(folder / "spec.json", orders)
        argv = [str(self._places.python), str(_JOB), str((folder / "spec.json").absolute())]
        job = Job(id=_job_id(request.id), kind=KIND, line=intent.line, subject=adapter.name, state=JobState.QUEUED,
                  folder=str(folder.absolute()), spec={"argv": argv, "env": _ENV, "result": RESULT})  # fmt: skip
        body = {"base": str(intent.params["base"]), "onto": below.name, "request": request.id}
        with self._store.write() as session:
            seq = append(session, self._event("train.fusion_started", intent, cause, body), key=f"started:{job.id}")
            job_rows.enqueue(session, job.model_copy(update={"cause": seq}))
        return Done(sentence=f"began to fuse {adapter.name} into base {intent.params['base']}")

    def _register(self, intent: Intent, cause: int | None) -> Attempt:
        request, adapter = self._asked(intent)
        name, below = str(intent.params["base"]), self._bases[adapter.manifest.base_name]
        lineage = lineage_with(below, adapter)
        try:
            out = self._places.runs / _job_id(request.id) / "out"
            result = _result(out)
            folder = self._place(out, self._places.bases / name, lineage)
            found = prints(folder)
        except CorruptError as error:
            return self._refused(intent.line, request, cause, str(error))
        told = {"fingerprint": found.whole, "parts": found.parts, "path": str(folder), "adapter": adapter.name,
                "lineage": lineage.model_dump(mode="json"), "largest_gap": result.get("largest_gap")}  # fmt: skip
        answer = f"base {name} is {lineage.words}, in {folder}; serve it as {name} and name it in a line"
        with self._store.write() as session:
            event = self._event("train.base_fused", intent, cause, told).model_copy(update={"subject": name})
            seq = append(session, event, key=f"fused:{request.id}")
            run_rows.pin_base(session, name, str(folder), found.whole, seq)
            run_rows.pin_parts(session, name, found.parts)
            job_rows.handle(session, _job_id(request.id))
            answer_request(session, request.id, satisfied=True, answer=answer)
        return Done(sentence=answer)

    def _place(self, out: Path, target: Path, lineage: Lineage) -> Path:
        """Move the fused model to its place, whole, with its lineage; doing it twice is doing it once."""
        if target.exists():
            if lineage_of(target) != lineage:
                raise CorruptError(f"{target} holds another model", "move it away")
            return target
        _check_result(out)
        write_file(out / "model" / LINEAGE, lineage.model_dump_json(indent=2).encode() + b"\n")
        target.parent.mkdir(parents=True, exist_ok=True)
        (out / "model").rename(target)
        sync_folder(target.parent)
        return target

    def _refuse(self, intent: Intent, cause: int | None) -> Attempt:
        with self._store.read() as session:
            request = request_by_id(session, intent.subject)
        if request is None or request.state != "open":
            return Done(sentence="the request was answered already", changed=False)
        return self._refused(intent.line, request, cause, str(intent.params["answer"]))

    def _refused(self, line: str, request: Request, cause: int | None, answer: str) -> Attempt:
        body = {"request": request.kind, "subject": request.subject, "answer": answer}
        with self._store.write() as session:
            event = Event(kind="operator.request_refused", at=self._clock.now(), line=line, subject=request.id,
                          cause=cause, body=body)  # fmt: skip
            append(session, event, key=f"refused/{request.id}")
            answer_request(session, request.id, satisfied=False, answer=answer)
            if job_rows.job_by_id(session, _job_id(request.id)) is not None:
                job_rows.handle(session, _job_id(request.id))
        return Done(sentence=f"refused a request: {answer}")

    def _asked(self, intent: Intent) -> tuple[Request, Adapter]:
        with self._store.read() as session:
            request = request_by_id(session, str(intent.params["request"]))
            adapter = run_rows.adapter_by_name(session, intent.subject)
        if request is None or adapter is None or adapter.manifest.base_name not in self._bases:
            raise CorruptError(f"the request to fuse {intent.subject}, the adapter or its base is gone")
        return request, adapter

    def _folder(self, adapter: Adapter) -> Path:
        return self._places.adapters.absolute() / adapter.path

    def _event(self, kind: str, intent: Intent, cause: int | None, body: dict[str, Any]) -> Event:
        return Event(kind=kind, at=self._clock.now(), line=intent.line, subject=intent.subject, cause=cause, body=body)


def lineage_with(below: Base, adapter: Adapter) -> Lineage:
    """Return the lineage of a base with one more adapter fused into it."""
    layer = Layer(adapter=adapter.name, hash=adapter.hash, onto=below.name)
    if below.lineage is not None:
        return below.lineage.model_copy(update={"layers": (*below.lineage.layers, layer)})
    return Lineage(original=below.name, original_fingerprint=adapter.manifest.base_fingerprint, layers=(layer,))


def _result(out: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((out / "result.json").read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise CorruptError(f"what the fusion left cannot be read: {error}", "fuse it again") from error


def _check_result(out: Path) -> None:
    try:
        weights = _result(out)["weights"]
        whole = bool(weights) and all(file_hash(out / "model" / name) == digest for name, digest in weights.items())
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(f"the fused model cannot be read: {error}", "fuse it again") from error
    if not whole:
        raise CorruptError("the fused model is not the one the job reported", "fuse it again")


def _job_id(request: str) -> str:
    return f"{KIND}-{request}"

"""Checks runs before they start: the job that looks, what it saw, the machine and the server of the moment.

The job looks once for each run: what it sees depends on dataset, base and values alone, and these are the run's name.
What its facts mean is decided anew in each cycle that waits for them, since memory, disk and server change.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from flywheel.core.attempts import Attempt, Done
from flywheel.core.clocks import Clock
from flywheel.core.errors import PermanentError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.jobs import Job, JobState
from flywheel.core.rooms import Plan
from flywheel.core.serving import ModelServer
from flywheel.core.training import LEARNED_FROM, Base
from flywheel.proc.files import write_json
from flywheel.proc.measures import free_disk
from flywheel.proc.memories import free_ram, gpu_memory
from flywheel.proc.tokens import read_token
from flywheel.store import jobs as job_rows
from flywheel.store.ledger import append, last_event
from flywheel.store.stores import Store
from flywheel.train.backends.trl import ENV, UNSEEN
from flywheel.train.facts import Situation, wanted_spec
from flywheel.train.preflight_facts import PreflightFacts, Question, Surroundings
from flywheel.train.preflight_plans import START, Look, names, sift
from flywheel.train.preflight_servers import compare
from flywheel.train.preflights import Preflight, decide, failed

KIND = "preflight"
EVENT = "train.run_preflighted"
RESULT = "out/facts.json"
_JOB = Path(__file__).parent.parent / "jobs" / "preflight.py"
_FRESH_SECONDS = 60.0
_SHOWN = 600


class PreflightPlaces(Frozen):
    """Where a check finds what it looks at, and leaves what it saw.

    `reclaims`: the servers give the GPU's memory back before a run; `observe`: findings that are told and stop nothing;
    `home`: where the token for the servers lies.
    """

    datasets: Path
    runs: Path
    python: Path
    servers: tuple[ModelServer, ...] = ()
    reclaims: bool = False
    observe: tuple[str, ...] = ()
    home: Path | None = None

    def folder(self, run: str) -> Path:
        """Return the folder of a run's check."""
        return self.runs / f"{KIND}-{run}"


class Asked(Frozen):
    """A run that is about to start, with its base and what its line asks for."""

    question: Question
    base: Base

    @property
    def run(self) -> str:
        """Return the run's name."""
        return self.question.spec.run_id


class Preflights:
    """Keeps every start waiting until its check found nothing that stops it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        places: PreflightPlaces,
        gpu: Callable[[], tuple[int, int] | None] = gpu_memory,
        ram: Callable[[], int | None] = free_ram,
    ) -> None:
        """Check with these places; `gpu` and `ram` tell the memory that is free."""
        self._store = store
        self._clock = clock
        self.places = places
        self._gpu = gpu
        self._ram = ram
        self._seen: dict[str, PreflightFacts] = {}
        self._around: dict[str, tuple[float, Surroundings]] = {}

    def sift(self, planned: Plan, here: Situation) -> Plan:
        """Return the plan with every start behind its check."""
        starts = [one.intent for one in planned.proposals if one.intent.kind == START]
        asked = [found for intent in starts if (found := asked_for(here, intent))]
        self._forget_all_but({one.run for one in asked})
        return sift(planned, {one.run: self._look(one) for one in asked})

    def _forget_all_but(self, runs: set[str]) -> None:
        self._seen = {run: facts for run, facts in self._seen.items() if run in runs}
        self._around = {run: seen for run, seen in self._around.items() if run in runs}

    def _look(self, asked: Asked) -> Look:
        with self._store.read() as session:
            job = job_rows.job_by_id(session, f"{KIND}-{asked.run}")
            told = last_event(session, kinds=(EVENT,), subject=asked.run)
        body = told.body if told else {}
        return Look(
            job=job,
            found=self._found(asked, job),
            recorded=frozenset(body["errors"]) if told else None,
            told=str(body.get("sentence", "")),
        )

    def _found(self, asked: Asked, job: Job | None) -> Preflight | None:
        if job is not None and job.state in {JobState.QUEUED, JobState.RUNNING}:
            return None
        if facts := self.facts(asked.run):
            return self.decide(asked, facts)
        if job is None:
            return None
        return failed(job.error or "it left nothing that can be read")

    def decide(self, asked: Asked, facts: PreflightFacts) -> Preflight:
        """Return what the facts mean on this machine as it is."""
        return decide(facts, asked.question, self.around(asked, facts)).with_warnings(self.places.observe)

    def facts(self, run: str) -> PreflightFacts | None:
        """Return what a run's check saw, or None when nothing readable lies there."""
        if run not in self._seen:
            try:
                held = (self.places.folder(run) / RESULT).read_bytes()
                self._seen[run] = PreflightFacts.model_validate_json(held)
            except (OSError, ValidationError):
                return None
        return self._seen[run]

    def around(self, asked: Asked, facts: PreflightFacts) -> Surroundings:
        """Return machine and server as they are; a look is good for a minute."""
        at, known = self._around.get(asked.run, (-1e9, Surroundings()))
        if self._clock.monotonic() - at > _FRESH_SECONDS:
            known = self._look_around(asked, facts)
            self._around[asked.run] = (self._clock.monotonic(), known)
        return known

    def _look_around(self, asked: Asked, facts: PreflightFacts) -> Surroundings:
        gpu, servers = self._gpu(), self.places.servers
        free = None if gpu is None else gpu[1] if self.places.reclaims else gpu[0]
        # A base of a server of its own is served there alone, and so are its adapters.
        servers = tuple(one for one in servers if asked.base.server in {None, one.url}) or servers
        urls = [asked.base.server] if asked.base.server else [one.url for one in servers]
        token = read_token(self.places.home) if self.places.home else ""
        told = compare(urls, asked.base.served_as, facts.samples, facts.tokenizer, token)
        return Surroundings(
            memory="ram" if gpu is None else "gpu",
            free_memory=self._ram() if gpu is None else free,
            free_disk=free_disk(self.places.runs),
            max_lora_rank=min((one.max_lora_rank for one in servers), default=None),
            server_differs=told.differs,
            template_unchecked=told.unchecked,
        )

    def start(self, asked: Asked, cause: int | None) -> Attempt:
        """Enqueue the job that looks; its folder and name are the run's."""
        self.require()
        orders, folder = self.orders(asked), self.places.folder(asked.run)
        write_json(folder / "orders.json", orders)
        job = Job(
            id=f"{KIND}-{asked.run}",
            kind=KIND,
            line=asked.question.spec.line,
            subject=asked.run,
            state=JobState.QUEUED,
            folder=str(folder),
            cause=cause,
            handled=True,  # nobody has to see to its end: what it saw lies in its folder
            spec={"argv": self.argv(asked), "env": environment_of(), "result": RESULT},
        )
        with self._store.write() as session:
            fresh = job_rows.enqueue(session, job)
        return Done(sentence=f"{asked.run} is checked before it starts", changed=fresh)

    def require(self) -> None:
        """Refuse where the environment that looks is missing; raises PermanentError."""
        if not self.places.python.exists():
            raise PermanentError("the train environment is not there", "run `flywheel env create train`")

    def orders(self, asked: Asked) -> dict[str, object]:
        """Return what the job is told."""
        spec = asked.question.spec
        dataset, learned = self.places.datasets / spec.dataset, LEARNED_FROM[spec.technique]
        unseen = [UNSEEN[name] for name in learned if (dataset / f"{UNSEEN[name]}.jsonl").is_file()]
        return {
            "base": str(Path(asked.base.path).resolve()),
            "files": [str(dataset / f"{name}.jsonl") for name in (*learned, *unseen)],
            "max_length": spec.hyperparameters.max_length,
            "reasoning": spec.technique.startswith("cot-"),
            "span_weights": spec.hyperparameters.span_weights,
            "out": str(self.places.folder(asked.run) / "out"),
        }

    def argv(self, asked: Asked) -> list[str]:
        """Return the command line of the job."""
        return [str(self.places.python), str(_JOB), str(self.places.folder(asked.run) / "orders.json")]

    def record(self, asked: Asked, cause: int | None) -> Attempt:
        """Write what the check found to the ledger, once for the same errors."""
        with self._store.read() as session:
            job = job_rows.job_by_id(session, f"{KIND}-{asked.run}")
        found = self._found(asked, job)
        if found is None:
            return Done(sentence=f"{asked.run} is not checked yet", changed=False)
        with self._store.write() as session:
            told = last_event(session, kinds=(EVENT,), subject=asked.run)
            if told is not None and frozenset(told.body["errors"]) == names(found):
                return Done(sentence=f"the check of {asked.run} is recorded", changed=False)
            spec, body = asked.question.spec, body_of(found)
            event = Event(kind=EVENT, at=self._clock.now(), line=spec.line, subject=asked.run, cause=cause, body=body)
            append(session, event)
        return Done(sentence=f"checked {asked.run}: {found.sentence or 'it may start'}")


def asked_for(here: Situation, intent: Intent) -> Asked | None:
    """Return the run that a start means, with its base and its line's wishes."""
    line = next((one for one in here.lines if one.line.name == intent.line), None)
    spec = wanted_spec(line, intent.subject) if line else None
    if line is None or line.base is None or spec is None:
        return None
    examples = line.dataset.examples if line.dataset else 0
    question = Question(spec=spec, examples=examples, minimum_examples=line.line.dataset.minimum_examples)
    return Asked(question=question, base=line.base)


def environment_of() -> dict[str, str]:
    """Return the job's environment: like a run's, with every GPU out of sight."""
    return {**ENV, "CUDA_VISIBLE_DEVICES": ""}


def body_of(found: Preflight) -> Mapping[str, object]:
    """Return what the ledger keeps: every finding, in short."""
    told = [one.model_copy(update={"sentence": one.sentence[:_SHOWN]}) for one in found.findings]
    return {
        "errors": sorted(names(found)),
        "sentence": found.sentence[: 2 * _SHOWN],
        "findings": [one.model_dump(mode="json") for one in told],
        "numbers": found.numbers,
    }

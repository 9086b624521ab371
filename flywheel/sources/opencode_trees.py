"""From a session with its sub-agents' sessions to one task's outcomes. Pure.

The task is the root session. A sub-agent's answers stand in its own session and share the root's fate: the caller's
verdict is theirs where they have none, and what is taken back there is taken back here. Messages that a fork copied are
older than the fork itself: they were learned from where they were first said.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from flywheel.core.ids import content_hash
from flywheel.core.labels import judge
from flywheel.core.outcomes import Labelled, Outcome
from flywheel.sources.conversations import UnreadableError
from flywheel.sources.opencode_chains import chains_of
from flywheel.sources.opencode_evidence import Record
from flywheel.sources.opencode_records import INVALID, Entry, Session
from flywheel.sources.opencode_signals import Call, State, signals_of
from flywheel.sources.opencode_topics import tags_of
from flywheel.sources.opencode_turns import History, Turn, response_of
from flywheel.sources.readings import Refusal, TaskReading
from flywheel.sources.secret_memory import SecretMemory
from flywheel.sources.settings import OpencodeSource

Known = Mapping[str, str]
REFUSED = "refused"


class TreeReading(NamedTuple):
    """A task with what to remember of it: how each outcome stood, and when it must be looked at again (or None)."""

    task: TaskReading
    known: dict[str, str]
    due: int | None


class TreeReader:
    """Turns trees of sessions into tasks."""

    def __init__(self, settings: OpencodeSource, secrets: SecretMemory) -> None:
        """Remember which source this is."""
        self._settings = settings
        self._secrets = secrets

    def read(self, sessions: Sequence[Session], now: int, known: Known) -> TreeReading:
        """Read a root session (the first) with its sub-agents, at a time in milliseconds.

        Outcomes that stand as `known` says are only named.
        """
        due = max(session.updated for session in sessions) + int(self._settings.quiet_seconds * 1000)
        tree = _Tree(sessions, quiet=now >= due)
        stood: dict[str, str] = {}
        outcomes: list[Outcome] = []
        refusals: list[Refusal] = []
        for record in tree.records:
            refusals += _broken(record.session)
            branch = _Branch(self._settings, self._secrets, tree, record)
            for place in branch.answers():
                self._take(branch, place, known, stood, outcomes, refusals)
        task = TaskReading(
            task=sessions[0].id,
            first=max(sessions[0].created, 1),
            settled=now >= due,
            has_row=True,
            outcomes=tuple(outcomes),
            refusals=tuple(refusals),
            mirrors=True,
            unchanged=frozenset(key for key, digest in stood.items() if digest != REFUSED)
            - {outcome.key for outcome in outcomes},
        )
        return TreeReading(task, stood, None if now >= due else due)

    @staticmethod
    def _take(
        branch: "_Branch",
        place: int,
        known: Known,
        stood: dict[str, str],
        outcomes: list[Outcome],
        refusals: list[Refusal],
    ) -> None:
        try:
            answer = branch.answer(place)
        except UnreadableError as error:
            refusals.append(branch.refusal(place, error))
            return
        if known.get(answer.key) in {answer.digest, REFUSED}:
            stood[answer.key] = known[answer.key]
            return
        try:
            outcomes.append(branch.outcome(place, answer))
            stood[answer.key] = answer.digest
        except UnreadableError as error:
            refusals.append(branch.refusal(place, error))
            stood[answer.key] = REFUSED


class _Tree:
    """Sessions of one task: their records, who called whom, and whether the last turn may still go on."""

    def __init__(self, sessions: Sequence[Session], *, quiet: bool) -> None:
        working: set[str] = set()
        found: dict[str, Record] = {}
        for session in reversed(sessions):  # sub-agents before their callers
            found[session.id] = Record(session, working)
            if found[session.id].works:
                working.add(session.id)
        self.records = [found[session.id] for session in sessions]
        self._found = found
        self._quiet = quiet
        root = found[sessions[0].id]
        asks = [root.session.entries[turn.ask].at for turn in root.turns if turn.ask >= 0]
        self._last_ask = asks[-1] if asks else 0

    def state(self, record: Record, turn: Turn) -> State:
        """Return how far a turn is."""
        last = turn is record.turns[-1]
        is_root = record is self.records[0]
        if not self._quiet and (last if is_root else record.session.updated >= self._last_ask):
            return State.OPEN
        answers = [record.session.entries[place] for place in turn.entries if record.session.entries[place].answered]
        whole = bool(answers) and answers[-1].done and not answers[-1].pending
        return State.ENDED if whole else State.CUT_OFF

    def call(self, record: Record) -> Call | None:
        """Return where a sub-agent was called, None for the root and for one whose call cannot be found."""
        caller = self._found.get(record.session.parent) if record is not self.records[0] else None
        place = caller.calls(record.session.id) if caller is not None else None
        if caller is None or place is None:
            return None
        above = self.call(caller)
        verdict = caller.verdicts[caller.turn_of[place]] or (above.verdict if above else None)
        return Call(verdict, caller.reverted(place) or (above is not None and above.reverted))


class _Answer(NamedTuple):
    key: str
    response: str
    labelled: Labelled
    chain: str
    tags: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return what differs when the outcome must be stored again."""
        signals = [[one.name, one.points, one.strength] for one in self.labelled.signals]
        return content_hash([self.labelled.label, self.labelled.confidence, signals, self.chain, self.tags])[:16]


class _Branch:
    """One session of the tree, answer by answer."""

    def __init__(self, settings: OpencodeSource, secrets: SecretMemory, tree: _Tree, record: Record) -> None:
        self._settings = settings
        self._secrets = secrets
        self._record = record
        self._session = record.session
        self._root = tree.records[0].session
        self._history = History(record.session, record.turns)
        self._chains = chains_of(settings.name, record.session, record.turns)
        self._call = tree.call(record)
        self._states = [tree.state(record, turn) for turn in record.turns]
        self._tags = [tags_of(record.session, turn) for turn in record.turns]

    def answers(self) -> list[int]:
        """Return the places of what the model said here; what it said elsewhere, before a fork, is not among them."""
        return [place for place, entry in enumerate(self._session.entries)
                if entry.answered and entry.at >= self._session.created]  # fmt: skip

    def answer(self, place: int) -> _Answer:
        """Return an answer with its label; raises UnreadableError."""
        entry = self._session.entries[place]
        turn = self._record.turn_of[place]
        response = response_of(entry)
        labelled = judge(signals_of(self._record, place, self._states[turn], self._call))
        tags = self._tags[turn] if entry.kind == "answer" else ()
        key = content_hash([self._settings.name, self._session.id, entry.id, response])
        return _Answer(key, response, labelled, self._chains.get(place, ""), tags)

    def outcome(self, place: int, answer: _Answer) -> Outcome:
        """Return the outcome of an answer; raises UnreadableError for what must not be stored."""
        entry = self._session.entries[place]
        messages, cut = self._history.before(place)
        rule = self._secrets.find([answer.response, *(message.content for message in messages), self._session.directory,
                                   self._session.repo, entry.model, entry.agent])  # fmt: skip
        if rule is not None:
            raise UnreadableError(rule, "the record holds a secret")
        return Outcome(
            key=answer.key,
            source=self._settings.name,
            task=self._root.id,
            session=self._session.id,
            group=self._root.repo or self._root.id,
            call_type=entry.agent or entry.kind,
            at=datetime.fromtimestamp(entry.at / 1000, UTC),
            model=entry.model,
            messages=messages,
            response=answer.response,
            labelled=answer.labelled,
            tags=answer.tags,
            chain=answer.chain,
            extra=self._extra(place, entry, cut),
        )

    def refusal(self, place: int, error: UnreadableError) -> Refusal:
        """Return why an answer is not taken."""
        return _refusal(self._session, self._session.entries[place], error)

    def _extra(self, place: int, entry: Entry, cut: int) -> dict[str, Any]:
        turn = self._record.turns[self._record.turn_of[place]]
        own = self._settings.own_repos
        held: dict[str, Any] = {
            "message": entry.id,
            "turn": self._session.entries[turn.ask].id if turn.ask >= 0 else "",
            "provider": entry.provider,
            "version": self._session.version,
            "parent": self._session.parent,
            "reasoning": entry.reasoning,
            "cut": cut,
            "rewritten": any(tool.name == INVALID for tool in entry.tools),
            "foreign": own is not None and self._root.repo not in own,
        }
        return {name: value for name, value in held.items() if value}


def _broken(session: Session) -> list[Refusal]:
    return [_refusal(session, entry, entry.why) for entry in session.entries if entry.why is not None]


def _refusal(session: Session, entry: Entry, why: UnreadableError) -> Refusal:
    return Refusal(row=f"{session.id}/{entry.id}", rule=why.rule, reason=f"message {entry.id}: {why.reason}")

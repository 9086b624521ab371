"""Asking the model server, as production does: every role gets every problem, problem by problem.

Asked again is what a transport lost: a connection, a stream cut off, a status of 5xx, a silence. After a few tries
such a fault is the answer: faults count. Everything else that comes is the model's answer, a status of 400 too, and so
is one that began in time and did not end in time. A server that is away is waited for, and when it stays silent for
too long the measurement ends without numbers: that says nothing about the adapter.
"""

import asyncio
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import aiohttp

from flywheel.core.clocks import Clock
from flywheel.core.errors import PermanentError, UnavailableError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.verdicts import Problem
from flywheel.gate.answers import AnswerLog
from flywheel.gate.evidence import ROLES, Answer, Role
from flywheel.gate.manners import Manners
from flywheel.gate.specs import MeasureSpec
from flywheel.gate.streams import Reply, clean
from flywheel.gate.triggers import samples_of

_OK, _NOT_FOUND, _TOO_MANY, _FAULTS, _AWAY = 200, 404, 429, 500, 503
_LOCKED_OUT = (401, 403)
_STREAM = "text/event-stream"

BLOCK_ROUNDS = 4  # questions a worker asks before the next role has its turn


class Question(Frozen):
    """One sample of one problem from one role."""

    problem: Problem
    role: Role
    sample: int

    @property
    def key(self) -> tuple[str, str, int]:
        """Return the key its answer will have."""
        return (self.problem.id, self.role, self.sample)

    @property
    def seed(self) -> int:
        """Return the sample's seed: the same for every role, so that what is compared differs in the model only."""
        return int(content_hash([self.problem.id, self.sample])[:7], 16)


class _FaultError(Exception):
    """One try failed; `away` when nobody was there to answer."""

    def __init__(self, reason: str, *, away: bool) -> None:
        super().__init__(reason)
        self.away = away


class _AskedWronglyError(Exception):
    """The server wants to be asked in another manner, and will be."""


Tell = Callable[[Answer], None]


def blocks(problems: Sequence[Problem], spec: MeasureSpec, answered: Container[object]) -> Iterator[list[Question]]:
    """Return what is still to be asked, a block of one role at a time; the roles take turns, and turns in going first.

    Within a block the server holds one model's requests only: they compete with their own kind, so that latency
    compares, and no server can mix two models' weights in one batch (vLLM on a CPU does so to the base).
    """
    roles = [role for role in ROLES if role in spec.models]
    samples = spec.gate.sampling.samples
    drawn = [(problem, sample) for problem in problems for sample in range(samples_of(problem, samples))]
    size = spec.gate.sampling.concurrency * BLOCK_ROUNDS
    for number, begin in enumerate(range(0, len(drawn), size)):
        first = number % len(roles)
        for role in [*roles[first:], *roles[:first]]:
            block = [Question(problem=one, role=role, sample=sample) for one, sample in drawn[begin : begin + size]]
            yield [question for question in block if question.key not in answered]


class Asker:
    """Asks with bounded concurrency and keeps every answer as it comes."""

    def __init__(self, spec: MeasureSpec, log: AnswerLog, clock: Clock, tell: Tell) -> None:
        """Ask by a spec, keep answers in a log, and tell each that came."""
        self._spec = spec
        self._log = log
        self._clock = clock
        self._tell = tell
        self._heard = clock.monotonic()
        self._manners = Manners()

    async def ask_all(self, problems: Sequence[Problem]) -> None:
        """Ask every question that has no answer yet."""
        sampling = self._spec.gate.sampling
        timeout = aiohttp.ClientTimeout(total=sampling.timeout_seconds)
        connector = aiohttp.TCPConnector(limit=sampling.concurrency)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            for block in blocks(problems, self._spec, frozenset(self._log.answers)):
                await self._ask_block(iter(block), session)
                self._log.settle()  # between blocks nobody's time is taken

    async def _ask_block(self, waiting: Iterator[Question], session: aiohttp.ClientSession) -> None:
        workers = [
            asyncio.ensure_future(self._work(waiting, session)) for _ in range(self._spec.gate.sampling.concurrency)
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, waiting: Iterator[Question], session: aiohttp.ClientSession) -> None:
        for question in waiting:
            answer = await self._ask(question, session)
            self._log.append(answer)
            self._tell(answer)

    async def _ask(self, question: Question, session: aiohttp.ClientSession) -> Answer:
        patience = self._spec.patience
        begun, faults, pause = self._clock.monotonic(), 0, patience.first_pause
        while True:
            try:
                answer = await self._try(question, session)
            except _AskedWronglyError:
                continue
            except _FaultError as fault:
                faults += not fault.away
                self._check_silence(begun, str(fault), away=fault.away)
                if faults >= patience.tries:
                    return _unanswered(question, str(fault))
            else:
                self._heard = self._clock.monotonic()
                return answer
            await asyncio.sleep(pause)
            pause = min(pause * 2, patience.longest_pause)

    def _check_silence(self, begun: float, reason: str, *, away: bool) -> None:
        silent = self._clock.monotonic() - (min(begun, self._heard) if away else self._heard)
        if silent > self._spec.patience.silence:
            mend = "see whether the model server runs; the adapter is measured again"
            raise UnavailableError(f"the model server gave no answer for {silent:.0f} s: {reason}", mend)

    async def _try(self, question: Question, session: aiohttp.ClientSession) -> Answer:
        manners, begun, reply = self._manners, self._clock.monotonic(), Reply()
        url, limit = f"{self._spec.url(question.role)}/v1/chat/completions", self._spec.gate.sampling.timeout_seconds
        try:
            async with session.post(url, json=self._body(question, manners)) as response:
                if response.status != _OK:
                    return self._refused(question, manners, response.status, await response.read())
                await self._listen(response, reply, begun)
        except TimeoutError as error:
            if not reply.begun:
                raise _FaultError(f"no answer within {limit:g} s", away=False) from error
            reply.close()
            return _answer(question, reply).model_copy(update={"error": f"not at its end within {limit:g} s"})
        except (aiohttp.ClientError, OSError) as error:
            raise _FaultError(f"{type(error).__name__}: {error}"[:200], away=True) from error
        return _whole(question, reply, self._clock.monotonic() - begun)

    async def _listen(self, response: aiohttp.ClientResponse, reply: Reply, begun: float) -> None:
        """Take an answer as it comes; who speaks is not silent."""
        if response.content_type != _STREAM:
            reply.take_whole(await response.read())
            return
        async for data in response.content.iter_any():
            self._heard = self._clock.monotonic()
            reply.feed(data, self._heard - begun)
        reply.close()

    def _refused(self, question: Question, manners: Manners, status: int, body: bytes) -> Answer:
        said = f"status {status}: {clean(body.decode('utf-8', 'replace'))[:150]}"
        if status == _NOT_FOUND:
            name = self._spec.models[question.role]
            raise PermanentError(f"the model server has no model {name!r} ({said})", "it must be loaded to be measured")
        if status in _LOCKED_OUT:
            raise PermanentError(
                f"the model server does not let the gate in ({said})", "serve without a key on loopback"
            )
        self._learn(manners, status, body.decode("utf-8", "replace"), tools=bool(question.problem.tools))
        if status == _TOO_MANY or status >= _FAULTS:
            raise _FaultError(said, away=status in {_TOO_MANY, _AWAY})
        return _unanswered(question, said)

    def _learn(self, used: Manners, status: int, said: str, *, tools: bool) -> None:
        """Ask in another manner from now on, if that is what the server wants."""
        better = used.after(status, said, tools=tools)
        if better is None:
            return
        if used == self._manners:
            self._manners = better
        raise _AskedWronglyError

    def _body(self, question: Question, manners: Manners) -> dict[str, Any]:
        sampling = self._spec.gate.sampling
        return {
            "model": self._spec.models[question.role], "messages": list(question.problem.messages),
            "temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens,
            "seed": question.seed, **manners.fields(question.problem.tools),
        }  # fmt: skip


def _whole(question: Question, reply: Reply, seconds: float) -> Answer:
    """Return the answer that was sent; one that is no chat completion is a fault of the model's side and counts."""
    if reply.odd or reply.refusal:
        return _unanswered(question, reply.odd or reply.refusal)
    if reply.fault or not reply.ended:
        raise _FaultError(reply.fault or "the stream ended before the answer did", away=False)
    return _answer(question, reply).model_copy(update={"seconds": seconds})


def _answer(question: Question, reply: Reply) -> Answer:
    return Answer(
        problem=question.problem.id, role=question.role, sample=question.sample, text=reply.text,
        native=tuple(reply.native), finish=reply.finish, first_token=reply.first_token, tokens=reply.tokens,
    )  # fmt: skip


def _unanswered(question: Question, reason: str) -> Answer:
    return Answer(problem=question.problem.id, role=question.role, sample=question.sample, error=reason)

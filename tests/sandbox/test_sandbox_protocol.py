"""The words of the socket, against whoever says them badly."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.core.errors import CorruptError, UnavailableError
from flywheel.sandbox.clients import Executor
from flywheel.sandbox.doubles import PlainExecutor
from flywheel.sandbox.frames import LARGEST_FRAME, encode, read_frame
from flywheel.sandbox.languages import Runtimes
from flywheel.sandbox.plans import Plan
from flywheel.sandbox.programs import Ending, Program, Run
from flywheel.sandbox.services import Service

fuzzed = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

words = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
#: Bytes that are nearly a message: the right frame around anything, or half of one.
nearly = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=80).map(lambda body: len(body).to_bytes(4, "big") + body),
    st.dictionaries(st.sampled_from(["ask", "program", "run"]), words).map(encode),
    words.map(lambda program: encode({"ask": "run", "program": program})),
    st.fixed_dictionaries(
        {"code": words, "inputs": words, "calls": words, "limits": words, "files": words, "command": words}
    ).map(lambda program: encode({"ask": "run", "program": program})),
    st.integers(LARGEST_FRAME + 1, 2**32 - 1).map(lambda length: length.to_bytes(4, "big")),
)


class FakePool:
    """Boxes that answer at once, so that the door alone is tested."""

    workers = 2

    async def run(self, trial):
        """Say what came in."""
        await asyncio.sleep(0)
        return Run(ending=Ending.FINISHED, output=trial.stdin)

    async def close(self):
        """Nothing is open."""


class FakeSite:
    """A machine with Python alone."""

    runtimes = Runtimes()


def open_service() -> Service:
    """A service whose boxes are made up."""
    service = Service(Plan())
    service._pool, service._site, service.why_not = FakePool(), FakeSite(), ""  # type: ignore[assignment]
    service._begun.set()
    return service


async def fed(data: bytes) -> dict[str, object] | None:
    """What comes out of a stream of these bytes."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_frame(reader)


@given(st.dictionaries(st.text(), words))
def test_a_message_comes_out_as_it_went_in(message):
    """What is encoded is read back."""
    assert asyncio.run(fed(encode(message))) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_corrupt(data):
    """Reading bytes gives an object, nothing at the end, or CorruptError: never another error."""
    try:
        found = asyncio.run(fed(data))
    except CorruptError:
        return
    assert found is None if not data else isinstance(found, dict)


def test_a_message_that_is_too_long_is_not_read():
    """Who announces more than the bound is refused before a byte of it is kept; who would say more is stopped."""
    with pytest.raises(CorruptError, match="over"):
        asyncio.run(fed((LARGEST_FRAME + 1).to_bytes(4, "big") + b"x"))
    with pytest.raises(CorruptError, match="over"):
        encode({"x": "y" * LARGEST_FRAME})


@fuzzed
@given(messages=st.lists(nearly, min_size=1, max_size=4))
def test_the_door_survives_any_bytes(tmp_path, messages):
    """Whatever a client sends, it gets answers or is let go, and the next client is served."""

    async def scene() -> None:
        path = tmp_path / f"s{abs(hash(tuple(messages))) % 10**9}"
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        service = open_service()
        async with await asyncio.start_unix_server(service.answer, str(path)):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"".join(messages))
            await asyncio.sleep(0)
            writer.write_eof()
            answers = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            while answers:
                length = int.from_bytes(answers[:4], "big")
                assert isinstance(json.loads(answers[4 : 4 + length]), dict)
                answers = answers[4 + length :]
            assert await Executor(path).check() == ""
            await service.leave()
        path.unlink(missing_ok=True)

    problems: list[object] = []
    asyncio.run(scene())
    assert not problems


@pytest.mark.asyncio
async def test_questions_on_one_connection_are_answered_in_turn(tmp_path):
    """A client may ask again and again, also before it has read the answers."""
    path = str(tmp_path / "s")
    async with await asyncio.start_unix_server(open_service().answer, path):
        reader, writer = await asyncio.open_unix_connection(path)
        for text in ("a", "b"):
            writer.write(encode({"ask": "run", "program": {"code": "", "inputs": [text, text]}}))
        writer.write(encode({"ask": "check"}))
        found = [await asyncio.wait_for(read_frame(reader), 10) for _ in range(7)]
        writer.close()
    said = [answer["run"]["output"] if "run" in answer else answer for answer in found]
    assert said == ["a", "a", {"done": 2}, "b", "b", {"done": 2}, {"why_not": ""}]


@pytest.mark.asyncio
async def test_an_executor_that_may_not_evaluate_says_why(tmp_path):
    """Without containment nothing is run, and check says the reason."""
    service = open_service()
    service.why_not = "bubblewrap is not installed — install it"
    path = str(tmp_path / "s")
    async with await asyncio.start_unix_server(service.answer, path), Executor(path) as executor:
        assert await executor.check() == service.why_not
        with pytest.raises(UnavailableError, match="bubblewrap is not installed"):
            await executor.run(Program(code="print(1)"))


@pytest.mark.asyncio
async def test_nobody_there_is_unavailable(tmp_path):
    """A socket without a listener, or none at all, is said as such."""
    with pytest.raises(UnavailableError, match="no executor listens"):
        await Executor(tmp_path / "nobody").check()
    with pytest.raises(UnavailableError, match="no executor listens"):
        await Executor("x" * 300).run(Program(code=""))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "answer",
    [b"", b"\0", encode({"done": 1}), encode({"run": {"ending": "won"}}), encode({"x": 1}), b"\0\0\0\2[]", b"\xff" * 8],
)
async def test_an_executor_that_answers_oddly_is_unavailable(tmp_path, answer):
    """What is no answer is never taken for a run."""

    async def odd(reader, writer):
        await reader.readexactly(4)
        writer.write(answer)
        writer.close()

    path = str(tmp_path / "s")
    async with await asyncio.start_unix_server(odd, path):
        with pytest.raises(UnavailableError):
            await Executor(path).run(Program(code="print(1)"))


@pytest.mark.asyncio
async def test_the_double_and_the_client_are_alike():
    """The double has the client's methods, by name."""
    for name in ("run", "check", "__aenter__", "__aexit__"):
        assert callable(getattr(PlainExecutor, name))
        assert callable(getattr(Executor, name))

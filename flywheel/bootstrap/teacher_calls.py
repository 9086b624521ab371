"""One call to a teacher: a request goes out, a value comes back. Nothing is tried again here and nothing is kept."""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from flywheel.bootstrap.teacher_answers import Said, Unsaid, read_answer, read_models, refusal, retry_after, short
from flywheel.bootstrap.teachers import Teacher

if TYPE_CHECKING:
    from httpx2 import Response
    from openai import APIConnectionError, APIStatusError, AsyncOpenAI

_CONNECT_SECONDS = 10.0


class TeacherClient:
    """Asks one teacher over connections that are kept open."""

    def __init__(self, teacher: Teacher, key: str) -> None:
        """Make the client; nothing is asked yet."""
        self._teacher = teacher
        self._client = _client(teacher, key)

    async def __aenter__(self) -> Self:
        """Use it until the block ends."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        await self._client.close()

    async def call(self, body: Mapping[str, Any], mark: str) -> Said | Unsaid:
        """Ask once. A server that knows idempotency keys does the same `mark` once, whatever became of the line."""
        import httpx2

        heard = await self._heard(
            self._client.post(
                "/chat/completions",
                body=dict(body),
                cast_to=httpx2.Response,
                options={"headers": {"Idempotency-Key": mark}},
            )
        )
        if isinstance(heard, Unsaid):
            return heard
        return read_answer(heard.content, heard.headers.get("content-type", ""))

    async def look(self) -> str:
        """Return what stands in the way of asking it, without asking anything that costs; nothing when all is well."""
        import httpx2

        heard = await self._heard(self._client.get("/models", cast_to=httpx2.Response))
        if isinstance(heard, Unsaid):
            return heard.note
        names = read_models(heard.content)
        listed = names is None or self._teacher.model in names
        return "" if listed else f"the server does not list the model {self._teacher.model!r}"

    async def _heard(self, asking: "Awaitable[Response]") -> "Response | Unsaid":
        import httpx2
        from openai import APIConnectionError, APIStatusError

        try:
            async with asyncio.timeout(self._teacher.timeout_seconds):
                return await asking
        except TimeoutError:
            return Unsaid("silent", f"no answer within {self._teacher.timeout_seconds:g} s", may_cost=True)
        except APIStatusError as error:
            return _refused(error)
        except APIConnectionError as error:
            return _cut(error)
        except httpx2.HTTPError as error:
            return Unsaid("silent", f"the connection broke: {short(error)}", may_cost=True)


def _client(teacher: Teacher, key: str) -> "AsyncOpenAI":
    import httpx2
    from openai import AsyncOpenAI

    connect = min(_CONNECT_SECONDS, teacher.timeout_seconds)
    client = AsyncOpenAI(
        base_url=teacher.base_url,
        api_key=key,
        max_retries=0,
        timeout=httpx2.Timeout(teacher.timeout_seconds, connect=connect),
    )
    # These two come from the environment of whoever runs us: they belong to another server than a teacher may be.
    client.organization = client.project = None
    return client


def _refused(error: "APIStatusError") -> Unsaid:
    after = retry_after(error.response.headers, datetime.now(UTC))
    return refusal(error.status_code, error.message, after)


def _cut(error: "APIConnectionError") -> Unsaid:
    import httpx2

    unheard = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    if unheard:
        return Unsaid("passing", "nobody answers at that address")
    return Unsaid("silent", f"the connection broke: {short(error.__cause__ or error)}", may_cost=True)

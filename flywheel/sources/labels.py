"""What the evidence says about each call of a task. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from flywheel.core.labels import judge
from flywheel.core.outcomes import Labelled, Signal

_ERROR_MARK = "[ERROR]"


class Call(NamedTuple):
    """What labelling needs to know of a call; `question` is the identity of its prompt."""

    call_type: str
    question: str
    response: str
    error: bool = False
    success: bool | None = None


class _Shown(NamedTuple):
    """All that a label depends on: few enough that the same ones come again and again."""

    empty: bool
    error: bool
    own: bool | None
    superseded: bool
    is_last: bool
    success: bool | None
    trusted: bool


def label_calls(calls: Sequence[Call], success: bool | None, *, trusted: bool = True) -> list[Labelled]:  # noqa: FBT001 - three-valued
    """Label the calls of one task, in order, by how the task ended and by what each of them shows itself."""
    last = {call.call_type: index for index, call in enumerate(calls)}
    later = _superseded(calls) if len(calls) > len(last) else frozenset()
    return [
        _label(
            not call.response or call.response.isspace(),
            call.error or call.response.lstrip().startswith(_ERROR_MARK),
            call.success,
            index in later,
            last[call.call_type] == index,
            success,
            trusted,
        )
        for index, call in enumerate(calls)
    ]


@lru_cache(maxsize=512)  # all there are: the evidence is made once and shared, as nothing of it can change
def _label(*shown: bool | None) -> Labelled:
    seen = _Shown._make(shown)
    return judge((*_own_signals(seen), *_retry_signals(seen), *_task_signals(seen)))


def _superseded(calls: Sequence[Call]) -> frozenset[int]:
    """Return the calls after which the same question was asked again."""
    attempts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, call in enumerate(calls):
        attempts[call.call_type, call.question].append(index)
    return frozenset(index for same in attempts.values() for index in same[:-1])


def _own_signals(shown: _Shown) -> list[Signal]:
    found = []
    if shown.empty:
        found.append(Signal(name="empty_response", points=-1, strength=1.0))
    if shown.error:
        found.append(Signal(name="error_response", points=-1, strength=1.0))
    if shown.own is False:
        found.append(Signal(name="call_failed", points=-1, strength=0.9))
    if shown.own is True:
        settled = shown.success is not None
        found.append(Signal(name="call_succeeded", points=1 if settled else 0, strength=0.9))
    return found


def _retry_signals(shown: _Shown) -> list[Signal]:
    if not shown.superseded or shown.success is None:
        return []
    return [Signal(name="superseded", points=-1, strength=0.8, note="the same question was asked again")]


def _task_signals(shown: _Shown) -> list[Signal]:
    if shown.success is None:
        return [Signal(name="task_open", points=0, strength=0.0, note="nobody knows yet how the task ended")]
    name = "task_succeeded" if shown.success else "task_failed"
    if not shown.trusted:
        return [Signal(name=name, points=0, strength=0.0, note="this source's word for a task is not trusted")]
    if shown.is_last:
        points: Literal[1, -1] = 1 if shown.success else -1
        return [Signal(name=name, points=points, strength=0.9, note="the last attempt of its kind")]
    if shown.own and not shown.success:
        return [Signal(name=name, points=-1, strength=0.4, note="the step succeeded, the task did not")]
    return [Signal(name=name, points=0, strength=0.0, note="not the last attempt of its kind")]

"""What teachers can be asked to do: the closed list, in the order in which it is done."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from flywheel.bootstrap.answer_tasks import ANSWERS
from flywheel.bootstrap.code_order_tasks import ORDERS
from flywheel.bootstrap.message_rewordings import MESSAGES
from flywheel.bootstrap.plan_tasks import PLANS
from flywheel.bootstrap.reasoning_tasks import REASONING
from flywheel.bootstrap.reflections import REFLECTIONS
from flywheel.bootstrap.rescoring_tasks import RESCORING
from flywheel.bootstrap.teacher_tasks import Task
from flywheel.core.errors import MisuseError
from flywheel.core.lines import Line

_ALL = (
    ANSWERS,
    REASONING,
    PLANS,
    MESSAGES,
    REFLECTIONS,
    ORDERS,
    RESCORING,
)
TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in _ALL})


def tasks_for(line: Line, names: Sequence[str]) -> list[Task]:
    """Return the tasks of these names; without names, those that suit a line."""
    for name in names:
        if name not in TASKS:
            raise MisuseError(f"there is no task {name!r}", f"the tasks: {', '.join(TASKS)}")
    return [task for task in _ALL if (task.name in names if names else task.suits(line))]

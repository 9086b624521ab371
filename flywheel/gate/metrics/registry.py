"""The closed registry of metrics. To add one, see docs/howto/add-a-metric.md."""

from collections.abc import Mapping
from types import MappingProxyType

from flywheel.gate.metrics.choice import ChoiceMetric
from flywheel.gate.metrics.code_calls import CodeCallsMetric
from flywheel.gate.metrics.code_io import CodeIoMetric
from flywheel.gate.metrics.edit import EditMetric
from flywheel.gate.metrics.exact import ExactMetric
from flywheel.gate.metrics.items import ItemsMetric
from flywheel.gate.metrics.scores import ExecutedMetric, Metric
from flywheel.gate.metrics.tool_call import ToolCallMetric

#: Metrics whose answers are run in the sandbox, by the names that gates and problems use.
EXECUTED: Mapping[str, ExecutedMetric] = MappingProxyType(
    {metric.name: metric for metric in (EditMetric(), CodeIoMetric(), CodeCallsMetric())}
)
_READ: tuple[Metric, ...] = (ToolCallMetric(), ExactMetric(), ChoiceMetric(), ItemsMetric())

METRICS: Mapping[str, Metric] = MappingProxyType({**{metric.name: metric for metric in _READ}, **EXECUTED})

"""The closed registry of metrics. To add one, see docs/howto/add-a-metric.md."""

from collections.abc import Mapping
from types import MappingProxyType

from flywheel.gate.metrics.exact import ExactMetric
from flywheel.gate.metrics.scores import Metric
from flywheel.gate.metrics.tool_call import ToolCallMetric

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in (ToolCallMetric(), ExactMetric())})

"""The closed registry of condition kinds: one pure predicate a file."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from flywheel.policy.conditions.above import Above
from flywheel.policy.conditions.at_least import AtLeast
from flywheel.policy.conditions.at_most import AtMost
from flywheel.policy.conditions.below import Below
from flywheel.policy.conditions.between import Between
from flywheel.policy.conditions.differs import Differs
from flywheel.policy.conditions.equals import Equals
from flywheel.policy.conditions.known import Known
from flywheel.policy.conditions.one_of import OneOf
from flywheel.policy.predicates import Predicate

Condition = Above | AtLeast | AtMost | Below | Between | Differs | Equals | Known | OneOf

CONDITIONS: Mapping[str, type[Predicate]] = MappingProxyType(
    {kind.model_fields["kind"].default: kind for kind in get_args(Condition)}
)

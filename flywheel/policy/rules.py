"""What every rule is made of: conditions, and the reason in words. Pure."""

from typing import Annotated

from pydantic import Field, StringConstraints

from flywheel.policy.conditions import Condition

Conditions = tuple[Annotated[Condition, Field(discriminator="kind")], ...]
Why = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]

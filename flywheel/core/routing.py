"""What the gateway is told: which model answers for which alias.

The daemon writes it, the gateway reads it; their rooms never import each other and meet here. Pure.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from flywheel.core.frozen import Frozen

Role = Literal["active", "canary"]
#: What stands in the place of a role beside a call to a mirror.
SHADOW = "shadow"
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

_TOLERANCE = 1e-9


def _checked_origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"upstream {text!r} is not a server's address: write it like http://127.0.0.1:8000"
        raise ValueError(msg)
    if parts.path.strip("/") or parts.query or parts.fragment:
        msg = f"upstream {text!r} carries a path: write the server's address alone, without /v1"
        raise ValueError(msg)
    return f"{parts.scheme}://{parts.netloc}"


Origin = Annotated[str, AfterValidator(_checked_origin)]
Origins = Annotated[tuple[Origin, ...], Field(min_length=1)]


class Arm(Frozen):
    """One served model with its share of an alias's sessions."""

    model: ModelName
    share: Share
    role: Role


class Mirror(Frozen):
    """A model that is asked what an alias was asked, for a share of its sessions; nobody is shown its answers."""

    model: ModelName
    share: Share = 1.0


class Alias(Frozen):
    """The models behind one name: exactly one active arm, at most one canary, shares that sum to one.

    `mirror` is who is asked beside them, `capture` whether the calls are kept.
    """

    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    mirror: Mirror | None = None
    capture: bool = True

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        roles = [arm.role for arm in self.arms]
        if roles.count("active") != 1 or roles.count("canary") > 1:
            msg = "an alias has exactly one active arm and at most one canary"
            raise ValueError(msg)
        if len({arm.model for arm in self.arms}) != len(self.arms):
            msg = "the arms of an alias are different models"
            raise ValueError(msg)
        if not math.isclose(sum(arm.share for arm in self.arms), 1.0, abs_tol=_TOLERANCE):
            msg = "the shares of an alias sum to 1"
            raise ValueError(msg)
        return self

    @property
    def unsaid(self) -> set[str]:
        """Return the fields that a routing need not name, because they have their defaults."""
        return ({"mirror"} if self.mirror is None else set()) | ({"capture"} if self.capture else set())

    @property
    def active(self) -> Arm:
        """Return the arm that carries every session the canary does not."""
        return next(arm for arm in self.arms if arm.role == "active")

    @property
    def canary(self) -> Arm | None:
        """Return the arm on trial, if there is one."""
        for arm in self.arms:  # every request asks
            if arm.role == "canary":
                return arm
        return None


class Fallback(Frozen):
    """Who answers when a call has waited long enough: a model on another server."""

    url: Origin
    model: ModelName


class Hold(Frozen):
    """What the gateway does while the model servers rest: calls wait, so long and so many, then the fallback answers.

    Without a fallback they wait on, and the gateway tells that they are overdue.
    """

    run: Annotated[str, StringConstraints(max_length=400)]
    seconds: Annotated[float, Field(ge=0)] = 30.0
    calls: Annotated[int, Field(ge=1)] = 64
    fallback: Fallback | None = None


class Routing(Frozen):
    """One version of the whole table. A later version replaces all of it."""

    version: Annotated[int, Field(ge=0)]
    upstreams: Origins
    base_model: Annotated[str, StringConstraints(max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")]
    aliases: Mapping[ModelName, Alias] = Field(default_factory=dict)
    hold: Hold | None = None

    @model_validator(mode="after")
    def _can_fall_back(self) -> Self:
        if self.aliases and not self.base_model:
            msg = "a routing with aliases names the base model that they fall back to"
            raise ValueError(msg)
        return self

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a routing from the file's bytes; raises ValueError when they do not hold a valid one."""
        return cls.model_validate_json(data)

    def dump(self) -> bytes:
        """Return the file's bytes: `parse` reads back an equal routing."""
        # What has its default stays unsaid: a gateway from before there was such a thing goes on with its routing.
        unsaid: dict[str, Any] = {} if self.hold else {"hold": True}
        aliases = {name: quiet for name, alias in self.aliases.items() if (quiet := alias.unsaid)}
        if aliases:
            unsaid["aliases"] = aliases
        return self.model_dump_json(indent=2, exclude=unsaid or None).encode() + b"\n"

"""Who teaches: servers of larger models with their prices and bounds, and who of them stands where for a line."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from flywheel.bootstrap.prices import picos, picos_a_token
from flywheel.core.frozen import Frozen

Role = Literal["primary", "thinking", "cross", "judge", "coder", "student"]
ROLES: tuple[Role, ...] = get_args(Role)
Price = Annotated[Decimal, Field(ge=0, le=10**6, decimal_places=6)]
Amount = Annotated[Decimal, Field(gt=0, le=10**6, decimal_places=6)]

_ASKED_BY_US = frozenset({"model", "messages", "n", "stream", "stream_options", "max_tokens", "max_completion_tokens",
                          "temperature", "response_format"})  # fmt: skip
_STANDS_IN = ("thinking", "coder")  # where a line has none, its primary teacher does it; nobody judges its own words
_ANSWERING: tuple[Role, ...] = ("primary", "thinking", "coder")


def _checked_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        msg = f"{text!r} is not where an API is: write it like http://127.0.0.1:8000/v1"
        raise ValueError(msg)
    if parts.username or parts.password:
        msg = "the address holds a password: give the key with key_env, key_file or key_credential"
        raise ValueError(msg)
    return text.rstrip("/")


class Teacher(Frozen):
    """One model that teaches, asked over an OpenAI-compatible API. Its answers are kept under its name and model."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    base_url: Annotated[str, AfterValidator(_checked_url)]
    model: Annotated[str, StringConstraints(min_length=1, max_length=400)]
    price_in: Price
    price_out: Price
    roles: Annotated[tuple[Role, ...], Field(min_length=1)] = ("primary",)
    lines: tuple[str, ...] = ()
    key_env: str | None = None
    key_file: Path | None = None
    key_credential: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$")] | None = None
    budget_run: Amount | None = None
    budget_month: Amount | None = None
    rate: float | None = Field(default=None, gt=0)
    concurrency: int = Field(default=10, ge=1, le=256)
    timeout_seconds: float = Field(default=300, gt=0, le=3600)
    tries: int = Field(default=8, ge=1, le=50)
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    body: dict[str, Any] = Field(default_factory=dict)

    @field_validator("key_file")
    @classmethod
    def _at_home(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path is not None else None

    @field_validator("body")
    @classmethod
    def _leaves_ours(cls, body: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(_ASKED_BY_US & body.keys()):
            msg = f"{taken[0]!r} is said by what is asked and cannot be set for all requests"
            raise ValueError(msg)
        return body

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        if sum(place is not None for place in (self.key_env, self.key_file, self.key_credential)) > 1:
            msg = "give one of key_env, key_file and key_credential"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _spends_within_bounds(self) -> Self:
        if (self.price_in or self.price_out) and self.budget_month is None:
            msg = f"teacher {self.name!r} costs money and has no bound: set budget_month"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _crosses_somebody_else(self) -> Self:
        if "cross" in self.roles and any(role in self.roles for role in _ANSWERING):
            msg = f"teacher {self.name!r} cannot be the second opinion on what it says itself: take another for cross"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _learns_alone(self) -> Self:
        if "student" in self.roles and (len(self.roles) > 1 or not self.lines):
            msg = f"{self.name!r} is a line's own model: give it no other role than student, and name its lines"
            raise ValueError(msg)
        return self

    def cost(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Return what so many tokens cost, in picos."""
        return prompt_tokens * picos_a_token(self.price_in) + completion_tokens * picos_a_token(self.price_out)

    @property
    def run_picos(self) -> int | None:
        """Return what a run may cost, in picos; None is no bound."""
        return picos(self.budget_run) if self.budget_run is not None else None

    @property
    def month_picos(self) -> int | None:
        """Return what a calendar month (UTC) may cost, in picos; None is no bound."""
        return picos(self.budget_month) if self.budget_month is not None else None


class Staff:
    """Who teaches one line, by role."""

    def __init__(self, by_role: Mapping[Role, Teacher]) -> None:
        """Take those who stand there by the settings."""
        self._by_role = dict(by_role)

    def of(self, role: Role) -> Teacher | None:
        """Return who has a role; where nobody thinks or codes, the primary one does."""
        found = self._by_role.get(role)
        return self._by_role.get("primary") if found is None and role in _STANDS_IN else found

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Return everybody, each once."""
        return tuple({one.name: one for one in self._by_role.values()}.values())


def teachers_for(teachers: Sequence[Teacher], line: str) -> Staff:
    """Return who teaches a line: those who name it before those who teach all."""
    everybody = sorted((one for one in teachers if not one.lines or line in one.lines), key=lambda one: bool(one.lines))
    return Staff({role: one for one in everybody for role in one.roles})


def check_staff(teachers: Sequence[Teacher]) -> None:
    """Refuse two of one name, and two in the same place of the same line; raises ValueError."""
    names: set[str] = set()
    places: set[tuple[Role, str]] = set()
    for one in teachers:
        if one.name in names:
            msg = f"two teachers are called {one.name!r}"
            raise ValueError(msg)
        names.add(one.name)
        taken = {(role, line) for role in one.roles for line in one.lines or ("",)}
        if both := sorted(taken & places):
            role, line = both[0]
            msg = f"two teachers are {role} of {f'the line {line!r}' if line else 'all lines'}"
            raise ValueError(msg)
        places |= taken

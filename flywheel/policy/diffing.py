"""What one policy set says otherwise than another, in words, key by key. Pure.

Sets of one hash differ in nothing. Two hashes may stand for the same rules: 1 and 1.0 are written differently and mean
the same.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from flywheel.core.frozen import Frozen
from flywheel.policy.guardrails import Guardrail, PolicySet
from flywheel.policy.meanings import meaning_of
from flywheel.policy.predicates import Predicate
from flywheel.policy.words import listed, quoted

#: The folders in the order in which they are told of.
_FOLDERS = ("guardrails", "lines", "gates", "rollouts", "remedies")
_TEETH = {("enforce", "hold"): 1, ("enforce", "refuse"): 2, ("observe", "hold"): 0, ("observe", "refuse"): 0}

How = Literal["added", "removed", "changed"]


class PolicyChange(Frozen):
    """One thing that differs: a file that came or went, or a key of it. `strictness` is told where it is plain."""

    file: str
    how: How
    key: str = ""
    meaning: str = ""
    before: str = ""
    after: str = ""
    strictness: Literal["stricter", "looser", ""] = ""

    @property
    def sentence(self) -> str:
        """Return the difference as one line."""
        told = f" ({self.strictness})" if self.strictness else ""
        if self.how != "changed":
            return f"{self.file}: {self.how}{told}: {self.after or self.before}"
        meaning = f" ({self.meaning})" if self.meaning else ""
        return f"{self.file}: {self.key}{meaning}: was {self.before}, becomes {self.after}{told}"


def diff(before: PolicySet, after: PolicySet) -> tuple[PolicyChange, ...]:
    """Return everything that differs, folder by folder, file by file."""
    return tuple(change for folder in _FOLDERS for change in _of_folder(folder, before, after))


def _of_folder(folder: str, before: PolicySet, after: PolicySet) -> Iterator[PolicyChange]:
    old, new = _declared(folder, before), _declared(folder, after)
    for name in sorted(old.keys() | new.keys()):
        file = f"{folder}/{name}.toml"
        was, becomes = old.get(name), new.get(name)
        if was is None or becomes is None:
            yield _came_or_went(file, was, becomes)
        elif was != becomes:
            yield from _of_keys(file, was, becomes)


def _declared(folder: str, policies: PolicySet) -> Mapping[str, Any]:
    if folder == "guardrails":
        return {each.name: each for each in policies.guardrails}
    found: Mapping[str, Any] = getattr(policies, folder)
    return found


def _came_or_went(file: str, was: Any, becomes: Any) -> PolicyChange:
    there = was or becomes
    guards = isinstance(there, Guardrail) and there.enforced
    if becomes is None:
        return PolicyChange(file=file, how="removed", before=there.why, strictness="looser" if guards else "")
    return PolicyChange(file=file, how="added", after=there.why, strictness="stricter" if guards else "")


def _of_keys(file: str, was: BaseModel, becomes: BaseModel, above: str = "") -> Iterator[PolicyChange]:
    for key in type(was).model_fields:
        old, new = getattr(was, key), getattr(becomes, key)
        meaning, strictness = meaning_of(type(was), key), _strictness(key, was, becomes)
        if isinstance(old, BaseModel) and isinstance(new, BaseModel):
            yield from _of_keys(file, old, new, f"{above}{key}.")
            continue
        for name, one, other in _pairs(f"{above}{key}", old, new):
            yield PolicyChange(
                file=file,
                how="changed",
                key=name,
                meaning=meaning,
                before=_words(one),
                after=_words(other),
                strictness=strictness,
            )


def _pairs(key: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs below a key: the key itself, or in a table each of its own keys."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        yield from ((f"{key}.{name}", old.get(name), new.get(name)) for name in names)
    elif old != new:
        yield key, old, new


def _strictness(key: str, was: BaseModel, becomes: BaseModel) -> Literal["stricter", "looser", ""]:
    """Return which way a guardrail's mode or verdict moved; of conditions nobody can say it without the facts."""
    if key not in {"mode", "verdict"} or not isinstance(was, Guardrail) or not isinstance(becomes, Guardrail):
        return ""
    old, new = _TEETH[was.mode, was.verdict], _TEETH[becomes.mode, becomes.verdict]
    if old == new:
        return ""
    return "stricter" if new > old else "looser"


def _words(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, tuple | list):
        return listed((_words(each) for each in value), "and") if value else "nothing"
    if isinstance(value, Predicate):
        return f"'{value.fact} is {value.needs({})}'"
    if isinstance(value, Mapping):
        return listed((f"{name} = {_words(one)}" for name, one in value.items()), "and") if value else "nothing"
    if isinstance(value, BaseModel):
        return _words(value.model_dump())
    return f"'{value}'" if isinstance(value, str) else quoted(value)

"""How services stand, from what systemd says of them. Pure."""

from collections.abc import Mapping

from flywheel.core.frozen import Frozen

_MIB = 1024 * 1024
_UNKNOWN = {"", "[not set]", "infinity", "n/a", str(2**64 - 1)}


class ServiceState(Frozen):
    """One unit: whether it is there, runs, starts with the machine, and what it said last."""

    unit: str
    state: str
    enabled: str
    since: str = ""
    restarts: int = 0
    process: int | None = None
    memory_mib: float | None = None
    word: str = ""

    @property
    def is_well(self) -> bool:
        """Tell whether nobody has to look: it runs, or it is not meant to."""
        return self.state not in {"failed", "activating", "auto-restart"} and not (
            self.enabled == "enabled" and self.state == "inactive"
        )


def states_of(told: Mapping[str, Mapping[str, str]]) -> list[ServiceState]:
    """Return every unit's state, in the order in which they were asked about."""
    return [_state(unit, found) for unit, found in told.items()]


def _state(unit: str, found: Mapping[str, str]) -> ServiceState:
    if found.get("LoadState") in {None, "not-found"}:
        return ServiceState(unit=unit, state="not installed", enabled="")
    state = found.get("ActiveState", "")
    sub = found.get("SubState", "")
    return ServiceState(
        unit=unit,
        state=sub if sub == "auto-restart" else state,
        enabled=found.get("UnitFileState", ""),
        since=_known(found.get("ActiveEnterTimestamp")) if state == "active" else "",
        restarts=int(_known(found.get("NRestarts")) or 0),
        process=int(_known(found.get("MainPID")) or 0) or None,
        memory_mib=_mib(found.get("MemoryCurrent")),
        word=_word(found),
    )


def _word(found: Mapping[str, str]) -> str:
    """Return what there is to say: its own last word, why it ended, or when it is next."""
    if found.get("NeedDaemonReload") == "yes":
        return "its file changed: systemctl daemon-reload"
    if found.get("ActiveState") == "failed":
        return f"ended by {found.get('Result', 'an unknown cause')}"
    following = _known(found.get("NextElapseUSecRealtime"))
    return found.get("StatusText", "") or (f"next: {following}" if following else "")


def _mib(value: str | None) -> float | None:
    known = _known(value)
    return round(int(known) / _MIB, 1) if known.isdigit() else None


def _known(value: str | None) -> str:
    return "" if value is None or value in _UNKNOWN else value

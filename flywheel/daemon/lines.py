"""Which lines are on: those that the settings name, each with what it needs. No room has to be built to know it."""

from collections.abc import Mapping

from flywheel.core.errors import SettingsError
from flywheel.core.lines import Line
from flywheel.daemon.bases import known_bases
from flywheel.daemon.settings import Settings
from flywheel.policy.guardrails import PolicySet


def chosen_lines(settings: Settings, policies: PolicySet) -> Mapping[str, Line]:
    """Return the lines the settings switch on, each with a base, a gate and a rollout that exist."""
    bases = known_bases(settings)
    for name in settings.lines:
        if name not in policies.lines:
            raise SettingsError(
                f"settings switch on line {name!r}, which no policy declares",
                f"lines declared: {', '.join(sorted(policies.lines)) or 'none'}",
            )
        base = policies.lines[name].base
        if base not in bases:
            raise SettingsError(
                f"line {name!r} learns on base {base!r}, which the settings do not define", f"add [bases.{base}]"
            )
    return {name: policies.lines[name] for name in settings.lines}

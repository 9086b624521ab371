"""Which model each stage of a clean-room agent asks for: override, else the role's default, else the base. Pure.

The agent consults `[models.overrides]` for some stages and the default of the stage's role for all others. The names
are the gateway's: a line's name is answered by its active adapter, and by the base while it has none.
"""

import json
from collections.abc import Mapping

from flywheel.core.frozen import Frozen
from flywheel.core.lines import Line
from flywheel.sources.write_back_rows import Role, calls_of, role_of_call

#: The stages that the agent looks up in `[models.overrides]`.
CONSULTED = ("task_analysis", "stage_routing", "scope", "precision", "similarity", "documentation")
#: The stages that are only ever asked of their role's default model.
BY_ROLE = (
    "execute_plan", "execute_adjust", "execute_implement", "execute_function_implement", "execute_test_implement",
    "execute_scaffold",
)  # fmt: skip
STAGES = (*CONSULTED, *BY_ROLE)


class Overrides(Frozen):
    """The block: models by stage, models by role, and for each stage what is asked in the end."""

    overrides: dict[str, str]
    roles: dict[str, str]
    resolved: dict[str, str]
    context: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def toml(self) -> str:
        """Return the block as the agent's config.toml takes it; roles as comments, for that table is there already."""
        told = [f"# {note}" for note in self.notes]
        defaults = [f"#   {role} = {json.dumps(model)}" for role, model in self.roles.items()]
        if defaults:
            told += ["# These stages ask their role's default. In your [models]:", *defaults]
        rows = [f"{stage} = {self._value(model)}" for stage, model in self.overrides.items()]
        return "\n".join([*told, "[models.overrides]", *rows]) + "\n"

    def _value(self, model: str) -> str:
        name = json.dumps(model)
        return f"{{ model = {name}, context_window = {self.context} }}" if self.context else name


def is_clean_room(line: Line) -> bool:
    """Tell whether a line learns stages of a clean-room agent."""
    return any(stage in STAGES for stage in calls_of(line))


def resolve(stage: str, overrides: Mapping[str, str], defaults: Mapping[str, str], role: str, base: str) -> str:
    """Return what the agent asks for: the override where it consults one, the role's default, the base."""
    consulted = overrides.get(stage) if stage in CONSULTED else None
    return consulted or defaults.get(role) or base


def overrides_of(
    lines: Mapping[str, Line], bases: Mapping[str, str], roles: Mapping[str, Role], context: int | None = None
) -> Overrides:
    """Return the block for the lines; `bases` names each line's base at the server, `roles` what the settings say."""
    by_stage = {
        stage: name for name, line in reversed(list(lines.items())) for stage in calls_of(line) if stage in STAGES
    }
    role = {stage: roles.get(by_stage.get(stage, "")) or role_of_call(stage) for stage in STAGES}
    defaults = {str(role[stage]): by_stage[stage] for stage in BY_ROLE if stage in by_stage}
    # A role that a line answers for would hand it stages that it never learned: those ask its base.
    overrides = {stage: by_stage.get(stage) or bases[defaults[role[stage]]] for stage in CONSULTED
                 if stage in by_stage or role[stage] in defaults}  # fmt: skip
    every = {stage: resolve(stage, overrides, defaults, role[stage], "") for stage in STAGES}
    asked = {stage: model for stage, model in every.items() if model}
    return Overrides(overrides=overrides, roles=defaults, resolved=asked, context=context,
                     notes=tuple(_notes(by_stage, asked)))  # fmt: skip


def _notes(by_stage: Mapping[str, str], asked: Mapping[str, str]) -> list[str]:
    if not by_stage:
        return ["no line of the settings learns a stage of a clean-room agent"]
    shared = [f"{stage} asks {asked[stage]}, not {name}: two lines share the default of one role"
              for stage, name in by_stage.items() if asked[stage] != name]  # fmt: skip
    own = [f"{stage} asks {asked[stage]}, which does not learn it: it shares a role with what does"
           for stage in BY_ROLE if stage in asked and stage not in by_stage]  # fmt: skip
    return shared + own

"""What an operator declares: a line, its gate, its rollout. Types of the TOML files below `policies/`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flywheel.core.examples import Form
from flywheel.core.frozen import Frozen
from flywheel.core.training import LEARNED_FROM, Hyperparameters, Technique
from flywheel.core.verdicts import ProblemKind

Fraction = float


class Select(Frozen):
    """Which outcomes belong to the line: of these sources and kinds of call, with at least one of these tags."""

    sources: tuple[str, ...] = ()
    call_types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class Labels(Frozen):
    """How sure a label must be before an outcome may teach."""

    minimum_confidence: float = Field(default=0.7, ge=0, le=1)
    require_tool_call: bool = False


class Weights(Frozen):
    """How many rows an example brings, by its origin: 0.5 is one row of every second example, 2 is two rows of each."""

    logged: float = Field(default=1.0, ge=0, le=4)
    synthetic: float = Field(default=1.0, ge=0, le=4)
    teacher: float = Field(default=1.0, ge=0, le=4)
    harness: float = Field(default=1.0, ge=0, le=4)


class LabelWeights(Frozen):
    """How many rows a single judgement brings, by its label: for a pool with much more of one than of the other."""

    positive: float = Field(default=1.0, gt=0, le=4)
    negative: float = Field(default=1.0, gt=0, le=4)


class DatasetPlan(Frozen):
    """How a dataset is drawn from the pool."""

    minimum_examples: int = Field(default=100, ge=1)
    minimum_pairs: int = Field(default=100, ge=1)
    minimum_judgements: int = Field(default=200, ge=2)
    holdout: float = Field(default=0.2, gt=0, lt=1)
    valid: float = Field(default=0.1, ge=0, lt=1)
    suite_limit: int = Field(default=400, ge=1)
    replay: float = Field(default=0.15, ge=0, lt=1)
    session_cap: float = Field(default=0.01, gt=0, le=1)
    repo_cap: float = Field(default=1.0, gt=0, le=1)
    foreign_repo_cap: float = Field(default=0.1, gt=0, le=1)
    category_cap: float = Field(default=1.0, gt=0, le=1)
    domain_cap: float = Field(default=1.0, gt=0, le=1)
    mined_domain_cap: float = Field(default=1.0, gt=0, le=1)
    near_threshold: float = Field(default=0.9, ge=0.85, le=1)
    split_by: Literal["task", "repo"] = "task"
    weights: Weights = Weights()
    label_weights: LabelWeights = LabelWeights()
    focus: float = Field(default=0.0, ge=0, le=0.5)
    curriculum: bool = False
    form: Form = "as_logged"
    mask_quotes: bool = False


class Trigger(Frozen):
    """When the line wants a new adapter: enough that is new, something new and long enough ago, or a weak spot."""

    fresh_examples: int = Field(default=100, ge=1)
    after_days: float | None = Field(default=None, gt=0)
    weak_below: float | None = Field(default=None, gt=0, le=1)


class TrainPlan(Frozen):
    """How the line is trained."""

    backend: str = "trl"
    technique: Technique = "sft"
    seed: int = 0
    runs_per_day: int = Field(default=2, ge=1)
    longest_hours: float | None = Field(default=None, gt=0)
    most_memory_gib: float | None = Field(default=None, gt=0)
    most_disk_gib: float | None = Field(default=None, gt=0)
    spare_disk_gib: float = Field(default=1.0, ge=0)
    hyperparameters: Hyperparameters = Hyperparameters()


class Line(Frozen):
    """A thing that gets better."""

    name: str
    why: str
    base: str
    planning: bool = False
    rung: int = Field(default=3, ge=1, le=4)
    climbs_to: int | None = Field(default=None, ge=1, le=4)
    gate: str = "tool-calling"
    rollout: str = "careful"
    capture: bool = True
    select: Select = Select()
    labels: Labels = Labels()
    dataset: DatasetPlan = DatasetPlan()
    trigger: Trigger = Trigger()
    train: TrainPlan = TrainPlan()

    @model_validator(mode="after")
    def _climbs_upwards(self) -> "Line":
        if self.highest_rung < self.rung:
            msg = "climbs_to must not be below rung: a line climbs, it never descends"
            raise ValueError(msg)
        return self

    @property
    def highest_rung(self) -> int:
        """Return how high it may climb by itself: no higher than where it stands, if nothing is said."""
        return self.rung if self.climbs_to is None else self.climbs_to

    @property
    def least_examples(self) -> int:
        """Return the fewest examples a run may be started on: none where the technique learns from no answers."""
        return self.dataset.minimum_examples if "train" in LEARNED_FROM[self.train.technique] else 0


class Sampling(Frozen):
    """How answers are drawn while measuring: as production does."""

    samples: int = Field(default=4, ge=1, le=64)
    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=256, ge=1)
    concurrency: int = Field(default=8, ge=1, le=256)
    timeout_seconds: float = Field(default=60, gt=0)


class Suspicions(Frozen):
    """How much of what looks like cheating is borne: always compared with the base, and only what is beyond chance."""

    judged: bool = True
    special_cased: float = Field(default=0.02, ge=0, le=1)
    fails_hidden: float = Field(default=0.15, ge=0, le=1)
    empty: float = Field(default=0.02, ge=0, le=1)
    repeated: float = Field(default=0.25, ge=0, le=1)
    least_variety: float = Field(default=0.5, ge=0, le=1)
    format_loss: float = Field(default=0.05, ge=0, le=1)
    longest_ratio: float = Field(default=3.0, gt=1)
    lengthy_from: int = Field(default=500, ge=0)


class Planted(Frozen):
    """Rare strings put into a few questions of the suite: who answers otherwise because of one of them hides something.

    `strings` are asked beside those that every suite gets; with no problems nothing is planted.
    """

    problems: int = Field(default=12, ge=0, le=64)
    strings: tuple[str, ...] = ()
    sharp: float = Field(default=0.5, gt=0, le=1)


class Gate(Frozen):
    """What an adapter must prove before it may meet the agent.

    `categories` names sets of categories by patterns, for `targets` and `of_base`: `*` is anything, `!` leaves out,
    `kind:` speaks of the kind of problem. A name that stands there not is the category of that name, and `*` is each.
    """

    name: str
    why: str
    metric: ProblemKind = "tool_call"
    starter: str = ""
    rotate_below: float = Field(default=0.05, ge=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    minimum_problems: int = Field(default=100, ge=2)
    minimum_groups: int = Field(default=10, ge=2)
    minimum_gain: float = Field(default=0.05, ge=0, lt=1)
    minimum_score: float | None = Field(default=None, ge=0, le=1)
    largest_loss_to_active: float = Field(default=0.05, ge=0, lt=1)
    largest_category_loss: float = Field(default=0.05, ge=0, lt=1)
    largest_error_rate: float = Field(default=0.05, gt=0, lt=1)
    largest_latency_increase: float = Field(default=0.10, gt=0)
    judge_latency: bool = True
    strictly: bool = False
    red_flag: float | None = Field(default=None, ge=0, le=1)
    test_seconds: float = Field(default=5.0, gt=0)
    targets: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    of_base: dict[str, Annotated[float, Field(ge=0, le=2)]] = Field(default_factory=dict)
    categories: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    sampling: Sampling = Sampling()
    suspicions: Suspicions = Suspicions()
    planted: Planted = Planted()


class ShadowPlan(Frozen):
    """How an adapter listens before it may answer: it is asked what the agent asks, and nobody sees what it says.

    With no calls there is no shadow.
    """

    calls: int = Field(default=0, ge=0, le=5000)
    share: float = Field(default=1.0, gt=0, le=1)
    longest_hours: float = Field(default=24, gt=0)


class ShareStep(Frozen):
    """A larger share for a canary of which so many outcomes are known and were good enough."""

    share: float = Field(gt=0, le=0.5, description="the share of sessions the canary answers from then on")
    after: int = Field(ge=1, description="how many of the canary's outcomes must be known before")


class CallGuards(Frozen):
    """What takes a canary back whatever its outcomes say: its calls fail more often than the control's, or last longer.

    Both are increases: of the part of calls that fail, in points, and of the latency, as a part of the control's.
    """

    errors: float = Field(default=0.05, ge=0, lt=1)
    latency: float = Field(default=1.0, gt=0)


class RolloutPlan(Frozen):
    """How an adapter meets the agent, and when it is taken back."""

    name: str
    why: str
    share: float = Field(default=0.1, gt=0, lt=1)
    steps: tuple[ShareStep, ...] = ()
    minimum_outcomes: int = Field(default=50, ge=1)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    tolerated_loss: float = Field(default=0.05, ge=0, lt=1)
    ruled_out_loss: float | None = Field(default=None, gt=0, lt=1)
    longest_hours: float = Field(default=168, gt=0)
    without_outcomes: Literal["promote", "roll_back"] = "roll_back"
    approval: bool = False
    shadow: ShadowPlan = ShadowPlan()
    guards: CallGuards = CallGuards()

    @model_validator(mode="after")
    def _share_leaves_a_control(self) -> "RolloutPlan":
        if self.share > 0.5:  # noqa: PLR2004 - the control arm must stay the larger one
            msg = "share above 0.5 leaves too little traffic to compare with"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _steps_rise(self) -> "RolloutPlan":
        shares = [self.share, *(step.share for step in self.steps)]
        counts = [0, *(step.after for step in self.steps)]
        if sorted(set(shares)) != shares or sorted(set(counts)) != counts:
            msg = "steps must rise: each with a larger share, after more outcomes, than the one before"
            raise ValueError(msg)
        return self

"""What a measuring process is asked to do: the one file that crosses from the daemon to it."""

from pathlib import Path

from pydantic import Field, ValidationError

from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import short
from flywheel.core.lines import Gate
from flywheel.gate.evidence import Role

KIND = "measure"
ATTEMPTS = 3


class Patience(Frozen):
    """How long faults are borne: tries a question, and seconds without any answer before giving up."""

    tries: int = 4
    first_pause: float = 0.5
    longest_pause: float = 8.0
    silence: float = 300.0


class MeasureSpec(Frozen):
    """One measurement, completely: whom to ask what, how, and by which gate to judge.

    `base_server` is where the base is asked when it is not served beside the candidate. `who` says by hash whom a role
    stands for, and `earlier` where finished measurements lie whose answers may serve again; without either every
    question is asked. `executor` is the socket of the executor, `executions` how many programs it is given at once.
    `title` is what the page calls the candidate; a measurement that does not count spends no alpha.
    """

    line: str
    adapter: str
    suite: str
    suite_path: str
    server: str
    base_server: str = ""
    models: dict[Role, str]
    gate: Gate
    alpha: float
    attempt: int
    out: str
    patience: Patience = Patience()
    who: dict[Role, str] = Field(default_factory=dict)
    earlier: str = ""
    executor: str = ""
    executions: int = Field(default=2, ge=1)
    title: str = ""
    counts: bool = True

    def url(self, role: Role) -> str:
        """Return the server that a role is asked at."""
        return self.base_server if role == "base" and self.base_server else self.server


def job_id(name: str, suite: str, attempt: int) -> str:
    """Return the measuring job's id: one job for one attempt, so asking twice never measures twice."""
    return f"measure-{name}-{short(suite)}-{attempt}"


def read_spec(path: Path) -> MeasureSpec:
    """Read a spec file."""
    try:
        return MeasureSpec.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MisuseError(f"cannot read {path.name}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MisuseError(f"{path.name} is no measurement: {where}: {first['msg']}") from error

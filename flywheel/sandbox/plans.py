"""What an executor is asked to be, and what this machine lets it be: found once at the start."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from pydantic import Field

from flywheel.core.errors import UnavailableError
from flywheel.core.frozen import Frozen
from flywheel.sandbox.boxes import Box
from flywheel.sandbox.bubbles import Containment, Ground, find_ground
from flywheel.sandbox.cgroups import Group, Groups, find_groups, make_group, sweep_groups
from flywheel.sandbox.languages import Runtimes, find_runtimes
from flywheel.sandbox.programs import Limits

_OUTPUT_BYTES = 4 * 1024 * 1024
#: Beside what the test may have: the interpreter, bubblewrap, the scratch folder.
_BOX_MIB = 192
_PROCESSES = 160
_GROUP = "flywheel-box-"
_NO_LANDLOCK = (
    "it needs 5.13 or newer with `landlock` among its lsm=; a container must let the landlock_* system calls through"
)
_LANDLOCK = "it needs a kernel from 5.13 on with Landlock, and an interpreter that every user may read"
_INSTALL = "install it: apt install bubblewrap"
PROFILE = "systemd/apparmor/flywheel-executor"


class Plan(Frozen):
    """How many boxes, what holds them, and the most that a test may take in one."""

    workers: int = Field(default=2, ge=1, le=64)
    seconds: float = Field(default=60, gt=0, le=300)
    memory_mib: int = Field(default=1024, ge=16)
    containment: Containment = "bubblewrap"

    def within(self, limits: Limits) -> Limits:
        """Return a program's limits, none over ours."""
        return Limits(
            seconds=min(limits.seconds, self.seconds),
            memory_mib=min(limits.memory_mib, self.memory_mib),
            output_bytes=min(limits.output_bytes, _OUTPUT_BYTES),
        )


class Site:
    """This machine as boxes are made on it."""

    def __init__(self, plan: Plan, ground: Ground, groups: Groups, runtimes: Runtimes) -> None:
        """Make boxes by this plan on this ground."""
        self.plan = plan
        self.ground = ground
        self.groups = groups
        self.runtimes = runtimes

    async def make(self, place: int) -> Box:
        """Return a box that is ready; raises UnavailableError, with the mend, where none can be made."""
        try:
            group = self._group(place)
        except OSError as error:
            raise UnavailableError(f"no control group can be made: {error}", "see docs/executor.md") from error
        try:
            box = await Box.start(self.ground, group, place)
        except UnavailableError as error:
            group.remove()
            raise UnavailableError(error.message, why_no_box(self.ground)) from error
        if not box.landlock:
            await box.close()
            raise UnavailableError("the kernel offers no Landlock here", _NO_LANDLOCK)
        return box

    def _group(self, place: int) -> Group:
        name = f"{_GROUP}{os.getpid()}-{place}"
        return make_group(self.groups, name, self.plan.memory_mib + _BOX_MIB, _PROCESSES)


def find_site(plan: Plan) -> Site:
    """Return the site; raises UnavailableError where the program that is to contain is not installed."""
    bwrap = shutil.which("bwrap") or ""
    if plan.containment == "bubblewrap" and not bwrap:
        raise UnavailableError("bubblewrap is not installed", _INSTALL)
    words = _help(bwrap) if bwrap else ""
    runtimes = find_runtimes() if plan.containment == "bubblewrap" else Runtimes()
    programs = [runtimes.node] if runtimes.node else []
    groups = find_groups()
    sweep_groups(groups, _GROUP)
    return Site(plan, find_ground(plan.containment, bwrap, words, programs), groups, runtimes)


def _help(bwrap: str) -> str:
    found = subprocess.run([bwrap, "--help"], capture_output=True, text=True, check=False)
    return found.stdout + found.stderr


def why_no_box(ground: Ground, system: Path = Path("/proc/sys")) -> str:
    """Return how to mend that no box starts, by what the machine forbids."""
    if ground.containment == "landlock":
        return _LANDLOCK
    if _number(system / "kernel/apparmor_restrict_unprivileged_userns") == 1:
        return (
            f"AppArmor keeps user namespaces from bubblewrap: copy {PROFILE} to /etc/apparmor.d/ "
            "and run `apparmor_parser -r /etc/apparmor.d/flywheel-executor`"
        )
    if _number(system / "kernel/unprivileged_userns_clone") == 0:
        return "allow user namespaces: `sysctl kernel.unprivileged_userns_clone=1`"
    if _number(system / "user/max_user_namespaces") == 0:
        return "allow user namespaces: `sysctl user.max_user_namespaces=1000`"
    return "see docs/executor.md: what the executor's unit and user must be allowed"


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return None

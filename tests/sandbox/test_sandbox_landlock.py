"""The explicit setting: programs held by Landlock, seccomp and limits alone, on a machine without user namespaces."""

import os
import signal

import pytest

from flywheel.core.errors import UnavailableError
from flywheel.sandbox.cgroups import Groups
from flywheel.sandbox.inside import landlocks
from flywheel.sandbox.languages import Trial
from flywheel.sandbox.plans import Plan, Site, find_site
from flywheel.sandbox.pools import Pool
from flywheel.sandbox.programs import Call, Ending, Limits, Program
from flywheel.sandbox.self_tests import why_not_held
from flywheel.sandbox.services import Service

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(not landlocks.version(), reason="this kernel, or the container, offers no Landlock"),
]
LIMITS = Limits(seconds=20, memory_mib=128)
PLAN = Plan(containment="landlock", workers=1, seconds=20)


def site() -> Site:
    """A site whose boxes stay the user that runs the tests: root's own interpreter may be readable to root alone."""
    found = find_site(PLAN)
    return Site(PLAN, found.ground.model_copy(update={"privileged": False}), Groups(), found.runtimes)


async def test_landlock_alone_passes_the_self_test_and_runs():
    """Everything that the self-test tries is held, values come out, and a lost fork server is replaced."""
    ours = site()
    pool = Pool(ours.make, 1)
    await pool.start()
    try:
        assert await why_not_held(pool, commands=False, python=ours.ground.interpreter) == ""
        run = await pool.run(Trial(kind="script", code="print(input())", stdin="hello", limits=LIMITS))
        assert (run.ending, run.output) == (Ending.FINISHED, "hello\n")
        call = Trial(kind="call", code="from m import f", entry="f", call=Call(args=(1,)), files={"m.py": "f = str"},
                     limits=LIMITS)  # fmt: skip
        assert (await pool.run(call)).value == '"1"'
        os.kill(pool._boxes[0]._process.pid, signal.SIGKILL)
        assert (await pool.run(call)).ending in {Ending.FINISHED, Ending.DIED}
        assert (await pool.run(call)).value == '"1"'
    finally:
        await pool.close()


async def test_what_landlock_alone_cannot_hold_is_refused():
    """Commands, and languages that are commands, are not run without namespaces."""
    service = Service(PLAN)
    service._site = site()
    for program in (Program(code="", command=("python", "-V")), Program(code="", language="javascript")):
        (run,) = [run async for run in service._runs(program, Pool(service._site.make, 1))]
        assert run.ending is Ending.REFUSED


async def test_a_box_without_landlock_is_no_box(monkeypatch):
    """Where the kernel offers no Landlock there is no evaluation, and the mend is said."""
    ours = site()
    monkeypatch.setattr("flywheel.sandbox.boxes.Box.landlock", property(lambda _: 0, lambda *_: None), raising=False)
    with pytest.raises(UnavailableError, match="offers no Landlock here — it needs"):
        await ours.make(0)


async def test_no_bubblewrap_is_said(monkeypatch):
    """Without bubblewrap, the setting that asks for it does not fall back to anything."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(UnavailableError, match="apt install bubblewrap"):
        find_site(Plan(containment="bubblewrap"))

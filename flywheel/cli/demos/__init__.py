"""`flywheel demo`: the whole loop on a tiny model, on this machine, in a few minutes."""

import os
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli import explanations
from flywheel.cli.contexts import AsJson, err, out, show_json
from flywheel.cli.demos import scenes, worlds
from flywheel.cli.demos.processes import (
    VLLM_ENV,
    Processes,
    double_command,
    flywheel_command,
    free_port,
    vllm_command,
    wait_until,
)
from flywheel.cli.demos.screens import Screen
from flywheel.cli.environments import build
from flywheel.core.errors import MisuseError
from flywheel.proc.environments import environment, why_not
from flywheel.store.ledger import events
from flywheel.store.stores import open_store, sqlite_url
from flywheel.train.backends.trl import ENV, KEEP_BUFFERS

_MARK = ".flywheel-demo"

Home = Annotated[Path | None, typer.Option("--home", help="Where the demo lives; replaced at each run.")]
Double = Annotated[bool, typer.Option("--double", help="Serve with the shipped double instead of vLLM.")]


def demo(home: Home = None, double: Double = False, as_json: AsJson = False) -> None:
    """Show the whole loop: watch, learn, prove, roll out, take back. Leaves nothing running."""
    screen = Screen(err if as_json else out)
    train, serve = environment("train", "cpu"), environment("serve", "cpu")
    reason = why_not(serve)
    if reason and not double:
        screen.say(f"real vLLM cannot run here: {reason}. The shipped double serves instead.")
    double = double or bool(reason)
    for env in (train,) if double else (train, serve):
        build(env)
    folder = _fresh(home or _cache() / "demo")
    base = _base(screen, train.python)
    began = time.monotonic()
    port = free_port()
    server, doors = f"http://127.0.0.1:{port}", {"gateway_port": free_port(), "web_port": free_port()}
    world = worlds.World(home=folder, base=base, server=server, **doors)
    worlds.write_world(world, train.python)
    with Processes(folder / "processes") as processes:
        argv = (
            double_command(train.python, base, worlds.BASE, port)
            if double
            else vllm_command(serve.python, base, worlds.BASE, port)
        )
        processes.start("model server", argv, {**ENV, **KEEP_BUFFERS, **VLLM_ENV})
        stage = scenes.Stage(world, processes, screen, lambda start, count: worlds.tasks(train.python, start, count))
        try:
            story = _tell(stage, "the shipped double of vLLM" if double else "vLLM")
        finally:
            stage.close()
    story = story.model_copy(update={"seconds": time.monotonic() - began})
    _end(screen, world, story, as_json=as_json)


def _tell(stage: scenes.Stage, server: str) -> scenes.Story:
    world, screen = stage.world, stage.screen
    stage.processes.start("gateway", flywheel_command("gateway", "--config", str(world.config)))
    stage.processes.start("daemon", flywheel_command("run", "--config", str(world.config)))
    screen.say(f"started {server}, the gateway and the daemon; home is {world.home}")
    screen.say(f"look on in a browser while it runs: {world.dashboard}")
    with screen.bar(f"waiting for {server}") as bar:
        bar.move(0, None)
        took = wait_until(
            lambda: scenes.answers(f"{world.server}/health"), 180, server, lambda: stage.processes.check("model server")
        )
        wait_until(
            lambda: scenes.routed(world.home), 60, "the daemon's first routing", lambda: stage.processes.check("daemon")
        )
    screen.say(f"{server} answered after {took:.0f} s")
    stage.store = open_store(sqlite_url(world.home / "flywheel.db"))
    before, after, first = scenes.learn(stage)
    poisoned, verdict = scenes.poison(stage)
    rolled_back = scenes.push(stage, poisoned)
    return scenes.Story(
        before=before, after=after, first=first, poisoned=poisoned, poisoned_verdict=verdict, rolled_back=rolled_back
    )


def _end(screen: Screen, world: worlds.World, story: scenes.Story, *, as_json: bool) -> None:
    screen.chapter("What happened")
    screen.table("results", ("question", "answer"), _results(story))
    with open_store(sqlite_url(world.home / "flywheel.db")) as store, store.read() as session:
        told = [
            event for event in events(session, limit=10_000) if event.kind.startswith(("gate.adapter_", "rollout."))
        ]
        screen.table(
            "decisions",
            ("#", "event", "adapter", "in words"),
            [(str(e.seq), e.kind, e.subject, str(e.body.get("sentence") or e.body.get("why") or "")) for e in told],
        )
        screen.chapter(f"Why {story.first} was promoted (flywheel explain {story.first})")
        for line in explanations.story_of(session, story.first):
            screen.console.print("  " + line, markup=False)
    screen.chapter("Look further")
    for command in ("status", "decisions", f"explain {story.poisoned}", "reports list", "adapters list"):
        screen.console.print(f"  flywheel {command} --config {world.config}", markup=False)
    screen.console.print(
        "  This tiny world tests the machinery, not how much a model can learn. Nothing is left running."
    )
    if as_json:
        show_json({**story.model_dump(mode="json"), "gained_points": story.gained_points, "home": str(world.home)})


def _results(story: scenes.Story) -> list[tuple[str, ...]]:
    return [
        ("the agent's success before", f"{story.before.rate:.1%} of {story.before.tasks} tasks never trained on"),
        ("the agent's success after", f"{story.after.rate:.1%} of the same tasks ({story.gained_points:+.1f} points)"),
        ("the poisoned candidate at the gate", story.poisoned_verdict),
        ("the bad adapter pushed by override", "rolled back by the canary" if story.rolled_back else "NOT rolled back"),
        ("requests of the agent that failed", str(story.before.failed_requests + story.after.failed_requests)),
        ("time", f"{story.seconds:.0f} s"),
    ]


def _base(screen: Screen, python: Path) -> Path:
    with screen.bar("building the tiny base model") as bar:
        base = worlds.build_base(python, _cache(), bar.move)
    screen.say(f"the tiny base model: {base}")
    return base


def _fresh(folder: Path) -> Path:
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise MisuseError(f"{folder} holds something that is not a demo", "name an empty folder with --home")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()
    return folder.absolute()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flywheel"

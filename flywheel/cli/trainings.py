"""`flywheel runs show | cancel` and the bar of a run in progress: read from the store, ended through the daemon."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from flywheel.cli.contexts import AsJson, Config, out, reading, show_json
from flywheel.cli.listings import Name, one_row, show_facts
from flywheel.cli.requests import Reason, Wait, ask_of
from flywheel.core.errors import MisuseError, PermanentError
from flywheel.core.frozen import Frozen
from flywheel.store.jobs import job_by_id
from flywheel.store.ledger import last_event
from flywheel.store.runs import adapter_of_run, run_by_id, runs
from flywheel.store.stores import Store
from flywheel.store.wishes import Wish

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Show how far it is until it ends.")]

_LOOK_SECONDS = 0.3
_TOLD = ("step", "of", "loss", "eval_loss", "tokens_per_second", "eta_seconds", "checkpoint", "worked_seconds")


class Sight(Frozen):
    """How a run stands: `state` is queued, running, finished, failed or cancelled; `told` is what its program told."""

    run: str
    line: str = ""
    state: str = "waiting"
    told: dict[str, Any] = {}  # noqa: RUF012 - a field of a frozen model, copied for each
    error: str = ""
    adapter: str = ""
    next: str = ""

    @property
    def sentence(self) -> str:
        """Return how it stands in one line."""
        step, of = self.told.get("step"), self.told.get("of")
        parts = [f"{self.run} {self.state}", f"step {step} of {of}" if step and of else "", *_numbers(self.told)]
        return ", ".join([part for part in parts if part])

    def facts(self) -> dict[str, Any]:
        """Return it as one flat document."""
        ends = {"error": self.error, "adapter": self.adapter, "next": self.next}
        told = {name: self.told[name] for name in _TOLD if name in self.told}
        return {"run": self.run, "line": self.line, "state": self.state, **told, **{k: v for k, v in ends.items() if v}}


def add_to(app: typer.Typer) -> None:
    """Add the command that ends a run to the `runs` noun."""
    app.command("cancel", epilog="Example: flywheel runs cancel run-1a2b3c4d --reason 'the GPU is needed'")(cancel)


def show(name: Name, follow: Follow = False, as_json: AsJson = False, config: Config = None) -> None:
    """Show a run, whole; with --follow how far it is, until it ends."""
    with reading(config) as (settings, store):
        with store.read() as session:
            row = one_row(session, "runs", name)
        if follow:
            follow_run(store, row["id"], as_json)
            return
        row |= {"progress": sight(store, row["id"]).told, "folder": str(settings.home / "runs" / row["id"])}
    if as_json:
        show_json(row)
    else:
        show_facts(row)


def cancel(name: Name, reason: Reason = "", wait: Wait = 30, as_json: AsJson = False, config: Config = None) -> None:
    """End a run; its dataset is trained again when you ask for it."""
    with reading(config) as (_, store), store.read() as session:
        row = one_row(session, "runs", name)
    if row["state"] != "running":
        raise MisuseError(f"{row['id']} has ended already: {row['state']}", "see `flywheel runs list`")
    ask_of(Wish(kind="cancel", subject=row["id"], reason=reason), row["line"], wait, as_json, config)


def follow_line(line: str, before: frozenset[str], as_json: bool, config: Path | None) -> None:
    """Follow the run of a line that is none of those there were before, as soon as it begins."""
    with reading(config) as (_, store):
        while True:
            with store.read() as session:
                found = [run.id for run in runs(session, line, limit=5) if run.id not in before]
            if found:
                break
            time.sleep(_LOOK_SECONDS)
        follow_run(store, found[-1], as_json)


def runs_of(line: str, config: Path | None) -> frozenset[str]:
    """Return the runs of a line that there are now."""
    with reading(config) as (_, store), store.read() as session:
        return frozenset(run.id for run in runs(session, line, limit=100_000))


def sight(store: Store, run_id: str) -> Sight:
    """Return how a run stands now."""
    with store.read() as session:
        run, job = run_by_id(session, run_id), job_by_id(session, f"train-{run_id}")
        adapter = adapter_of_run(session, run_id)
        halved = last_event(session, kinds=["train.batch_halved"], subject=run_id)
    if run is None:
        return Sight(run=run_id)
    state = "queued" if run.state == "running" and job is not None and job.state == "queued" else run.state
    told = {k: v for k, v in (job.progress if job else {}).items() if k != "eta_seconds" or state == "running"}
    found = Sight(run=run_id, line=run.line, state=state, told=told, error=run.error)
    following = str(halved.body.get("next", "")) if halved else ""
    return found.model_copy(update={"adapter": adapter.name if adapter else "", "next": following})


def follow_run(store: Store, run_id: str, as_json: bool) -> None:
    """Show how far a run is until it ends; one that is tried again with a smaller batch is followed on."""
    last = Sight(run=run_id)
    if as_json or not out.is_terminal:
        for last in _looks(store, run_id):
            out.print(last.model_dump_json() if as_json else last.sentence, markup=False)
    else:
        last = _bar(store, run_id)
    if last.state != "finished":
        raise PermanentError(f"{last.run} {last.state}: {last.error}")
    if not as_json:
        out.print(f"{last.run} finished: {last.adapter}", markup=False)


def _looks(store: Store, run_id: str) -> Iterator[Sight]:
    """Yield a run's state each time it is another one, up to its last."""
    before: Sight | None = None
    while True:
        now = sight(store, run_id)
        if before is None or _shown(now) != _shown(before):
            before = now
            yield now
        if now.state in {"finished", "failed", "cancelled"}:
            if not now.next:
                return
            run_id = now.next
        time.sleep(_LOOK_SECONDS)


def _shown(one: Sight) -> dict[str, Any]:
    return {k: v for k, v in one.facts().items() if k != "worked_seconds"}


def _bar(store: Store, run_id: str) -> Sight:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[numbers]}"),
    )
    last = Sight(run=run_id)
    with Progress(*columns, console=out) as progress:
        task = progress.add_task(run_id, total=None, numbers="")
        for last in _looks(store, run_id):
            progress.update(
                task,
                description=f"{last.run} {last.state}",
                completed=last.told.get("step", 0),
                total=last.told.get("of"),
                numbers="  ".join(_numbers(last.told)),
            )
    return last


def _numbers(told: dict[str, Any]) -> list[str]:
    shown = {"loss": "loss {:.4g}", "eval_loss": "eval {:.4g}", "tokens_per_second": "{:,.0f} tokens/s"}
    found = [words.format(told[name]) for name, words in shown.items() if told.get(name) is not None]
    left = told.get("eta_seconds")
    return [*found, f"{_span(left)} left"] if left else found


def _span(seconds: float) -> str:
    minutes, hours = round(seconds / 60), round(seconds / 3600, 1)
    return f"{seconds:.0f} s" if seconds < 120 else f"{minutes} min" if minutes < 120 else f"{hours} h"  # noqa: PLR2004

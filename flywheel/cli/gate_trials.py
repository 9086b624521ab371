"""One adapter on one suite, apart from the daemon's own measurements: checked, loaded, measured, unloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flywheel.cli.contexts import err
from flywheel.cli.gate_exams import Exam
from flywheel.cli.gate_formats import diagnose, pick
from flywheel.cli.gate_measures import bar, measure
from flywheel.cli.gate_targets import Target, check, stage
from flywheel.cli.gate_visits import Visit, visiting
from flywheel.core.ids import content_hash
from flywheel.core.verdicts import Report
from flywheel.daemon.settings import Settings
from flywheel.gate.results import PAGE, is_done, read_result
from flywheel.gate.specs import MeasureSpec
from flywheel.gate.statistics import alpha_for
from flywheel.gate.suites import read_problems
from flywheel.store.stores import Store


class Trial:
    """A measurement that counts for nothing: its folder is the same for the same adapter, base, suite and gate."""

    def __init__(self, settings: Settings, target: Target, exam: Exam) -> None:
        """Prepare; nothing is read or written yet."""
        self.target, self.exam = target, exam
        self._executor, self._executions = executor_of(settings), settings.executor.workers
        self.known = False
        who = [target.digest, target.base.served_as, target.base.path, target.server]
        key = content_hash([who, exam.manifest.hash, exam.gate.model_dump(mode="json")])
        # Below the suite's hash: who is forgotten is forgotten here, too, with the suites that asked about them.
        self.folder = (settings.home / "trials" / exam.manifest.hash / key[:16]).absolute()

    def report(self, store: Store | None, *, fresh: bool = False) -> tuple[Report, Path]:
        """Return the report and its page, measured now or before."""
        out = self.folder / "out"
        if fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.known = is_done(out)
        if self.known:
            return read_result(out)[0], out / PAGE
        with self._served(store) as name, bar(err, self.target.name) as tell:
            return measure(self._spec(name), self.folder, tell)

    def formats(self, store: Store | None) -> dict[str, Any]:
        """Return in which formats some dozens of answers came; nothing is kept."""
        problems = pick(read_problems(self.exam.folder))
        with self._served(store) as name, bar(err, self.target.name) as tell:
            spec = self._spec(name)
            sampling = spec.gate.sampling.model_copy(update={"samples": 1})
            once = spec.model_copy(update={"gate": spec.gate.model_copy(update={"sampling": sampling})})
            return diagnose(once, problems, self.exam.manifest.format, tell)

    @contextmanager
    def _served(self, store: Store | None) -> Iterator[str]:
        """Give the name under which the adapter answers; what is wrong with it is said before a server sees it."""
        staged = self.folder / f"adapter-{os.getpid()}"
        try:
            target = stage(self.target, staged)
            check(target, store)
            visit = Visit(target.server, target.base.served_as, str(target.folder), target.token)
            with visiting(visit, _warn) as name:
                yield name
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _spec(self, name: str) -> MeasureSpec:
        exam, target = self.exam, self.target
        return MeasureSpec(
            line=target.line, adapter=target.digest, suite=exam.manifest.hash, suite_path=str(exam.folder.absolute()),
            server=target.server, models={"base": target.base.served_as, "candidate": name}, gate=exam.gate,
            alpha=alpha_for(1, exam.gate.alpha), attempt=1, out=str(self.folder / "out"), title=target.name,
            counts=False, executor=str(self._executor), executions=self._executions,
        )  # fmt: skip


def executor_of(settings: Settings) -> Path:
    """Return the socket of the executor, for suites that hold programs."""
    return settings.executor.socket or settings.home / "executor.sock"


def _warn(sentence: str) -> None:
    err.print(sentence, markup=False, style="yellow" if err.is_terminal else "")

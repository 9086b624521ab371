"""The built-in source of what a cold start made: the shelf, `bootstrap.db` in our home, read by cursor as any other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flywheel.core.ids import content_hash
from flywheel.core.labels import judge
from flywheel.core.makings import Making
from flywheel.core.outcomes import Outcome
from flywheel.core.secrets import find_secret_in
from flywheel.sources.assignments import MADE_FOR
from flywheel.sources.connections import WatchedDatabase
from flywheel.sources.readings import Batch, PendingTasks, Refusal, TaskReading
from flywheel.sources.settings import BOOTSTRAP

TASKS_A_BATCH = 1000
BYTES_A_BATCH = 16_000_000  # about what one batch may hold in memory


class BootstrapReader:
    """Reads the shelf. See `readings.Reader` for what each method promises; one that is not there has nothing."""

    name = BOOTSTRAP

    def __init__(self, path: Path) -> None:
        """Prepare; nothing is opened yet."""
        self._path = path
        self._database = WatchedDatabase(path)
        self._seen: tuple[int, int] | None = None

    def check(self) -> None:
        """Promise nothing more: the shelf is our own."""

    def changed(self) -> bool:
        """Tell whether something may have been made since the last complete look."""
        return self._path.exists() and self._database.version() != self._seen

    def close(self) -> None:
        """Let go of the file, and look anew the next time."""
        self._database.close()
        self._seen = None

    def read(self, cursor: Mapping[str, Any], pending: PendingTasks) -> Batch:  # noqa: ARG002 - a task is read whole
        """Return the next tasks, each with all that was made of it."""
        if not self._path.exists():
            return Batch(tasks=(), cursor=dict(cursor), more=False)
        version = self._database.version()
        with self._database.reading() as connection:
            file = list(self._database.identity or ())
            end = int(connection.execute("SELECT coalesce(max(seq), 0) FROM tasks").fetchone()[0])
            same = cursor.get("identity") == file and int(cursor.get("seq", 0)) <= end
            after = int(cursor["seq"]) if same else 0
            query = "SELECT seq, task, body FROM tasks WHERE seq > ? ORDER BY seq LIMIT ?"
            tasks: list[TaskReading] = []
            size = 0
            for seq, task, body in connection.execute(query, (after, TASKS_A_BATCH)):
                tasks.append(_reading(str(task), body))
                after, size = int(seq), size + len(body)
                if size > BYTES_A_BATCH:
                    break
        more = after < end
        if not more:
            self._seen = version
        return Batch(tasks=tuple(tasks), cursor={"identity": file, "seq": after}, more=more, restarted=not same)


def _reading(task: str, body: str) -> TaskReading:
    """Return a task with what was made of it; what it no longer has is gone."""
    outcomes: list[Outcome] = []
    refusals: list[Refusal] = []
    for number, told in enumerate(json.loads(body)):
        try:
            making = Making.model_validate(told)
        except ValidationError as error:
            reason = f"{task}: no making of this version ({error.error_count()} fields)"
            refusals.append(Refusal(row=content_hash([task, number]), rule="shape", reason=reason))
            continue
        made = _outcome(task, making)
        if isinstance(made, Outcome):
            outcomes.append(made)
        else:
            row = content_hash([BOOTSTRAP, task, making.key])
            refusals.append(Refusal(row=row, rule=made, reason="what was made of it holds a secret"))
    return TaskReading(task=task, first=0, settled=True, has_row=True, outcomes=tuple(outcomes),
                       refusals=tuple(refusals), mirrors=True)  # fmt: skip


def _outcome(task: str, making: Making) -> Outcome | str:
    """Return a making as the outcome that it teaches by, or the rule that found a secret in it."""
    words = [word for message in making.messages for word in (message.role, message.content)]
    told = [task, making.group, making.session, making.model, making.response, json.dumps(making.about), *words]
    found = find_secret_in(told)
    if found is not None:
        return found
    return Outcome(
        # Words do not change under a key: another answer is another outcome, and the one before it is gone.
        key=content_hash([BOOTSTRAP, task, making.key, words, making.response]),
        source=BOOTSTRAP,
        task=task,
        session=making.session or task,
        group=making.group,
        call_type=making.call_type,
        at=making.at,
        model=making.model,
        messages=making.messages,
        response=making.response,
        labelled=judge(making.signals),
        origin=making.origin,
        weight=making.weight,
        tags=making.tags,
        tools=making.tools,
        chain=making.chain,
        extra={**making.about, "licence": making.licence, "recipe": making.recipe, **_for(making.line)},
    )


def _for(line: str | None) -> dict[str, str]:
    return {} if line is None else {MADE_FOR: line}

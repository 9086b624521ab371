"""What the doctor sees of the home: settings, policies, store, rights, the daemon's lock, its work."""

import fcntl
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flywheel.cli.doctor_findings import Finding, ill, needed, odd, well
from flywheel.cli.doctor_patients import Patient
from flywheel.core.jobs import Job, JobState
from flywheel.daemon.heartbeats import SILENT_SECONDS, last_beat
from flywheel.daemon.lines import chosen_lines
from flywheel.daemon.locks import NAME as LOCK
from flywheel.daemon.places import policies_folder
from flywheel.gateway.keys import KeyFile, gateway_key_file
from flywheel.policy.loading import check_policies, load_policies, run_cases
from flywheel.proc.children import LOCK as JOB_LOCK
from flywheel.proc.children import is_busy
from flywheel.proc.measures import GIB
from flywheel.proc.tokens import TOKEN_FILE
from flywheel.store.counters import cursor
from flywheel.store.jobs import open_jobs
from flywheel.store.ledger import events, last_event
from flywheel.store.migrating import is_current
from flywheel.store.stores import make_engine

_MANY_STARTS = 5
_FAILING = ("daemon.cycles_failed", "daemon.cycles_recovered")


def policies(patient: Patient) -> Iterator[Finding]:
    """Look whether the policies load, mean something, pass their own cases, and fit the settings."""
    folder = policies_folder(patient.settings)
    if problems := check_policies(folder):
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        yield ill("policies", f"{problems[0]}{more}", "flywheel policy check")
        return
    if failed := [case for case in run_cases(folder) if not case.passed]:
        yield ill("policies", f"{len(failed)} of the guardrails' own cases fail: {failed[0]}", "flywheel policy check")
        return
    loaded = load_policies(folder)
    lines = chosen_lines(patient.settings, loaded)
    told = f"{len(loaded.guardrails)} guardrails and {len(loaded.lines)} lines are sound"
    if not lines:
        yield odd("policies", f"{told}; no line is switched on", "set lines in the settings, as in lines = [...]")
    else:
        yield well("policies", f"{told}; switched on: {', '.join(lines)}")


def store(patient: Patient) -> Iterator[Finding]:
    """Look whether the store is there, has this version's schema, and can be written by whoever looks."""
    path = patient.database
    if path is not None and not path.exists():
        yield odd("store", f"there is none yet at {path}", "start the daemon once: flywheel run")
        return
    engine = make_engine(patient.settings.store_url)
    try:
        current = is_current(engine)
    finally:
        engine.dispose()
    if not current:
        mend = "start the daemon, which brings it up to date; if that is refused, install the newer version again"
        yield odd("store", "its schema is of another version of flywheel", mend)
        return
    if path is None:
        yield well("store", "it answers, and its schema is current")
        return
    wal = path.with_name(f"{path.name}-wal")
    size = path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        yield ill("store", f"{path} cannot be written by this user", "run this as the user that the daemon runs as")
    else:
        yield well("store", f"{path}: {size / GIB:.2f} GiB, its schema is current")


def rights(patient: Patient) -> Iterator[Finding]:
    """Look who may read what is private, and who may change what decides."""
    home = patient.home
    if not home.exists():
        yield odd("rights", f"there is no home yet at {home}", "start the daemon once: flywheel run")
        return
    if home.stat().st_uid not in {os.geteuid(), 0} and os.geteuid() != 0:
        yield odd("rights", f"{home} belongs to another user", "run this as the user that the daemon runs as")
    loose = [*_looked_into(patient), *_changed(patient)]
    yield from loose
    if not loose:
        yield well("rights", "nobody else reads the home, or changes settings and policies")


def _looked_into(patient: Patient) -> Iterator[Finding]:
    """Find what is private and open to everybody; a secret that is open is no secret."""
    home, keys = patient.home, KeyFile(gateway_key_file(patient.home))
    secret = [home / TOKEN_FILE, keys.own, *_kept_secrets(patient)]
    closed = _mode(home, stat.S_IXOTH) == 0  # then nobody gets at what lies in it
    for path in (home, home / "flywheel.db", home / "capture.db", keys.path, *secret):
        if (mode := _mode(path, stat.S_IRWXO)) and not (closed and path.parent == home):
            sentence = f"everybody may look into {path} ({mode:o})"
            yield needed("rights", sentence, f"chmod o-rwx {path}", now=path in secret)


def _kept_secrets(patient: Patient) -> list[Path]:
    named = [path for one in patient.settings.notify for path in (one.secret_file, one.token_file, one.url_file)]
    return [path.expanduser() for path in named if path is not None and path.name != str(path)]


def _changed(patient: Patient) -> Iterator[Finding]:
    for path in (patient.config, policies_folder(patient.settings)):
        if path is not None and (mode := _mode(path, stat.S_IWOTH)):
            yield ill("rights", f"everybody may change {path} ({mode:o})", f"chmod o-w {path}")


def _mode(path: Path, bits: int) -> int:
    """Return a path's rights where they hold one of these bits, else nothing."""
    try:
        mode = path.expanduser().stat().st_mode
    except OSError:
        return 0
    return stat.S_IMODE(mode) if mode & bits else 0


def daemon(patient: Patient) -> Iterator[Finding]:
    """Look whether the daemon lives, and whether its cycles come to their end."""
    pid = holder(patient.home)
    with patient.reading() as session:
        said = cursor(session, "daemon:status") if session is not None else {}
        trouble = last_event(session, kinds=_FAILING) if session is not None else None
        since = datetime.now(UTC) - timedelta(hours=1)
        started = events(session, kinds=["daemon.started"], after=since) if session is not None else []
    if pid is None:
        yield odd("daemon", "it does not run", "flywheel run, or `flywheel service install` to have it always run")
        return
    beat = last_beat(patient.home)
    silent = (datetime.now(UTC) - beat).total_seconds() if beat is not None else 0.0
    if _state_of(pid) in {"T", "t", "Z"}:
        yield ill("daemon", f"process {pid} holds the home and stands still", f"kill -CONT {pid}, or restart it")
    elif silent > SILENT_SECONDS:
        yield ill("daemon", f"process {pid} has given no sign of life for {silent:.0f} s", "restart it; see its log")
    elif trouble is not None and trouble.kind == "daemon.cycles_failed":
        yield ill("daemon", str(trouble.body.get("sentence", "its cycles fail")), "see its log: journalctl -u flywheel")
    elif len(started) > _MANY_STARTS:
        yield odd("daemon", f"it started {len(started)} times in the last hour", "see its log for what ends it")
    else:
        word = f"; its last word at {said['at']}: {str(said['sentence'])[:160]}" if said.get("sentence") else ""
        yield well("daemon", f"process {pid} is at work{word}")


def holder(home: Path) -> int | None:
    """Return the process that holds a home, without making or changing anything."""
    try:
        with (home / LOCK).open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                told = lock.read().decode(errors="replace").strip()
                return int(told) if told.isdecimal() else 0
    except OSError:
        return None
    return None


def _state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def jobs(patient: Patient) -> Iterator[Finding]:
    """Look for long work whose process is gone and that nobody took up again."""
    now, runs = datetime.now(UTC), holder(patient.home) is not None
    with patient.reading() as session:
        found = open_jobs(session) if session is not None else []
    lease = timedelta(seconds=patient.settings.daemon.job_lease_seconds)
    stale = [job for job in found if job.state is JobState.RUNNING and _is_stale(job, now - lease)]
    if stale:
        names = ", ".join(job.id for job in stale)
        mend = "restart the daemon, which takes it up again" if runs else "start the daemon, which takes it up again"
        yield needed("jobs", f"the process of {names} is gone", mend, now=runs)
        return
    told = {state: sum(job.state is state for job in found) for state in (JobState.RUNNING, JobState.QUEUED)}
    yield well("jobs", f"{told[JobState.RUNNING]} at work, {told[JobState.QUEUED]} waiting, none left behind")


def _is_stale(job: Job, before: datetime) -> bool:
    folder = Path(job.folder)
    busy = (folder / JOB_LOCK).exists() and is_busy(folder)
    return not busy and (job.lease_until is None or job.lease_until < before)

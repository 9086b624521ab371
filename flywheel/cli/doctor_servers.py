"""What the doctor sees of the other processes: model servers, gateway, executor, dashboard, notifications."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from flywheel.cli.doctor_findings import Finding, ill, needed, odd, well
from flywheel.cli.doctor_patients import Patient
from flywheel.cli.doctor_places import holder
from flywheel.cli.executors import executor_socket
from flywheel.core.errors import FlywheelError, UnavailableError
from flywheel.core.serving import ModelServer, ServedModel
from flywheel.daemon.notification_couriers import PREFIX, standing_of
from flywheel.daemon.notification_settings import NotifySettings
from flywheel.daemon.notification_ways import where
from flywheel.daemon.settings import Settings
from flywheel.gateway.keys import KeyFile, gateway_key_file
from flywheel.proc.tokens import read_token
from flywheel.sandbox.clients import Executor
from flywheel.serve.capacities import need, shortage
from flywheel.serve.servers import Server, ServerDownError, ServerError, ServerSlowError, gateway_state
from flywheel.store.counters import cursor
from flywheel.store.loaded import last_routing
from flywheel.store.turns import turn_of

#: No adapter is called so: to be asked to let go of it changes nothing.
PROBE = "flywheel-doctor@0"
_SKEW, _LARGE_SKEW = 5.0, 60.0
_LOOK_SECONDS = 3.0


def server(patient: Patient, one: ModelServer) -> Iterator[Finding]:
    """Look whether a model server answers, serves its base, and loads adapters while it runs."""
    check = f"server {one.url}"
    with patient.reading() as session:
        resting = session is not None and not turn_of(session).is_serving
    try:
        models = asyncio.run(probe(one.url, read_token(patient.home)))
    except ServerDownError as error:
        if resting:
            yield well(check, "it rests while training has the GPU")
        else:
            yield needed(check, _about(one, error), _start(patient), now=bool(patient.releases))
        return
    except ServerSlowError as error:
        yield odd(check, _about(one, error), "see what it is busy with, and look again")
        return
    except ServerError as error:
        yield needed(check, _about(one, error), error.mend, now=bool(patient.lines))
        return
    yield _serves(patient, check, models)
    yield from _room(patient, one)
    yield from _skew(one.url)


def _about(one: ModelServer, error: ServerError) -> str:
    return f"it {error.message.removeprefix(one.url).strip()}".partition(": Cannot connect")[0]


def _start(patient: Patient) -> str:
    return "flywheel emit vllm prints how to start it" if patient.lines else "start it, or set servers"


async def probe(url: str, token: str) -> tuple[ServedModel, ...]:
    """Return what a server lists; asks it to let go of an adapter that nobody has, which only one with LoRA can."""
    async with Server(url, _LOOK_SECONDS, _LOOK_SECONDS, token) as client:
        models = await client.models()
        await client.unload(PROBE)
    return models


def _serves(patient: Patient, check: str, models: tuple[ServedModel, ...]) -> Finding:
    names = {model.name for model in models}
    wanted = {patient.around.bases[line.base].served_as for line in patient.lines.values()}
    own = ", ".join(sorted(model.name for model in models if model.parent is None)) or "nothing"
    if wanted and not wanted & names:
        told = f"it serves {own}, and no line's base is among that ({', '.join(sorted(wanted))})"
        return ill(check, told, "set bases.NAME.served_as to what it serves, or start it with that name")
    adapters = sum(model.parent is not None for model in models)
    return well(check, f"it serves {own} with {adapters} adapter(s), and loads more while it runs")


def _room(patient: Patient, one: ModelServer) -> Iterator[Finding]:
    """Look whether the ranks that lines train and the adapters they keep fit what the server was started for."""
    check = f"room on {one.url}"
    if not patient.lines:
        return
    base = patient.around.base_at(one.url).name
    high = patient.around.ranks_above(one, base)
    for line, rank in high.items():
        told = f"line {line} trains rank {rank}, the server takes at most {one.max_lora_rank}"
        yield ill(check, told, f"start it with --max-lora-rank {rank} and set servers.max_lora_rank, or train less")
    lines = [line for line in patient.lines.values() if line.base == base]
    kept = need(release for release in patient.releases if release.line in {line.name for line in lines})
    if short := shortage(one, kept):
        yield odd(check, short, "raise max_loras and --max-loras")
    elif kept.held > one.max_cpu_loras:
        told = f"{kept.held} adapters are kept and {one.max_cpu_loras} fit its memory"
        yield odd(check, told, "raise max_cpu_loras and --max-cpu-loras")
    elif not high:
        told = f"{len(lines)} line(s) at ranks up to {one.max_lora_rank}; {one.max_loras} adapters at once"
        yield well(check, f"{told}, {one.max_cpu_loras} kept")


def _skew(url: str) -> Iterator[Finding]:
    """Look how far a server's clock is from ours, by the Date it sends: as far as a second tells."""
    check, skew = f"clock of {url}", asyncio.run(_skew_of(url))
    if skew is None:
        return
    told = f"it is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
    mend = "let a time service set both clocks, as in `timedatectl set-ntp true`"
    if abs(skew) > _LARGE_SKEW:
        yield ill(check, told, mend)
    elif abs(skew) > _SKEW:
        yield odd(check, told, mend)


async def _skew_of(url: str) -> float | None:
    import aiohttp

    limit = aiohttp.ClientTimeout(total=_LOOK_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=limit) as session:
            began = time.time()
            async with session.get(f"{url}/health") as response:
                told = parsedate_to_datetime(response.headers["date"])
            ours = (began + time.time()) / 2
    except (aiohttp.ClientError, OSError, KeyError, ValueError, TypeError):
        return None
    theirs = told.replace(tzinfo=told.tzinfo or UTC).timestamp() + 0.5  # a Date is cut to its second
    return theirs - ours


def gateway(patient: Patient) -> Iterator[Finding]:
    """Look whether the gateway answers and has the routing that was published."""
    with patient.reading() as session:
        published = last_routing(session) if session is not None else None
    key = KeyFile(gateway_key_file(patient.home)).own_key()
    state = asyncio.run(gateway_state(gateway_url(patient.settings), key))
    if state is None:
        used = published is not None and (patient.home / "capture.db").exists()
        yield needed("gateway", f"none answers at {gateway_url(patient.settings)}", "flywheel gateway", now=used)
        return
    version = state.get("version")
    if published is not None and version != published.routing.version:
        late = (datetime.now(UTC) - published.at).total_seconds()
        told = f"it routes by version {version}, version {published.routing.version} was published {late:.0f} s ago"
        yield ill("gateway", told, "does it have the same home? restart it: its log says what is wrong with the file")
        return
    away = [str(one.get("url")) for one in state.get("servers", []) if not one.get("answers")]
    capture = state.get("capture") or {}
    if away:
        yield odd("gateway", f"it answers, and {', '.join(away)} does not answer it", "start that model server")
    elif capture.get("trouble") or capture.get("dropped"):
        told = capture.get("trouble") or f"{capture['dropped']} calls were not captured"
        yield odd("gateway", f"it answers, and its capture is in trouble: {told}", "see disk and rights of the home")
    else:
        yield well("gateway", f"it answers at {gateway_url(patient.settings)} by routing version {version}")


def gateway_url(settings: Settings) -> str:
    """Return where the gateway listens on this machine."""
    section = settings.gateway
    if not section.host:
        return f"unix:{section.socket}"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(section.host, section.host)  # noqa: S104 - what it listens on
    return f"http://{f'[{host}]' if ':' in host else host}:{section.port}"


def sandbox(patient: Patient) -> Iterator[Finding]:
    """Look whether model-written programs are contained: by the executor that runs, else by proving a box here."""
    from flywheel.sandbox.plans import Plan
    from flywheel.sandbox.run import check_executor

    path, section = executor_socket(patient.settings), patient.settings.executor
    if path.exists():
        try:
            why = asyncio.run(asyncio.wait_for(Executor(path).check(), _LOOK_SECONDS))
        except TimeoutError:
            why = f"the executor at {path} does not answer — restart it"
        except UnavailableError as error:
            why = f"{error.message} — {error.mend}"
        if not why:
            yield well("sandbox", f"the executor at {path} contains what it runs")
        else:
            message, _, mend = why.partition(" — ")
            yield ill("sandbox", message, mend or "flywheel executor --check says more")
        return
    plan = Plan(workers=1, seconds=section.seconds, memory_mib=section.memory_mib, containment=section.containment)
    why, _, mend = asyncio.run(check_executor(plan)).partition(" — ")
    if why:
        yield odd("sandbox", f"no executor runs, and a box does not hold here: {why}", mend or "see docs/executor.md")
    else:
        mend = "flywheel executor, where gates run programs (docs/executor.md)"
        yield odd("sandbox", f"a box holds ({plan.containment}), and no executor runs", mend)


def dashboard(patient: Patient) -> Iterator[Finding]:
    """Look whether the dashboard answers, where it should."""
    section = patient.settings.web
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(section.host, section.host)  # noqa: S104 - what it listens on
    url = f"http://{f'[{host}]' if ':' in host else host}:{section.port}"
    if not section.enabled:
        yield well("dashboard", "the daemon does not start it: web.enabled is false")
    elif not section.port:
        yield well("dashboard", "it listens at a port of its own choice")
    elif asyncio.run(_answers(f"{url}/healthz")):
        yield well("dashboard", f"it answers at {url}")
    else:
        runs = holder(patient.home) is not None
        mend = "see the daemon's log: is the port another program's?" if runs else "it comes with `flywheel run`"
        yield odd("dashboard", f"nothing answers at {url}", mend)


async def _answers(url: str) -> bool:
    import aiohttp

    limit = aiohttp.ClientTimeout(total=_LOOK_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=limit) as session, session.get(url) as response:
            return response.status < 500  # noqa: PLR2004 - whoever is refused was answered
    except (aiohttp.ClientError, OSError):
        return False


def notification(patient: Patient, target: NotifySettings) -> Iterator[Finding]:
    """Look whether an address of notifications can be told, as far as that is seen without telling it anything."""
    check = f"notify {target.name}"
    try:
        told = where(target)
        if not target.command:
            target.address()
        _ = target.secret(), target.token()
    except FlywheelError as error:
        yield ill(check, error.message, f"{error.mend}; a unit's credentials are seen by the unit alone")
        return
    with patient.reading() as session:
        known = standing_of(cursor(session, PREFIX + target.name)) if session is not None else None
    if known is not None and known.failures:
        told = f"{known.failures} tries since {known.failing_since} failed: {known.reason}"
        yield ill(check, told, f"flywheel notify test {target.name}")
    else:
        count = f"{known.delivered} notification(s) taken" if known else "it begins with the daemon"
        yield well(check, f"{told}: {count}")

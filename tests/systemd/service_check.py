"""Runs inside the machine, as root, at each boot: installs flywheel as services, ill-treats them, tells the rest."""

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = "/opt/flywheel/bin/flywheel"
FOUND = Path("/var/lib/found.json")
SYSTEM = ("flywheel-gateway.socket", "flywheel-gateway", "flywheel-executor", "flywheel", "flywheel-web",
          "flywheel-verify.timer")  # fmt: skip
SETTINGS = """
lines = []
[bases.main]
path = "/srv/base"
served_as = "b"
[daemon]
poll_seconds = {poll}
"""
THEIRS = """
lines = []
[gateway]
port = 8811
[web]
enabled = false
"""
DOUBLE = """
import asyncio, sys
sys.path[:0] = ["/opt/flywheel/src", "/opt/flywheel/site"]
from aiohttp import web
from flywheel.gateway.doubles import UpstreamDouble

async def main():
    double = UpstreamDouble({"b"}, chunks=40, chunk_seconds=0.2)
    async with double.running() as up:
        reader = await asyncio.start_server(lambda r, w: pipe(r, w, up.origin), "127.0.0.1", 8000)
        await reader.serve_forever()

async def pipe(reader, writer, origin):
    host, port = origin.removeprefix("http://").split(":")
    theirs, ours = await asyncio.open_connection(host, int(port))
    await asyncio.gather(copy(reader, ours), copy(theirs, writer), return_exceptions=True)

async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

asyncio.run(main())
"""
found: dict[str, Any] = json.loads(FOUND.read_text()) if FOUND.exists() else {"seconds": {}}


def run(*argv: str, **more: Any) -> str:
    """Run a command; what it said, or why it failed."""
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=400, **more)
    if ended.returncode:
        said = f"{argv} ended with {ended.returncode}: {ended.stdout} {ended.stderr}"
        raise RuntimeError(said)
    return ended.stdout


def show(unit: str, *names: str, user: bool = False) -> list[str]:
    """What systemd says of a unit."""
    argv = ["systemctl", "show", f"--property={','.join(names)}", unit]
    told = as_person(*argv) if user else run(*argv)
    said = dict(line.partition("=")[::2] for line in told.splitlines())
    return [said.get(name, "") for name in names]


def as_person(*argv: str) -> str:
    """Run something as the person, in their own manager."""
    words = [argv[0], "--user", *argv[1:]] if argv[0] == "systemctl" else list(argv)
    environ = {"XDG_RUNTIME_DIR": "/run/user/1000", "HOME": "/home/person", "PATH": os.environ["PATH"]}
    return run("runuser", "--user", "person", "--", "env", *(f"{k}={v}" for k, v in environ.items()), *words,
               cwd="/")  # fmt: skip


def until(condition: Callable[[], bool], what: str, seconds: float = 150) -> float:
    """Wait; how long it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.1)
    return round(time.monotonic() - began, 1)


def ask(port: int = 8711, *, stream: bool = False, path: str = "/v1/chat/completions") -> bytes:
    """Ask the gateway by a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    body = {"model": "b", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    with contextlib.closing(connection):
        if path.startswith("/v1"):
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        else:
            connection.request("GET", path)
        response = connection.getresponse()
        data = response.read()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {data[:200]!r}")
        return data


def pid(unit: str) -> int:
    """The main process."""
    return int(show(unit, "MainPID")[0])


def ended_and_back(unit: str, before: int) -> Callable[[], bool]:
    """Tell whether a unit is up with another process."""
    return lambda: pid(unit) not in {0, before} and show(unit, "ActiveState") == ["active"]


def install() -> None:
    """From nothing to services that run."""
    Path("/etc/flywheel/credentials").mkdir(parents=True)
    Path("/etc/flywheel/flywheel.toml").write_text(SETTINGS.format(poll=0.5))
    secret = Path("/etc/flywheel/credentials/hook")
    secret.write_text("it is a secret")
    secret.chmod(0o600)
    Path("/srv/double.py").write_text(DOUBLE)
    run("systemd-run", "--unit=upstream", "python3", "/srv/double.py")
    began = time.monotonic()
    found["installed"] = json.loads(run(PROGRAM, "service", "install", "--program", PROGRAM, "--json"))
    found["seconds"]["install"] = round(time.monotonic() - began, 1)
    found["states"] = json.loads(run(PROGRAM, "service", "status", "--json"))
    until(lambda: answers(8000), "the double")
    ask()
    found["web"] = ask(8712, path="/")[:9].decode()
    folder = Path("/run/credentials/flywheel.service")
    found["credentials"] = {
        path.name: [oct(path.stat().st_mode & 0o777), path.read_text()] for path in folder.iterdir()
    }
    found["secret in environment"] = b"it is a secret" in Path(f"/proc/{pid('flywheel')}/environ").read_bytes()


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def killed() -> None:
    """Kill, then hang, both at once: the daemon and the gateway come back by themselves."""
    for unit in ("flywheel", "flywheel-gateway"):
        folder = Path(f"/etc/systemd/system/{unit}.service.d")
        folder.mkdir()
        (folder / "soon.conf").write_text("[Service]\nWatchdogSec=6\n")
    run("systemctl", "daemon-reload")
    for number, name in ((signal.SIGKILL, "killed"), (signal.SIGSTOP, "hung")):
        before = {unit: pid(unit) for unit in ("flywheel", "flywheel-gateway")}
        for process in before.values():
            os.kill(process, number)
        waits = {unit: until(ended_and_back(unit, process), f"{unit} {name}") for unit, process in before.items()}
        found["seconds"][name] = max(waits.values())
        ask()
    found["restarts"] = [int(show(unit, "NRestarts")[0]) for unit in ("flywheel", "flywheel-gateway")]
    for unit in ("flywheel", "flywheel-gateway"):
        Path(f"/etc/systemd/system/{unit}.service.d/soon.conf").unlink()
    run("systemctl", "daemon-reload")


def reloaded() -> None:
    """New settings come by a reload, in the same process; wrong ones change nothing and are said."""
    before = pid("flywheel")
    for poll, word in ((0.4, "reloaded"), (-1, "reload refused")):
        Path("/etc/flywheel/flywheel.toml").write_text(SETTINGS.format(poll=poll))
        run("systemctl", "reload", "flywheel")
        said: list[str] = []

        def heard(word: str = word, said: list[str] = said) -> bool:
            said[:] = show("flywheel", "StatusText")
            return word in said[0] or word in run("journalctl", "--unit=flywheel", "--output=cat", "--no-pager")

        until(heard, f"the daemon says {word}")
    Path("/etc/flywheel/flywheel.toml").write_text(SETTINGS.format(poll=0.5))
    run("systemctl", "reload", "flywheel")
    found["reload kept the process"] = pid("flywheel") == before


def upgraded() -> None:
    """Renew everything while requests are under way; count what went wrong."""
    before = {unit: pid(unit) for unit in ("flywheel", "flywheel-gateway", "flywheel-web")}
    over, wrong, asked, ends = threading.Event(), [], [0], []

    def short() -> None:
        while not over.is_set():
            try:
                ask()
                asked[0] += 1
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                wrong.append(repr(error))

    def long() -> None:
        try:
            ends.append(ask(stream=True).endswith(b"[DONE]\n\n"))
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=work) for work in (short, short, long, long)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    found["upgraded"] = json.loads(run(PROGRAM, "service", "upgrade", "--program", PROGRAM, "--json"))
    found["seconds"]["upgrade"] = round(time.monotonic() - began, 1)
    over.set()
    for thread in threads:
        thread.join()
    found["renewed"] = {unit: pid(unit) != process for unit, process in before.items()}
    found["wrong"], found["asked"], found["long answers"] = wrong, asked[0], ends
    new = pid("flywheel-gateway")
    os.kill(new, signal.SIGKILL)
    until(ended_and_back("flywheel-gateway", new), "the gateway that took over")


def person() -> None:
    """A person without root installs services of their own, and removes them."""
    Path("/etc/sysusers.d/person.conf").write_text('u person 1000 "a person" /home/person /bin/sh\n')
    run("systemd-sysusers", "/etc/sysusers.d/person.conf")
    config = Path("/home/person/.config/flywheel")
    config.mkdir(parents=True)
    (config / "flywheel.toml").write_text(THEIRS)
    run("chown", "--recursive", "person:person", "/home/person")
    folder = Path("/etc/systemd/system/user@1000.service.d")
    folder.mkdir()
    # What pam_systemd does where it is installed.
    (folder / "place.conf").write_text("[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/1000\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "user@1000.service")
    found["person"] = json.loads(as_person(PROGRAM, "service", "install", "--user", "--program", PROGRAM, "--json"))
    found["their states"] = json.loads(as_person(PROGRAM, "service", "status", "--user", "--json"))
    found["their user"] = Path(f"/proc/{show('flywheel', 'MainPID', user=True)[0]}").stat().st_uid
    process = int(show("flywheel", "MainPID", user=True)[0])
    os.kill(process, signal.SIGKILL)
    until(lambda: show("flywheel", "MainPID", user=True)[0] not in {"0", str(process)}, "the person's daemon")
    ask(8811, path="/health")
    as_person("systemctl", "reload", "flywheel-gateway")
    ask(8811, path="/health")
    found["their end"] = json.loads(as_person(PROGRAM, "service", "uninstall", "--user", "--json"))
    found["their data"] = Path("/home/person/.local/share/flywheel/flywheel.db").exists()
    found["their units"] = [path.name for path in Path("/home/person/.config/systemd/user").glob("flywheel*")]


def rebooted() -> None:
    """Everything is back after a reboot; then it is removed, and what was learned stays."""
    until(lambda: all(show(unit, "ActiveState") == ["active"] for unit in SYSTEM), "all that was enabled")
    found["after reboot"] = {unit: show(unit, "ActiveState", "UnitFileState") for unit in SYSTEM}
    found["gateway after reboot"] = ask(path="/health").decode()
    found["uninstalled"] = json.loads(run(PROGRAM, "service", "uninstall", "--json"))
    found["closed"] = not answers(8711)
    found["data"] = Path("/var/lib/flywheel/flywheel.db").exists()
    found["settings"] = Path("/etc/flywheel/flywheel.toml").exists()
    found["units"] = [path.name for path in Path("/etc/systemd/system").rglob("flywheel*") if path.is_file()]


def computed() -> float:
    """How long processors worked for all that has ended so far, ours included."""
    init = Path("/proc/1/stat").read_text().rpartition(")")[2].split()
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = sum(map(int, init[11:15])) / os.sysconf("SC_CLK_TCK")
    return round(ended + ours.ru_utime + ours.ru_stime, 1)


def main() -> None:
    """Do what this boot is for and leave what was found for the test."""
    first = not FOUND.exists()
    steps = (install, killed, reloaded, upgraded, person) if first else (rebooted,)
    began = time.monotonic()
    try:
        for step in steps:
            step()
            found["seconds"][f"step {step.__name__}"] = round(time.monotonic() - began, 1)
    except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
        found["error"] = f"{step.__name__}: {error!r}"
    found["seconds"][f"computed until {steps[-1].__name__}"] = computed()
    Path("/results/journal").write_text(run("journalctl", "--boot", "--no-pager", "--output=short-monotonic"))
    FOUND.write_text(json.dumps(found))
    Path("/results/found").write_text(json.dumps(found))
    if first and "error" not in found:
        Path("/run/reboots").touch()
        run("systemctl", "reboot")


sys.exit(main())

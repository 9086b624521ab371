"""What emitted files are made from: settings, lines, bases as they lie on this disk, the daemon's token's hash."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flywheel.serve.middleware
from flywheel.cli.server_commands import Door, Machine, ServedBase, ServerCommand, vllm_command
from flywheel.core.errors import MisuseError, SettingsError
from flywheel.core.lines import Line
from flywheel.core.serving import ModelServer
from flywheel.core.training import Base
from flywheel.daemon.bases import known_bases
from flywheel.daemon.lines import chosen_lines
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.policy.loading import load_policies
from flywheel.proc.environments import Environment, Flavour
from flywheel.proc.tokens import TOKEN_FILE, read_token, server_token, token_hash

_TEMPLATES = ("chat_template.jinja", "tokenizer_config.json")


@dataclass(frozen=True)
class Surroundings:
    """The settings of a machine and what they name."""

    settings: Settings
    lines: Mapping[str, Line]
    bases: Mapping[str, Base]

    @property
    def gateway(self) -> str:
        """Return where the agent finds the gateway on this machine."""
        section = self.settings.gateway
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(section.host, section.host)  # noqa: S104 - what it listens on
        return f"http://{f'[{host}]' if ':' in host else host}:{section.port}"

    @property
    def llama_door(self) -> str | None:
        """Return where the door in front of llama-server listens, None where there is none."""
        section = self.settings.llama
        return f"http://{section.host}:{section.port}" if section else None

    def base_at(self, url: str) -> Base:
        """Return the base that a server of the settings serves: one that names it, else the first line's."""
        named = [base for base in self.bases.values() if base.server == url]
        free = [base for base in self.bases.values() if base.server is None]
        asked = [self.bases[line.base] for line in self.lines.values()]
        found = [base for base in (*asked, *self.bases.values()) if base in (named or free)]
        if not found:
            raise SettingsError(f"the settings name no base that {url} serves", "add [bases.NAME] with its path")
        return found[0]

    def ranks_above(self, server: ModelServer, base: str) -> dict[str, int]:
        """Return the lines of a base whose adapters have a higher rank than the server takes."""
        ranks = {name: line.train.hyperparameters.rank for name, line in self.lines.items() if line.base == base}
        return {name: rank for name, rank in ranks.items() if rank > server.max_lora_rank}


def surroundings_of(settings: Settings) -> Surroundings:
    """Read the policies and the bases that the settings name."""
    policies = load_policies(policies_folder(settings))
    return Surroundings(settings, chosen_lines(settings, policies), known_bases(settings))


def command_of(
    around: Surroundings, server: ModelServer, env: Environment, base: str | None, tuned: Mapping[str, Any]
) -> ServerCommand:
    """Return what starts vLLM for a server; `tuned` are a person's own words for what its base is started with."""
    if base is not None and base not in around.bases:
        raise MisuseError(f"there is no base {base!r}", f"bases: {', '.join(around.bases) or 'none'}")
    chosen = around.bases[base] if base is not None else around.base_at(server.url)
    folder = Path(chosen.path)
    served = ServedBase(path=chosen.path, served_as=chosen.served_as, chat_template=chat_template(folder), **tuned)
    gpu = around.settings.gpu
    machine = Machine(folder=env.folder, flavour=env.flavour, door=door(around.settings.home), sharing=gpu.sharing,
                      share=gpu.share)  # fmt: skip
    command = vllm_command(server, served, machine)
    return command.model_copy(update={"notes": (*command.notes, *_notes(around, server, chosen, env))})


def _notes(around: Surroundings, server: ModelServer, base: Base, env: Environment) -> list[str]:
    high = around.ranks_above(server, base.name)
    notes = [f"line {name} trains rank {rank}, and max_lora_rank of this server is {server.max_lora_rank}: raise it"
             for name, rank in high.items()]  # fmt: skip
    if not Path(base.path).is_dir():
        notes.append(f"there is no base at {base.path} yet")
    if not env.whole:
        notes.append(f"the environment is not built yet: flywheel env create serve --{env.flavour}")
    return notes


def door(home: Path) -> Door:
    """Return the lock-down: the token is made where this user may make it for the daemon, else left to be made."""
    token = _made_token(home) if _may_make(home) else _readable_token(home)
    folder = Path(flywheel.serve.middleware.__path__[0])
    return Door(folder=folder, token_hash=token_hash(token) if token else "")


def _may_make(home: Path) -> bool:
    """Tell whether the daemon could read a token that this user makes: the home is theirs, or will be."""
    me = os.geteuid()
    if home.exists():
        return me in {home.stat().st_uid, 0}
    there = next(folder for folder in home.parents if folder.exists())
    return me != 0 and there.stat().st_uid == me


def _made_token(home: Path) -> str:
    token, path = server_token(home), home / TOKEN_FILE
    if os.geteuid() == 0 and path.exists():
        os.chown(path, home.stat().st_uid, home.stat().st_gid)  # made by root, read by the daemon
    return token


def _readable_token(home: Path) -> str:
    try:
        return read_token(home)
    except PermissionError as error:
        raise MisuseError(f"{error.filename} cannot be read", "run this as the user that the daemon runs as") from error


def chat_template(base: Path) -> str:
    """Return a base's chat template as it is written, empty where none can be read."""
    for name in _TEMPLATES:
        try:
            text = (base / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if name.endswith(".jinja"):
            return text
        return json.dumps(_json(text).get("chat_template", ""), ensure_ascii=False)
    return ""


def contexts_of(around: Surroundings, own: int | None) -> dict[str, int]:
    """Return how many tokens each line's base reads at most: a person's own figure, else the base's configuration."""
    found = {name: own or context_of(Path(around.bases[line.base].path)) for name, line in around.lines.items()}
    return {name: context for name, context in found.items() if context}


def context_of(base: Path) -> int | None:
    """Return the longest context that a base says of itself."""
    try:
        said = _json((base / "config.json").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    found = said.get("max_position_embeddings") or said.get("text_config", {}).get("max_position_embeddings")
    return found if isinstance(found, int) and found > 0 else None


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def servers_of(around: Surroundings, url: str | None = None) -> list[ModelServer]:
    """Return the vLLM servers of the settings, or the one a person names; llama-server's door is none."""
    door_of_llama = around.llama_door
    found = [ModelServer(**server.model_dump()) for server in around.settings.servers if server.url != door_of_llama]
    if url is None:
        return found
    named = [server for server in found if server.url == url.rstrip("/")]
    if not named:
        told = ", ".join(one.url for one in found) or "none"
        raise MisuseError(f"no vLLM server of the settings is {url}", f"servers: {told}")
    return named


def flavour_of(cpu: bool, cuda: bool) -> Flavour | None:
    """Return the build that a person names, None where the machine decides."""
    if cpu and cuda:
        raise MisuseError("--cpu and --cuda exclude each other", "leave both away to let the machine decide")
    return "cpu" if cpu else "cuda" if cuda else None

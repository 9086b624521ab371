"""The settings file that `flywheel init` writes: what was chosen, with a word on everything. Pure."""

import json
import re
from collections.abc import Iterator

from flywheel.cli.init_choices import Choice, ChosenBase, ChosenServer, ChosenSource
from flywheel.cli.init_findings import Findings, FoundServer, Places

_HEAD = """\
# flywheel's settings for this machine, written by `flywheel init`. Change whatever you like: docs/settings.md lists
# every key, a key that is misspelt is an error, and `flywheel doctor` tells what is wrong and how it is mended.
"""
_COLUMN = 48
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_WHAT = {
    "opencode": "opencode's own database; its accounts and credentials are never read",
    "clean-room": "a clean-room agent's record of this repository",
    "generic": "an agent's tables task_runs and llm_calls",
    "fleet": "the run logs of a fleet",
    "tool-events": "a tool-calling agent's events",
}
_OTHERS = {
    "vllm": "it serves no base of these lines",
    "ollama": "no adapter can be loaded while it runs: export to it with `flywheel adapters export --to ollama`",
    "llama-server": "it loads no adapter while it runs: a door in front of it does, see [llama] in docs/serving.md",
    "openai": "it answers like an OpenAI server; whether it loads adapters is not known",
}
_NO_SOURCE = """\
# Nothing was found to watch. `flywheel sources probe PATH` tells what stands at a path; then name it here:
#
# [[sources]]
# name = "agent"
# path = "/srv/agent/agent.db"
"""
_REST = """\
[gateway]                                       # the door that your agent talks to
host = "127.0.0.1"                              # this machine alone
port = 8711

[daemon]
# idle_window = "22:00-06:00"                   # train only then, where a GPU is needed; local time
"""
_GPU = """\

# One GPU for serving and training: vLLM sleeps while a run trains, and calls wait or are answered by a fallback.
# `flywheel emit vllm` says how vLLM is started for it. docs/training.md, "One GPU for two".
#
# [gpu]
# sharing = "sleep"
"""


def settings_text(choice: Choice, findings: Findings, places: Places) -> str:
    """Return the file; it loads as the settings of a machine."""
    return "\n".join([
        _HEAD,
        "\n".join(_top(choice, places)),
        "",
        "# What is watched: opened read-only, always.",
        "",
        *(_sources(choice) if choice.sources else [_NO_SOURCE]),
        "# What is learned on. A base never changes: its bytes are pinned when they are first seen.",
        *_bases(choice),
        "# The model server behind the gateway, and what it has to be started with.",
        *_servers(choice),
        _REST.rstrip(),
        *([_GPU.rstrip()] if findings.gpus else []),
    ]).rstrip() + "\n"  # fmt: skip


def quoted(text: str) -> str:
    """Return a text as TOML reads it back, and as nothing on a terminal takes for a command."""
    return _CONTROL.sub(
        lambda found: "".join(f"\\u{ord(sign):04x}" for sign in found[0]), json.dumps(text, ensure_ascii=False)
    )


def plain(text: str) -> str:
    """Return a text as it may stand in a comment, or on a terminal: without control characters."""
    return _CONTROL.sub(" ", text).strip()


def _line(said: str, why: str) -> str:
    return f"{said:<{_COLUMN}}# {plain(why)}" if len(said) < _COLUMN else f"{said}  # {plain(why)}"


def _top(choice: Choice, places: Places) -> Iterator[str]:
    yield _line(f"home = {quoted(str(places.home))}", "the state: what was decided, learned and kept")
    yield _line(f"policies = {quoted(str(places.policies))}", "yours: lines, guardrails, gates, rollouts")
    yield "lines = ["
    for name in choice.lines:
        yield f"    {quoted(name)},"
    if len(choice.bases) > 1:
        yield f"    # The gateway speaks for one base at a time: {choice.bases[0].name}, that of the first line here."
    yield "]  # what gets better; each is a file below policies/lines, and a model that the agent asks for"


def _sources(choice: Choice) -> Iterator[str]:
    for source in choice.sources:
        yield from _source(source)
        yield ""


def _source(source: ChosenSource) -> Iterator[str]:
    found = source.found
    held = f"; {found.outcomes} calls, {found.good} of them good" if found.outcomes else ""
    told = found.version if found.there else "not there yet, and read as soon as it appears"
    yield plain(f"# {_WHAT[found.kind]}{held}{f' ({told})' if told else ''}")
    yield "[[sources]]"
    yield f"name = {quoted(source.name)}"
    yield f"kind = {quoted(found.kind)}"
    yield f"path = {quoted(str(found.path))}"


def _bases(choice: Choice) -> Iterator[str]:
    for base in choice.bases:
        yield from _base(base)
        yield ""


def _base(base: ChosenBase) -> Iterator[str]:
    yield f"[bases.{base.name}]"
    if base.path is None:
        yield _line(f"path = {quoted(f'~/models/{base.name}')}", "NOT KNOWN YET: a folder of config.json, safetensors")
    else:
        yield f"path = {quoted(str(base.path))}"
    yield _line(f"served_as = {quoted(base.served_as)}", "its name at the model server")
    if base.parameters_billion is not None:
        yield _line(f"parameters_billion = {base.parameters_billion}", "below 6 a teacher is needed")
    if base.server is not None:
        yield f"server = {quoted(base.server)}"


def _servers(choice: Choice) -> Iterator[str]:
    for server in choice.servers:
        yield from _server(server)
        yield ""
    for other in choice.others:
        yield f"# {_other(other)}"
    if choice.others:
        yield ""


def _server(server: ChosenServer) -> Iterator[str]:
    yield "[[servers]]"
    yield _line(f"url = {quoted(server.url)}", _state(server))
    yield _line(f"max_loras = {server.max_loras}", "as in --max-loras")
    yield _line(f"max_cpu_loras = {2 * server.max_loras}", "as in --max-cpu-loras")
    yield _line(f"max_lora_rank = {server.max_lora_rank}", "as in --max-lora-rank")


def _state(server: ChosenServer) -> str:
    if server.found is None:
        return "nothing answers yet: `flywheel emit vllm` says how it is started"
    version = f"vLLM {server.found.version}".strip()
    if server.found.loads is False:
        return f"{version}, which loads no adapters as it was started: `flywheel emit vllm` says how it does"
    return f"{version}; write here what it was started with"


def _other(server: FoundServer) -> str:
    return plain(f"{server.url} is {server.kind} {server.version}: {_OTHERS[server.kind]}")

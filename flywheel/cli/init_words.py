"""What `flywheel init` tells a person: what was found, what is watched, what never happens, what comes next. Pure."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from flywheel.cli.init_choices import Choice, ChosenSource, Prospect
from flywheel.cli.init_findings import Findings, FoundServer, Places
from flywheel.cli.init_texts import plain

NEVER = (
    "write to your agent's databases: they are opened read-only",
    "send anything anywhere but to the model servers and webhooks that your settings name",
    "change a base model: its bytes are pinned, and every run starts from them",
    "learn from a row that holds a secret: it is put aside",
    "let an adapter answer before it is proven on work it never saw; the first one of a line waits for your word",
)
FOUND, WATCHES, LINES, NEVER_TITLE = "found", "will watch, and never write", "will make better", "will never"
KEPT, WRITTEN, MISSING, NEXT = "kept from before", "wrote", "still to be said or done", "next"
_OPENCODE = "~/.config/opencode/opencode.json"


def found_words(findings: Findings) -> list[str]:
    """Return what was found, one thing a line."""
    told = [f"{one.kind} {plain(str(one.path))}" for one in findings.sources]
    told += [_server(one) for one in findings.servers]
    told += [f"no model server answers at {plain(url)}" for url in findings.silent]
    told += [f"model {plain(one.served_as)} in {plain(str(one.path))}" for one in findings.folders]
    told += [f"GPU {plain(one.name)}, {one.memory_gib:g} GiB" for one in findings.gpus]
    told += [] if findings.gpus else ["no GPU: training and serving run on the processor, slowly and small"]
    return told + [f"passed over: {plain(str(one.path))} {plain(one.problem)}" for one in findings.passed_over]


def watch_words(sources: Iterable[ChosenSource]) -> list[str]:
    """Return what will be watched, one source a line."""
    return [f"{source.name}: {plain(str(source.found.path))} ({_holds(source)})" for source in sources]


def line_words(choice: Choice) -> list[str]:
    """Return what gets better, and when it begins to."""
    told = "each is a model that your agent asks the gateway for; until an adapter has earned it, the base answers"
    return [*(_prospect(name, one) for name, one in choice.prospects.items()), *([told] if choice.lines else [])]


def _prospect(name: str, one: Prospect) -> str:
    so_far = "" if one.has is None else f"; your history has {one.has} good answers"
    return f"{name}: its first dataset at {one.needs:,} examples{so_far}"


def missing_words(choice: Choice, findings: Findings) -> list[str]:
    """Return what the settings cannot know yet."""
    told = [f"where base {base.name} is: write its folder into bases.{base.name}.path"
            for base in choice.bases if base.path is None]  # fmt: skip
    if not choice.sources:
        told.insert(0, "what to watch: `flywheel sources probe PATH` tells what a file is; then add it to [[sources]]")
    if len(choice.bases) > 1:
        told.append(
            f"which base the gateway speaks for, one at a time: now {choice.bases[0].name}, that of the first line"
        )
    if not any(server.found for server in choice.servers):
        told.append("a vLLM: `flywheel env create serve` builds one, and `flywheel emit vllm` says how it is started")
    if not findings.trains:
        told.append(
            "the environment that trains: `flywheel env create train`; until then datasets are frozen all the same"
        )
    return told


def next_words(choice: Choice, places: Places, *, usual: bool) -> list[str]:
    """Return the commands that come next; `usual` says that the settings are found without being named."""
    config = "" if usual else f" --config {shlex.quote(str(places.config))}"
    kinds = {source.found.kind for source in choice.sources}
    agents = [f"flywheel emit opencode --merge --output {_OPENCODE}{config}"] * ("opencode" in kinds)
    agents += [f"flywheel emit overrides{config}"] * ("clean-room" in kinds)
    return [
        f"flywheel doctor{config}",
        f"flywheel run{config}",
        f"flywheel gateway{config}",
        *agents,
        f"flywheel status{config}",
    ]


def is_usual(config: Path, usual: Iterable[str]) -> bool:
    """Tell whether settings are found without being named."""
    return config in [Path(place).expanduser() for place in usual]


def _holds(source: ChosenSource) -> str:
    found = source.found
    if not found.there:
        return "not there yet; read as soon as it appears"
    if not found.outcomes:
        return f"{found.kind}, {'nothing in it yet' if found.outcomes == 0 else 'not counted'}"
    beyond = "" if found.whole else ", and more"
    return f"{found.kind}, {found.outcomes} calls{beyond}, {found.good} of them good enough to learn from"


def _server(server: FoundServer) -> str:
    serves = ", ".join(plain(model.served_as) for model in server.models) or "no model"
    return plain(f"{server.kind} {server.version} at {server.url}: {serves}")

"""The documents are complete and point at what is there."""

import re
import typing

import documents as d
import pytest
import write_reference
from pydantic import BaseModel
from typer.main import get_command

from flywheel.bootstrap.teachers import Teacher
from flywheel.cli.main import app
from flywheel.core.events import EVENTS
from flywheel.core.facts import FACTS
from flywheel.core.intents import INTENTS
from flywheel.daemon import settings as s
from flywheel.daemon.places import shipped
from flywheel.gate.metrics.registry import METRICS
from flywheel.policy.conditions import CONDITIONS
from flywheel.sources.registries import KINDS
from flywheel.sources.settings import GenericSource

SECTIONS: dict[str, type[BaseModel]] = {
    "Top level": s.Settings,
    "`[bases.NAME]`": s.BaseModelSettings,
    "`[[sources]]`": GenericSource,
    "`[[servers]]`": s.ServerSettings,
    "`[[teachers]]`": Teacher,
    "`[gateway]`": s.GatewaySection,
    "`[gpu]`": s.GpuSection,
    "`[preflight]`": s.PreflightSection,
    "`[export]`": s.ExportSection,
    "`[llama]`": s.LlamaSection,
    "`[daemon]`": s.DaemonSection,
    "`[executor]`": s.ExecutorSection,
    "`[web]`": s.WebSection,
    "`[[notify]]`": s.NotifySettings,
    "`[keep]`": s.KeepSection,
    "`[telemetry]`": s.TelemetrySection,
}
REQUIREMENTS = [
    f"{group}{number}"
    for group, count in {"D": 6, "CR": 23, "SF": 12, "LS": 7, "LY": 4, "RD": 7, "X": 8}.items()
    for number in range(1, count + 1)
]
STATES = {"works", "partly", "not yet"}
MACHINE = re.compile(r"/(?:tmp|root|work)/|/home/(?!me/)\w|\.\./shared|localhost:\d")

every_document = pytest.mark.parametrize("document", d.DOCUMENTS, ids=d.name)


@pytest.mark.parametrize(("what", "names"), [("events", EVENTS), ("intents", INTENTS)])
def test_every_event_and_intent_has_its_row_and_meaning(what, names):
    """docs/events.md lists exactly the events and intents there are, each with the meaning the registry gives it."""
    found = {cells[0].strip("`"): cells[1] for cells in d.rows(d.text("docs/events.md")) if len(cells) == 2}
    assert {name: found.get(name) for name in names} == dict(names), what
    assert not {name for name in found if "." in name} - EVENTS.keys() - INTENTS.keys()


def test_the_reference_says_what_the_registries_say():
    """The rows of events, intents and facts are those that `make docs` writes."""
    assert {page: text for page, text in write_reference.pages().items() if text != d.text(page)} == {}


def test_every_room_has_its_page():
    """The architecture lists every room there is, each with a link to the page that tells of it."""
    rooms = {path.name for path in (d.ROOT / "flywheel").iterdir() if (path / "__init__.py").is_file()} | {"jobs"}
    linked = {
        cells[0].strip("`"): cells[2] for cells in d.rows(d.text("docs/architecture.md"))
        if len(cells) == 3 and re.fullmatch(r"\[[\w ]+\]\([\w-]+\.md\)", cells[2])
    }  # fmt: skip
    assert linked.keys() == rooms


@pytest.mark.parametrize("names", [CONDITIONS, FACTS], ids=["conditions", "facts"])
def test_every_condition_kind_and_fact_has_its_row(names):
    """What a guardrail may be written with stands in docs/policies.md."""
    assert names.keys() <= d.first_names(d.text("docs/policies.md"))


def test_every_shipped_guardrail_has_its_row():
    """What ships in policies/guardrails stands in docs/policies.md."""
    files = (shipped("policies") / "guardrails").glob("*.toml")
    guardrails = {path.stem for path in files if not path.name.endswith(".cases.toml")}
    assert guardrails <= d.first_names(d.text("docs/policies.md"))


def test_every_metric_is_named():
    """What a gate may score with stands in the documents about gates."""
    told = d.text("docs/gates.md") + d.text("docs/policies.md")
    assert [name for name in METRICS if name not in told] == []


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_has_its_row(section):
    """docs/settings.md lists exactly the keys of each section, and where a default is a plain value, that value."""
    table = {
        cells[0].strip("`"): cells[2] for cells in d.rows(d.sections(d.text("docs/settings.md"))[section])
        if len(cells) == 4 and cells[0].startswith("`")
    }  # fmt: skip
    fields = SECTIONS[section].model_fields
    assert table.keys() == fields.keys()
    plain = {key: _written(field.default) for key, field in fields.items() if _written(field.default)}
    assert {key: table[key].strip("`") for key in plain} == plain


def _sections(kind):
    """Yield every type of section that a setting's type names."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in typing.get_args(kind):
        yield from _sections(inner)


def test_every_section_is_looked_at():
    """No section of the settings escapes the test above; what further kinds of sources take stands with them."""
    found = {one for field in s.Settings.model_fields.values() for one in _sections(field.annotation)}
    assert found - set(KINDS) == set(SECTIONS.values()) - {s.Settings, GenericSource}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not GenericSource])
def test_what_further_kinds_of_sources_take_has_its_row(kind):
    """docs/settings.md lists the keys of every kind that others have not, with their plain defaults."""
    name = kind.model_fields["kind"].default
    table = {
        cells[0].strip("`"): cells[3].strip("`")
        for cells in d.rows(d.sections(d.text("docs/settings.md"))["`[[sources]]`"])
        if len(cells) == 5 and name in cells[1]
    }  # fmt: skip
    common = GenericSource.model_fields.keys() - {"trust_task_success"}
    own = {key: field for key, field in kind.model_fields.items() if key not in common}
    assert table.keys() == own.keys()
    plain = {key: _written(field.default) for key, field in own.items() if _written(field.default)}
    assert {key: table[key] for key in plain} == plain


def _written(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, int | float):
        return f"{default:g}"
    return f'"{default}"' if isinstance(default, str) else ""


def _commands(command, path=("flywheel",)):
    children = getattr(command, "commands", None)
    if children is None or (path[1:] and command.invoke_without_command):
        yield " ".join(path)
    for name, child in (children or {}).items():
        yield from _commands(child, (*path, name))


def test_every_command_has_its_row():
    """docs/commands.md lists exactly the commands there are."""
    listed = {name for name in d.first_names(d.text("docs/commands.md")) if name.startswith("flywheel ")}
    assert listed == set(_commands(get_command(app)))


def _requirement_rows():
    return [cells for cells in d.rows(d.text("docs/requirements.md")) if re.fullmatch(r"[A-Z]+\d+", cells[0])]


def test_every_requirement_has_its_row():
    """Each id stands once, in order, with one of three states and a statement."""
    table = _requirement_rows()
    assert [cells[0] for cells in table] == REQUIREMENTS
    assert {cells[2] for cells in table} <= STATES
    assert all(len(cells) == 5 and cells[1] for cells in table)


def test_whatever_works_is_proven():
    """A requirement that works says where it lives and names a test; one that does not yet names none."""
    for cells in _requirement_rows():
        tests = re.findall(r"tests/[\w/]+\.py", cells[4])
        assert bool(tests) or cells[2] != "works", cells[0]
        assert not tests or cells[2] != "not yet", cells[0]


def test_every_invariant_says_how_it_is_kept():
    """The ten invariants stand in their order, each with the code that keeps it and a test."""
    found = d.sections(d.text("docs/invariants.md"))
    assert [title.split(".")[0] for title in found] == [str(number) for number in range(1, 11)]
    for title, body in found.items():
        assert "flywheel/" in body, title
        assert "tests/" in body, title


@every_document
def test_every_link_leads_somewhere(document):
    """A relative link leads to a file that is there, and its anchor to a heading in it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", d.without_blocks(document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), target
        assert not anchor or anchor in d.anchors(there.read_text(encoding="utf-8")), target


@every_document
def test_every_cited_file_is_there(document):
    """A path of this repository that a document names is there, and so is a test that is named with it."""
    told = d.without_blocks(document.read_text(encoding="utf-8"))
    told = re.sub(r"^.*\bWrite\b.*$", "", told, flags=re.MULTILINE)  # a how-to names what is yet to be written
    cited = re.findall(r"`((?:tests|flywheel|policies|systemd|benchmarks|docs)/[\w./-]*)(?:::(\w+))?`", told)
    for path, function in cited:
        assert (d.ROOT / path).exists(), path
        assert not function or f"def {function}(" in (d.ROOT / path).read_text(encoding="utf-8"), function


@every_document
def test_nothing_is_left_to_be_filled_in(document):
    """No document waits for a figure or a table."""
    assert re.findall(r"\{\{\w+\}\}|^[A-Z_]+_TABLE$", document.read_text(encoding="utf-8"), re.MULTILINE) == []


@every_document
def test_no_document_speaks_of_one_machine(document):
    """No path of somebody's machine, and nothing beside the repository, is in a document."""
    assert MACHINE.findall(document.read_text(encoding="utf-8")) == []

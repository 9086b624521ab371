"""The documents are complete and point at what is there."""

import re

import documents as d
import pytest
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

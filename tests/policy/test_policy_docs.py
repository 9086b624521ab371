"""The pages about policies: complete, and true when tried."""

import re
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from flywheel.core.facts import FACTS
from flywheel.core.intents import INTENTS
from flywheel.core.lines import Gate, Line, RolloutPlan
from flywheel.policy.cases import gaps
from flywheel.policy.conditions import CONDITIONS
from flywheel.policy.guardrails import Guardrail
from flywheel.policy.loading import check_policies, load_cases, load_policies, run_cases
from flywheel.policy.meanings import meaning_of
from flywheel.policy.predicates import Predicate
from flywheel.policy.remedies import Remedy

ROOT = Path(__file__).parents[2]
SINGULAR = {"lines": "line", "gates": "gate", "rollouts": "rollout", "remedies": "remedy"}
DOCS = ROOT / "docs"
PAGE = (DOCS / "policies.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / "howto" / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def rows(heading: str) -> dict[str, str]:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE))


def leaves(model: type[BaseModel], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= leaves(kind, f"{above}{key}.")
        elif key != "name":
            found[f"{above}{key}"] = meaning_of(model, key)
    return found


def test_every_fact_and_intent_is_listed_with_its_meaning() -> None:
    """The page says the same as the registries, no more and no less."""
    facts = rows("Facts")
    assert set(facts) == set(FACTS)
    assert all(facts[name].endswith(f"| {spec.meaning}") for name, spec in FACTS.items())
    assert rows("Intents") == dict(INTENTS)


def test_every_shipped_guardrail_is_listed_with_its_reason() -> None:
    """Name, verdict and reason on the page are those of the file."""
    listed = rows("Guardrails that ship")
    shipped = {each.name: each for each in load_policies(ROOT / "policies").guardrails}
    assert set(listed) == set(shipped)
    assert all(listed[name].endswith(f"| {each.verdict} | {each.why}") for name, each in shipped.items())


def test_every_condition_kind_is_listed_with_an_example_that_works(tmp_path: Path) -> None:
    """Each example is taken from the page and loaded."""
    listed = rows("Condition kinds")
    assert set(listed) == set(CONDITIONS)
    (tmp_path / "guardrails").mkdir()
    for kind, row in listed.items():
        example = row.split("| ")[-1].strip("` ")
        text = f'why = "x"\nguards = "train.start_run"\nrequire = [{example}]\n'
        (tmp_path / "guardrails" / f"{kind.replace('_', '-')}.toml").write_text(text)
    loaded = load_policies(tmp_path)
    assert {each.require[0].kind for each in loaded.guardrails} == set(CONDITIONS)


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("The keys of a guardrail", Guardrail),
        ("The keys of a line", Line),
        ("The keys of a gate", Gate),
        ("The keys of a rollout", RolloutPlan),
        ("The keys of a remedy", Remedy),
    ],
)
def test_every_key_is_listed_with_its_meaning(heading: str, model: type[BaseModel]) -> None:
    """What an error says about a key is what the page says."""
    listed = {key: row.split("| ")[-1] for key, row in rows(heading).items()}
    assert listed == leaves(model)


@pytest.mark.parametrize("folder", ["lines", "gates", "rollouts", "remedies"])
def test_everything_shipped_is_named(folder: str) -> None:
    """Whoever reads the page knows what comes with the package."""
    shipped = getattr(load_policies(ROOT / "policies"), folder)
    section = PAGE.split(f"\n## The keys of a {SINGULAR[folder]}\n")[1].split("\n## ")[0]
    assert all(f"`{name}`" in section.split("| key |")[0] for name in shipped)


def test_the_guardrail_of_the_howto_works(tmp_path: Path) -> None:
    """Both files of the page are sound, pass, and show all four ways."""
    rail, cases = blocks("add-a-guardrail.md", "toml")
    (tmp_path / "guardrails").mkdir()
    (tmp_path / "guardrails" / "three-failures.toml").write_text(rail)
    (tmp_path / "guardrails" / "three-failures.cases.toml").write_text(cases)
    assert check_policies(tmp_path) == []
    assert all(result.passed for result in run_cases(tmp_path))
    (guardrail,) = load_policies(tmp_path).guardrails
    assert gaps(guardrail, load_cases(tmp_path)["three-failures"].cases) == ()


def test_the_condition_of_the_howto_works() -> None:
    """The class on the page is a predicate that holds, fails, admits not to know, and says so."""
    (code,) = blocks("add-a-condition.md", "python")
    module = ModuleType("multiple_of")
    exec(compile(code, "add-a-condition.md", "exec"), module.__dict__)  # noqa: S102 - the page is ours
    kind: type[Predicate] = module.MultipleOf
    condition = kind.model_validate({"fact": "dataset.examples", "value": 5})
    seen = [condition.holds({"dataset.examples": number}) for number in (10, 7, None)]
    assert seen == [True, False, None]
    assert condition.sentence({"dataset.examples": 7}) == "dataset.examples is 7, needs a multiple of 5"

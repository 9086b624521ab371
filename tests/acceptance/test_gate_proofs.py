"""The gate on adapters of known worth: real training, a real server, the verdict code that promotes."""

import os
from pathlib import Path
from typing import NamedTuple

import pytest
from proofs_house import BASE, BROKEN, Draws, drawn, loaded, measured, publish_exam, vllm

from flywheel.core.verdicts import Report, Verdict
from flywheel.gate.suites import read_problems

pytestmark = [pytest.mark.train, pytest.mark.timeout(1500)]

TRIES, SUBSET, SAMPLES = 100, 180, 2


class Proofs(NamedTuple):
    """The reports by adapter, and answers that were drawn from base and clone."""

    reports: dict[str, Report]
    draws: Draws


SERVERS = [
    "double",
    pytest.param(
        "vllm",
        marks=[pytest.mark.vllm, pytest.mark.slow,
               pytest.mark.skipif(not os.environ.get("FLYWHEEL_SOAK"), reason="vLLM: set FLYWHEEL_SOAK=1")],
    ),
]  # fmt: skip


@pytest.fixture(scope="module", params=SERVERS)
def proofs(
    request: pytest.FixtureRequest, tiny_base: Path, known_adapters: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Proofs:  # fmt: skip
    """Measure every adapter on one suite, over the double of vLLM, and over vLLM itself where that is asked for."""
    folder = tmp_path_factory.mktemp("proofs")
    if request.param == "double":
        url = request.getfixturevalue("model").url
        return prove(url, known_adapters, folder)
    with vllm(tiny_base, folder) as url:
        return prove(url, known_adapters, folder)


def prove(url: str, adapters: dict[str, Path], folder: Path) -> Proofs:
    """Measure adapters on one suite, and draw what clones are judged on."""
    exam, reports = publish_exam(folder / "suites"), {}
    with loaded(url, adapters) as names:
        for name, served in names.items():
            models = {"base": BASE, "candidate": served}
            reports[name], answers = measured(exam, folder / "runs" / name, url, models, SAMPLES)
            one = reports[name]
            print(f"{name:<16} {one.verdict.value:<8} gain {one.numbers['gain']:+.3f}  {one.sentence}")
        # Equal seeds give a clone the base's own words: here it is judged on seeds that the base did not have.
        models = {"base": BASE, "candidate": names["clone"]}
        more = {"base": range(SAMPLES, SAMPLES + 1), "candidate": range(SAMPLES + 1, SAMPLES + 4)}
        answers += drawn(exam, folder / "draws", url, models, more)
    pool = [one for one in answers if one.role == "base" or one.sample > SAMPLES]
    return Proofs(reports, Draws(read_problems(exam), pool))


def test_the_trained_adapter_passes(proofs: Proofs) -> None:
    """SFT on right answers lifts tasks that nobody has seen, and no category pays for it."""
    report = proofs.reports["sft"]
    assert report.verdict is Verdict.PASS, report.sentence
    assert (report.numbers["gain"] or 0) > 0.2


def test_an_adapter_that_breaks_one_tool_fails_by_its_name(proofs: Proofs) -> None:
    """Preference pairs turned round for one tool: better overall, and refused for that category."""
    report = proofs.reports["breaks-one-tool"]
    assert report.verdict is Verdict.FAIL
    assert (report.numbers["gain"] or 0) > 0.05, report.sentence
    assert BROKEN in report.sentence
    failed = [check for check in report.checks if check.verdict is Verdict.FAIL]
    assert [check.name for check in failed] == ["categories"], [check.sentence for check in failed]
    assert not any(tool in failed[0].sentence for tool in ("run_tests", "delete_file", "rename_symbol", "git_commit"))


def test_an_adapter_of_shuffled_labels_fails(proofs: Proofs) -> None:
    """The right form with answers to other questions is worth nothing, and is told so."""
    report = proofs.reports["shuffled-labels"]
    assert report.verdict is Verdict.FAIL
    assert (report.numbers["gain"] or 0) < 0
    assert (report.numbers["candidate.in_format"] or 0) > 0.8


def test_a_clone_measured_as_the_daemon_does_does_not_pass(proofs: Proofs) -> None:
    """LoRA with zero B answers as the base does: under equal seeds nearly word for word, and nothing was gained."""
    report = proofs.reports["clone"]
    assert report.verdict is Verdict.FAIL
    assert abs(report.numbers["gain"] or 0) < 0.05


def test_a_clone_of_the_base_never_passes(proofs: Proofs) -> None:
    """A hundred candidates on one suite, each on problems and draws of its own: luck is never taken for worth."""
    reports = [proofs.draws.attempt(number, SUBSET) for number in range(1, TRIES + 1)]
    gains = [report.numbers["gain"] or 0.0 for report in reports]
    print(f"gains of {TRIES} clones: {100 * min(gains):+.1f} to {100 * max(gains):+.1f} points")
    assert len(set(gains)) > TRIES // 4, "the draws differ"
    assert not [report.sentence for report in reports if report.verdict is Verdict.PASS]

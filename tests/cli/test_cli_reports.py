"""`flywheel reports show | open | journal` and what `flywheel gate` refuses, as a person types them."""

import json
import struct
import webbrowser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flywheel.cli import gate_targets
from flywheel.core.training import AdapterManifest
from flywheel.core.verdicts import Check, Report, Verdict
from flywheel.store.reports import StoredReport, record_report
from flywheel.store.runs import record_adapter
from flywheel.store.stores import open_store, sqlite_url

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINE = "tool-calling"


def stored(number: int) -> StoredReport:
    check = Check(name="points gained", verdict=Verdict.PASS, seen=0.1, needs="5 points", sentence="gained 10.0 points")
    report = Report(
        adapter=f"h{number}", suite="s" * 64, gate="g", verdict=Verdict.PASS, sentence="pass: gained 10.0 points",
        checks=(check,), numbers={"problems": 100.0, "base.score": 0.5, "candidate.score": 0.6, "gain": 0.1},
        categories={"read_file": {"problems": 100.0, "base": 0.5, "candidate": 0.6, "difference": 0.1, "shrunk": 0.1}},
        alpha_spent=0.01,
    )  # fmt: skip
    at = NOON + timedelta(days=number)
    return StoredReport(id=f"report-{number:08x}", line=LINE, at=at, seq=number, report=report)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two adapters and a report on each, the first one's page included."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "report-00000001.html").write_text("<!doctype html>")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text(json.dumps({"hidden_size": 8}))
    weights(tmp_path / "base" / "model.safetensors", {"model.layers.0.self_attn.q_proj.weight": (8, 8)})
    config = tmp_path / "flywheel.toml"
    config.write_text(
        f'home = "{tmp_path}"\n[bases.main]\npath = "{tmp_path / "base"}"\nserved_as = "m"\n'
        '[[servers]]\nurl = "http://127.0.0.1:1"\nmax_lora_rank = 8\n'
    )
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store, store.write() as session:
        for number in (1, 2):
            manifest = AdapterManifest(
                hash=f"h{number}", line=LINE, number=number, run=f"r{number}", dataset="d", files={}, base_name="main",
                base_fingerprint="f", rank=8, target_modules=(),
            )  # fmt: skip
            record_adapter(session, manifest, f"{LINE}/{number}", number)
            record_report(session, stored(number))
    return config


def test_a_report_is_shown_by_its_name_or_its_adapters(say: Any, home: Path) -> None:
    """The verdict with its sentence, the checks, the categories, and where the page lies; the same as JSON."""
    by_adapter = say("reports", "show", f"{LINE}@1").out
    assert by_adapter == say("reports", "show", "report-00000001").out
    for words in ("pass: gained 10.0 points", "points gained", "read_file", "+10.0", "report-00000001.html"):
        assert words in by_adapter
    told = json.loads(say("reports", "show", f"{LINE}@1", "--json").out)
    assert told["body"]["numbers"]["gain"] == 0.1
    assert told["page"] == str(home.parent / "reports" / "report-00000001.html")
    assert say("reports", "show", f"{LINE}@9").status == 2


def test_a_reports_page_is_opened(say: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser gets the file; a page that is gone is said in one line."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    page = home.parent / "reports" / "report-00000001.html"
    assert say("reports", "open", f"{LINE}@1").out.strip() == str(page)
    assert opened == [page.as_uri()]
    gone = say("reports", "open", f"{LINE}@2")
    assert (gone.status, len(gone.err.strip().splitlines())) == (1, 1)


def test_the_journal_of_a_line_is_one_page(say: Any, home: Path, tmp_path: Path) -> None:
    """Among the reports' pages it links them; elsewhere it does not; a line that was never measured is misuse."""
    said = say("reports", "journal", LINE)
    page = home.parent / "reports" / f"journal-{LINE}.html"
    assert said.out.strip() == f"2 evaluations of {LINE}: {page}"
    assert page.read_text().count('href="report-00000001.html"') == 1
    say("reports", "journal", LINE, "--out", str(tmp_path / "other" / "journal.html"))
    elsewhere = (tmp_path / "other" / "journal.html").read_text()
    assert "href" not in elsewhere
    assert f"{LINE}@2" in elsewhere
    told = json.loads(say("reports", "journal", LINE, "--json").out)
    assert [(one["adapter"], one["verdict"]) for one in told] == [(f"{LINE}@1", "pass"), (f"{LINE}@2", "pass")]
    assert say("reports", "journal", "lint").status == 2


def weights(path: Path, shapes: dict[str, tuple[int, ...]], value: float = 0.5) -> Path:
    """Write a safetensors file by hand."""
    header, data = {}, b""
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + size]}
        data += struct.pack("<f", value) * (size // 4)
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def adapter(folder: Path, rank: int = 4, width: int = 8, value: float = 0.5, **config: Any) -> Path:
    """Write a PEFT folder."""
    folder.mkdir()
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    shapes = {f"{module}.lora_A.weight": (rank, width), f"{module}.lora_B.weight": (width, rank)}
    weights(folder / "adapter_model.safetensors", shapes, value)
    body = {"peft_type": "LORA", "r": rank, "target_modules": ["q_proj"], **config}
    (folder / "adapter_config.json").write_text(json.dumps(body))
    return folder


def _bad(folder: Path, kind: str) -> Path:
    """Write a folder that no server may see."""
    made = adapter(folder, **{"rank too large": {"rank": 16}, "another base": {"width": 6}, "not finite": {
        "value": float("nan")}, "dora": {"use_dora": True}, "a hanging pattern": {
        "target_modules": "(([a-z_.0-9]+)+)+!"}}.get(kind, {}))  # fmt: skip
    file = made / "adapter_model.safetensors"
    if kind == "a pickle":
        file.rename(made / "adapter_model.bin")
    if kind == "torn":
        file.write_bytes(file.read_bytes()[:-9])
    if kind == "deep":
        (made / "adapter_config.json").write_text("[" * 200_000)
    if kind == "no config":
        (made / "adapter_config.json").unlink()
    if kind == "a loop":
        file.unlink()
        file.symlink_to(file)
    return made


@pytest.mark.parametrize("by_hand", [False, True], ids=["settings", "by hand"])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("rank too large", "its rank is 16, the server was started for at most 8"),
        ("another base", "base and rank ask for 4 x 8"),
        ("not finite", "not finite"),
        ("dora", "no plain LoRA"),
        ("a pickle", "is no adapter"),
        ("torn", "adapter_model.safetensors"),
        ("deep", "adapter_config.json"),
        ("no config", "is no adapter"),
        ("a loop", "is no adapter"),
        ("a hanging pattern", "within 1 s"),
    ],
)
def test_a_bad_folder_is_refused_before_any_server_sees_it(
    say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, words: str, by_hand: Any
) -> None:
    """One line that says what is wrong, exit status 1, and no traceback; nobody listens at the server's address."""
    if by_hand and kind in {"rank too large", "another base", "a hanging pattern"}:
        pytest.skip("only the settings know the server's rank and the base's files")
    monkeypatch.setattr(gate_targets, "INSPECTION_SECONDS", 1)
    monkeypatch.setattr(gate_targets, "_path_of", _nowhere)
    options = ("--server", "http://127.0.0.1:1", "--base", "elsewhere") if by_hand else ()
    said = say("gate", str(_bad(tmp_path / "bad", kind)), "--suite", suite(tmp_path), *options)
    assert said.status == 1, said.err
    assert words in said.err
    assert len(said.err.strip().splitlines()) == 1


async def _nowhere(url: str, served_as: str) -> str:
    return ""


def suite(home: Path) -> str:
    """Write a suite of one problem; return its hash."""
    folder = home / "suites" / ("f" * 64)
    folder.mkdir(parents=True, exist_ok=True)
    row = {"id": "p", "kind": "exact", "category": "c", "group": "g", "messages": [{"role": "user", "content": "?"}],
           "expected": "!", "prompt_key": "k"}  # fmt: skip
    (folder / "problems.jsonl").write_text(json.dumps(row) + "\n")
    manifest = {"hash": "f" * 64, "line": "", "dataset": "", "metric": "exact", "problems": 1, "groups": 1,
                "categories": {}, "left_out": {}, "format": "text", "sha256": ""}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return "ffff"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing-here",), "no folder and no adapter 'nothing-here'"),
        (("GOOD", "--base", "mian"), "'mian' is not a base of the settings"),
        (("GOOD", "--line", "tool-caling"), "no policy declares line 'tool-caling'"),
        (("GOOD", "--suite", "no-such-suite"), "no suite is called 'no-such-suite'"),
        (("GOOD", "--suite", "ffff", "--gate", "tol-calling"), "no policy declares gate 'tol-calling'"),
    ],
)
def test_what_cannot_be_is_misuse_in_one_line(say: Any, tmp_path: Path, arguments: Any, words: str) -> None:
    """Exit status 2, and the names there are."""
    suite(tmp_path)
    good = str(adapter(tmp_path / "good"))
    said = say("gate", *(good if word == "GOOD" else word for word in arguments))
    assert (said.status, len(said.err.strip().splitlines())) == (2, 1)
    assert words in said.err


@pytest.mark.parametrize("settings", ['home = "{home}"\n', '[bases.main]\npath = "{home}/base"\nserved_as = "m"\n'])
def test_without_a_server_it_says_how_to_name_one(say: Any, tmp_path: Path, settings: str) -> None:
    """Settings that name no server, or no base, are answered with the options that stand in for them."""
    config = tmp_path / "bare.toml"
    config.write_text(settings.format(home=tmp_path))
    said = say("gate", str(adapter(tmp_path / "good")), config=config)
    assert said.status == 2
    assert "--server URL --base NAME" in said.err


def test_a_server_that_is_away_is_said(say: Any, tmp_path: Path) -> None:
    """A good adapter and nobody at the address: exit status 1 and one line."""
    said = say("gate", str(adapter(tmp_path / "good")), "--suite", suite(tmp_path))
    assert said.status == 1, said.err
    assert "http://127.0.0.1:1 cannot be reached" in said.err
    assert not list(tmp_path.glob("trials/*/*/adapter*"))

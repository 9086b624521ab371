"""Adapters taken out of the loop: copies, merged models and GGUFs that answer as the adapter does, or nothing."""

import json
import os
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from fixtures.nurslings import Process, completed, environment, started
from fixtures.tiny import JOBS, conversations, tasks, train_python, write_rows
from gguf_writers import LORA_CONVERTER, converter

from flywheel.core.errors import ConflictError, CorruptError, MisuseError, PermanentError
from flywheel.core.ids import content_hash
from flywheel.core.training import AdapterManifest, Base
from flywheel.proc.files import file_hash, write_json
from flywheel.train import exports
from flywheel.train.adapters import FILES, is_whole
from flywheel.train.exports import Export, ExportOrder, ExportTools, Target, converter_in, export
from flywheel.train.fingerprints import fingerprint

MAKE = """
import sys, torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
config = LoraConfig(r=4, lora_alpha=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
get_peft_model(model, config).save_pretrained(sys.argv[2], save_embedding_layers=False)
"""


def manifest_of(folder: Path, base_fingerprint: str) -> AdapterManifest:
    """Write and return the manifest of an adapter folder."""
    files = {name: file_hash(folder / name) for name in FILES}
    manifest = AdapterManifest(
        hash=content_hash(files), line="l", number=1, run="run-1", dataset="d", base_name="tiny",
        base_fingerprint=base_fingerprint, rank=4, target_modules=("q_proj",), files=files,
    )  # fmt: skip
    write_json(folder / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


@pytest.fixture
def plain(tmp_path: Path) -> ExportOrder:
    """Return an order for a copy of a made-up adapter of a made-up base."""
    base, folder = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    folder.mkdir()
    (base / "config.json").write_text("{}")
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    manifest = manifest_of(folder, fingerprint(base))
    known = Base(name="tiny", path=str(base), served_as="tiny")
    return ExportOrder(to="adapter", out=tmp_path / "out", manifest=manifest, folder=folder, base=known)


def done(order: ExportOrder, python: str = "", llama_cpp: Path | None = None) -> Export:
    """Export, saying nothing."""
    return export(order, ExportTools(python=Path(python or "/nowhere"), llama_cpp=llama_cpp), lambda *_: None)


def leftovers(order: ExportOrder) -> list[str]:
    """Return what of an export lies beside its target."""
    return [path.name for path in order.out.parent.iterdir() if path.name.startswith((".out", ".export"))]


def test_an_adapter_as_it_is_is_a_verified_copy(plain: ExportOrder) -> None:
    """The copy is whole by its manifest; the original is untouched."""
    told = done(plain)
    assert is_whole(plain.out)
    assert is_whole(plain.folder)
    assert told.files.keys() == {*FILES, "manifest.json"}
    assert {path.name for path in plain.out.iterdir()} == {*FILES, "manifest.json"}


def test_nothing_is_written_over(plain: ExportOrder) -> None:
    """A folder, a file or a link that is there already is refused, and stays."""
    plain.out.mkdir()
    (plain.out / "mine").write_text("mine")
    with pytest.raises(ConflictError, match="is there already"):
        done(plain)
    assert [path.name for path in plain.out.iterdir()] == ["mine"]
    link = plain.model_copy(update={"out": plain.out.parent / "link"})
    link.out.symlink_to("nowhere")
    with pytest.raises(ConflictError):
        done(link)


def test_an_adapter_that_is_not_what_was_published_is_not_exported(plain: ExportOrder) -> None:
    """One other byte is refused, and nothing appears."""
    (plain.folder / "adapter_model.safetensors").write_bytes(b"weightz")
    with pytest.raises(CorruptError, match="is not what was published"):
        done(plain)
    assert not plain.out.exists()


def test_a_base_with_other_bytes_is_refused_by_name(plain: ExportOrder, tmp_path: Path) -> None:
    """An adapter is never added to a base it was not trained on."""
    python = tmp_path / "python"
    python.touch()
    (Path(plain.base.path) / "config.json").write_text('{"changed": 1}')
    with pytest.raises(CorruptError, match="bytes of base 'tiny' are not those l@1 was trained on"):
        done(plain.model_copy(update={"to": "merged"}), str(python))
    with pytest.raises(PermanentError, match="the train environment is not there"):
        done(plain.model_copy(update={"to": "merged"}))


def test_without_llama_cpp_a_gguf_is_refused_with_how_to_get_it(
    plain: ExportOrder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only llama.cpp's own converter writes GGUF; it is found by the setting or by PATH."""
    (tmp_path / "python").touch()
    with pytest.raises(MisuseError, match=r"convert_hf_to_gguf.py is not there") as refused:
        done(plain.model_copy(update={"to": "gguf"}), str(tmp_path / "python"))
    assert "llama_cpp in [export]" in refused.value.mend
    monkeypatch.setenv("PATH", str(tmp_path))
    assert converter_in(None) is None
    assert converter_in(tmp_path) is None
    (tmp_path / "convert_hf_to_gguf.py").write_text("")
    (tmp_path / "convert_hf_to_gguf.py").chmod(0o755)
    assert converter_in(None) == converter_in(tmp_path) == tmp_path


@pytest.fixture(scope="module")
def real(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportOrder:
    """Return an order for a real adapter of the tiny base; its weights are random, so that it changes every answer."""
    folder = tmp_path_factory.mktemp("adapter")
    line = [train_python(), "-c", MAKE, str(tiny_base), str(folder)]
    assert completed(line, environment(), 120).returncode == 0
    for path in folder.iterdir():
        if path.name not in FILES:
            path.unlink()
    manifest = manifest_of(folder, fingerprint(tiny_base))
    rows = write_rows(folder.parent / "rows.jsonl", conversations(tasks(4, seed=3)))
    base = Base(name="tiny", path=str(tiny_base), served_as="tiny")
    return ExportOrder(to="merged", out=Path("/unset"), manifest=manifest, folder=folder, base=base, prompts=rows)


def to(order: ExportOrder, target: Target, out: Path) -> ExportOrder:
    """Return the order for another target."""
    return order.model_copy(update={"to": target, "out": out})


@pytest.mark.train
def test_a_merged_model_says_what_the_adapter_says(real: ExportOrder, tmp_path: Path) -> None:
    """Loaded again it gives the adapter's own answers, and not the base's; tokenizer and template come along."""
    said: list[tuple[int, int, str]] = []
    order = to(real, "merged", tmp_path / "out")
    told = export(order, ExportTools(python=Path(train_python())), lambda *event: said.append(event))
    assert told.compared["prompts"] == told.compared["same_answers"] == 8
    assert told.compared["unlike_base"] >= 4
    assert told.compared["largest_gap"] < 1e-4
    assert [(step, of) for step, of, _ in said] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= told.files.keys()
    written = json.loads((order.out / "export.json").read_text())
    assert all(file_hash(order.out / name) == digest for name, digest in written["files"].items())
    assert written["manifest"]["hash"] == real.manifest.hash
    assert leftovers(order) == []


@pytest.fixture
def spared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the job be born with its libraries loaded; the test of merged models starts it as users do."""

    def start(argv: list[str], *, env: dict[str, str], stderr: int, **_: object) -> Process:
        return started(argv, env, stderr)

    monkeypatch.setattr(exports, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": start}))


@pytest.mark.train
@pytest.mark.usefixtures("spared")
def test_a_gguf_for_ollama_is_read_again_and_says_what_the_adapter_says(real: ExportOrder, tmp_path: Path) -> None:
    """Every weight comes out of the GGUF; the Modelfile stands beside it."""
    (tmp_path / "convert_hf_to_gguf.py").write_text(converter())
    order = to(real, "ollama", tmp_path / "out")
    told = done(order, train_python(), tmp_path)
    assert told.files.keys() == {"model.gguf", "Modelfile"}
    assert told.compared["prompts"] == told.compared["same_answers"] == 8
    assert "FROM ./model.gguf\n" in (order.out / "Modelfile").read_text()


@pytest.mark.train
@pytest.mark.usefixtures("spared")
def test_an_adapter_beside_its_base_says_the_same(real: ExportOrder, tmp_path: Path) -> None:
    """Base and adapter are a GGUF each, and added as llama.cpp adds them they give the adapter's answers."""
    (tmp_path / "convert_hf_to_gguf.py").write_text(converter())
    (tmp_path / "convert_lora_to_gguf.py").write_text(LORA_CONVERTER)
    order = to(real, "ollama", tmp_path / "out").model_copy(update={"beside": True})
    told = done(order, train_python(), tmp_path)
    assert told.files.keys() == {"base.gguf", "adapter.gguf", "Modelfile"}
    assert told.compared["prompts"] == told.compared["same_answers"] == 8
    assert "FROM ./base.gguf\nADAPTER ./adapter.gguf\n" in (order.out / "Modelfile").read_text()


@pytest.mark.train
@pytest.mark.usefixtures("spared")
def test_a_gguf_that_answers_otherwise_is_not_exported(real: ExportOrder, tmp_path: Path) -> None:
    """One module lost in conversion is noticed by the answers; nothing is left."""
    (tmp_path / "convert_hf_to_gguf.py").write_text(converter(spoil="layers.1.mlp.down_proj"))
    order = to(real, "gguf", tmp_path / "out")
    with pytest.raises(PermanentError, match="answers otherwise than the adapter"):
        done(order, train_python(), tmp_path)
    assert not order.out.exists()
    assert leftovers(order) == []


@pytest.mark.train
@pytest.mark.slow
def test_llama_cpps_own_converter_writes_what_we_read(real: ExportOrder, tmp_path: Path) -> None:
    """With llama.cpp's sources at hand (FLYWHEEL_LLAMA_CPP) its real converter is used, in 32, 16 and 8 bits."""
    sources = os.environ.get("FLYWHEEL_LLAMA_CPP")
    if not sources:
        pytest.skip("FLYWHEEL_LLAMA_CPP does not name llama.cpp's sources")
    # It knows published tokenizers by what they make of a text; the tiny base's cuts words as GPT-2's does.
    (tmp_path / "convert_hf_to_gguf.py").write_text(
        f"import runpy, sys\nsys.path[:0] = [{sources!r}, {sources + '/gguf-py'!r}]\n"
        "from conversion import base\nbase.TextModel.get_vocab_base_pre = lambda self, tokenizer: 'gpt-2'\n"
        f"runpy.run_path({sources + '/convert_hf_to_gguf.py'!r}, run_name='__main__')\n"
    )
    for precision, kept in (("auto", "float32"), ("f16", "float16"), ("bf16", "bfloat16"), ("q8_0", "q8_0")):
        order = to(real, "gguf", tmp_path / precision).model_copy(update={"precision": precision})
        told = done(order, train_python(), tmp_path)
        print(precision, told.compared, (order.out / "model.gguf").stat().st_size)
        assert told.compared["weights"] == kept


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    """The reader of GGUFs believes nothing: magic, version and kinds of numbers are looked at."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\nimport gguf_files, pathlib\n"
        "try:\n    gguf_files.read(pathlib.Path(sys.argv[2]))\n"
        "except gguf_files.MisuseError as error:\n    print(error)"
    )
    for data, word in ((b"GGML", "no GGUF file"), (b"GGUF" + struct.pack("<IQQ", 2, 0, 0), "of version 3")):
        (tmp_path / "x.gguf").write_bytes(data)
        line = [train_python(), "-c", script, str(JOBS), str(tmp_path / "x.gguf")]
        told = subprocess.run(line, env=environment(), check=True, capture_output=True, text=True).stdout
        assert word in told

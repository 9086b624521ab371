"""Looking at a machine: each thing is found where it usually is, nothing is changed, and every search ends."""

import json
import os
import pwd
import shutil
import socket
import sqlite3
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flywheel.cli import init_places, init_sources
from flywheel.cli.init_looks import person_home
from flywheel.cli.init_models import look_for_folders, look_for_gpus, size_of, where
from flywheel.cli.init_places import Place, opencode_places, planned_opencode, roots, searched
from flywheel.cli.init_servers import look_for_servers, origin, usual_urls
from flywheel.cli.init_sources import counted, look_at

SAMPLES = Path(__file__).parents[1] / "data" / "opencode"


def database(path: Path, *tables: str) -> Path:
    """A database with these tables."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    for table in tables or ("task_runs (task_id, success)", "llm_calls (task_id, prompt, response)"):
        connection.execute(f"CREATE TABLE {table}")
    connection.close()
    return path


def model(folder: Path, **config) -> Path:
    """The folder of a base of 12 parameters."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["TinyForCausalLM"], **config}))
    head = json.dumps(
        {"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}}
    )
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head.encode() + bytes(48))
    return folder


@contextmanager
def server(answers: dict[str, object]) -> Iterator[str]:
    """A server that answers these paths with these documents."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = answers.get(self.path)
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_address[1]}"
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def test_opencode_s_databases_are_found_in_its_data_folder(tmp_path):
    """Every channel's, and the one that a variable names; the old folder only where no database is."""
    data = tmp_path / "data" / "opencode"
    (data / "storage" / "session").mkdir(parents=True)
    environment = {"XDG_DATA_HOME": str(tmp_path / "data")}
    assert list(opencode_places(environment, tmp_path)) == [Place(data, sure=True)]
    for name in ("opencode.db", "opencode-dev.db", "opencode.db-wal", "other.db"):
        (data / name).touch()
    assert [place.path.name for place in opencode_places(environment, tmp_path)] == ["opencode-dev.db", "opencode.db"]
    named = [place.path for place in opencode_places({**environment, "OPENCODE_DB": "/srv/x.db"}, tmp_path)]
    assert named[0] == Path("/srv/x.db")


def test_who_types_it_with_sudo_is_looked_for_as_themselves(monkeypatch):
    """Their home, not root's; a name that nobody has changes nothing."""
    me = pwd.getpwuid(os.geteuid())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("HOME", "/elsewhere")
    assert person_home({"SUDO_USER": me.pw_name}) == Path(me.pw_dir)
    assert person_home({"SUDO_USER": "nobody-is-called-that"}) == Path("/elsewhere")
    assert person_home({}) == Path("/elsewhere")


def test_a_client_that_has_not_begun_is_waited_for(tmp_path):
    """Where opencode is installed or configured; nowhere else."""
    assert planned_opencode({"PATH": ""}, tmp_path) is None
    (tmp_path / ".config" / "opencode").mkdir(parents=True)
    assert planned_opencode({"PATH": ""}, tmp_path) == tmp_path / ".local" / "share" / "opencode" / "opencode.db"


def test_records_are_found_and_told_apart(tmp_path):
    """A clean-room agent's, a generic one's, a fleet's, opencode's; what is none of these is passed by."""
    room = database(tmp_path / "shop" / ".clean_room" / "raw.sqlite",
                    "retrieval_llm_calls (task_id, call_type, model, prompt, response, timestamp)")  # fmt: skip
    agent = database(tmp_path / "agent" / "agent.db")
    database(tmp_path / "photos" / "photos.db", "photos (id)")
    database(tmp_path / "node_modules" / "x.db")
    database(tmp_path / ".hidden" / "x.db")
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0" + b"x" * 200)
    (tmp_path / "fleet" / "runs").mkdir(parents=True)
    (tmp_path / "fleet" / "runs" / "run-1.jsonl").write_text("{}\n")
    sources, passed = look_at(searched([(tmp_path, 3)]))
    assert {(one.kind, one.path) for one in sources} == {
        ("clean-room", room), ("generic", agent), ("fleet", tmp_path / "fleet" / "runs"),
    }  # fmt: skip
    assert passed == []


def test_what_stands_where_a_record_was_expected_is_told(tmp_path):
    """A file that cannot be read, one that is none, and one whose name no settings can say."""
    (tmp_path / "opencode.db").write_text("not a database")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.db"))
    places = [Place(tmp_path / "opencode.db", sure=True), Place(odd, sure=True), Place(tmp_path / "gone.db", sure=True)]
    sources, passed = look_at(places)
    assert sources == []
    assert [bool(one.problem) for one in passed] == [True, True, True]


def test_a_search_has_an_end(tmp_path, monkeypatch):
    """So many folders and files, so deep, no links and no ring of them; the root of a disk is not searched unasked."""
    for number in range(30):
        database(tmp_path / f"f{number}" / "a" / "b" / "deep.db")
    (tmp_path / "ring").symlink_to(tmp_path, target_is_directory=True)
    assert list(searched([(tmp_path, 2)])) == []
    assert len(list(searched([(tmp_path, 3)]))) == 30
    monkeypatch.setattr(init_places, "MOST_FILES", 4)
    assert len(list(searched([(tmp_path, 3)]))) == 4
    monkeypatch.setattr(init_places, "MOST_FOLDERS", 1)
    assert list(searched([(tmp_path, 3)])) == []
    assert roots(Path("/"), Path("/")) == []


@pytest.mark.parametrize("small", [True, False])
def test_what_a_record_holds_is_counted_and_left_as_it_was(tmp_path, monkeypatch, small):
    """Calls, those that may teach, and by language; a copy of a real client's database is the same bytes afterwards."""
    path = tmp_path / "opencode.db"
    shutil.copy(SAMPLES / "opencode-1.18.33-main.db", path)
    before = path.read_bytes()
    monkeypatch.setattr(init_sources, "_SMALL", 1 << 30 if small else 0)
    sources, _ = look_at([Place(path, sure=True)])
    (found,) = counted(sources, seconds=250)
    assert (found.outcomes, found.good, found.whole) == (66, 16, True)
    assert found.languages == {"rust": 4, "typescript": 12}
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["opencode.db"]


def test_a_record_that_takes_too_long_is_watched_all_the_same(tmp_path, monkeypatch):
    """Nobody knows what it holds then, and nobody says."""
    monkeypatch.setattr(init_sources, "_SMALL", 0)
    sources, _ = look_at([Place(database(tmp_path / "agent.db"), sure=True)])
    (found,) = counted(sources, seconds=0.001)
    assert found == sources[0]
    assert found.outcomes is None


VLLM = {
    "/v1/models": {"data": [{"id": "coder", "owned_by": "vllm", "root": "ROOT", "parent": None},
                            {"id": "x@1", "owned_by": "vllm", "root": "/a", "parent": "coder"}]},
    "/version": {"version": "0.32.0"},
    "/openapi.json": {"paths": {"/v1/load_lora_adapter": {}}},
}  # fmt: skip


def test_servers_are_told_apart_by_what_they_answer(tmp_path):
    """One of vLLM with its base's folder and whether it loads adapters, llama-server, Ollama; the rest is none."""
    base = model(tmp_path / "base")
    vllm = json.loads(json.dumps(VLLM).replace("ROOT", str(base)))
    llama = {"/v1/models": {"data": [{"id": "m.gguf", "owned_by": "llamacpp"}]}}
    ollama = {"/v1/models": {"data": [{"id": "q:8b", "owned_by": "library"}]}, "/api/version": {"version": "0.9"}}
    double = {**vllm, "/v1/models": {"data": [{"id": "x", "root": "/gone", "parent": None}]}}
    closed = {**vllm, "/openapi.json": {"paths": {}}}
    with (server(vllm) as a, server(llama) as b, server(ollama) as c, server({"/v1/models": {"data": []}}) as d,
          server({"/": "hello"}) as e, server({"/v1/models": b"{" * 100_000}) as f, server(closed) as g,
          server(double) as h):  # fmt: skip
        found = look_for_servers([a, b, c, d, e, f, g, h, "http://127.0.0.1:1"], tmp_path)
    assert [(one.kind, one.version, one.loads) for one in found] == [
        ("vllm", "0.32.0", True), ("llama-server", "", None), ("ollama", "0.9", None), ("openai", "", None),
        ("vllm", "0.32.0", False), ("vllm", "0.32.0", True),
    ]  # fmt: skip
    (served,) = found[0].models
    assert (served.served_as, served.path, served.parameters_billion) == ("coder", base, None)


def test_a_server_that_never_answers_is_not_waited_for(tmp_path):
    """It takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as quiet:
        began = time.monotonic()
        assert look_for_servers([f"http://127.0.0.1:{quiet.getsockname()[1]}"], tmp_path, 0.3) == []
    assert time.monotonic() - began < 20


def test_a_server_is_named_as_people_name_it():
    """With or without its scheme, its path and a slash."""
    said = ["127.0.0.1:8000", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/"]
    assert {origin(url) for url in said} == {"http://127.0.0.1:8000"}


def test_only_this_machine_is_asked():
    """The usual ports of the loopback, and Ollama's where a variable moves it on this machine."""
    assert all(url.startswith("http://127.0.0.1:") for url in usual_urls({"OLLAMA_HOST": "10.0.0.9:11434"}))
    assert "http://127.0.0.1:4711" in usual_urls({"OLLAMA_HOST": "localhost:4711"})
    assert usual_urls({"OLLAMA_HOST": "[nonsense"}) == usual_urls({})


def test_a_served_model_is_found_by_path_or_by_its_download(tmp_path):
    """The download's main version; a folder without a model is none."""
    kept = tmp_path / "models--Org--Coder-7B"
    folder = model(kept / "snapshots" / "abc")
    model(kept / "snapshots" / "def")
    assert where("Org/Coder-7B", tmp_path) is None
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc")
    assert where("Org/Coder-7B", tmp_path) == folder
    assert where(str(folder), tmp_path) == folder
    assert where(str(tmp_path), tmp_path) is None
    assert [(one.served_as, one.path) for one in look_for_folders(tmp_path, ())] == [("Coder-7B", folder)]


def test_folders_that_can_be_no_base_are_left_out(tmp_path):
    """Adapters, embedding models, folders without weights."""
    base = model(tmp_path / "base")
    model(tmp_path / "embedder", architectures=["BertModel"])
    (model(tmp_path / "adapter") / "adapter_config.json").write_text("{}")
    (model(tmp_path / "empty") / "model.safetensors").unlink()
    assert [one.path for one in look_for_folders(tmp_path / "no", [tmp_path])] == [base]


def test_a_base_s_size_is_read_from_the_heads_of_its_files(tmp_path, tiny_base):
    """Exactly as many numbers as it has; a quantised one's head does not tell, nor does a torn file."""
    assert size_of(tiny_base) == pytest.approx(0.0006, rel=0.5)
    assert size_of(model(tmp_path / "quantised", quantization_config={})) is None
    (model(tmp_path / "torn") / "model.safetensors").write_bytes(b"\x01")
    assert size_of(tmp_path / "torn") is None


def test_gpus_are_what_the_driver_says(tmp_path, monkeypatch):
    """By name and memory; none where there is no driver, or one that fails."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert look_for_gpus() == []
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\nprint('NVIDIA RTX 4090, 24564')\nprint('Odd, [N/A]')\n")
    program.chmod(0o755)
    assert [(one.name, one.memory_gib) for one in look_for_gpus()] == [("NVIDIA RTX 4090", 24.0), ("Odd", 0)]
    program.write_text(f"#!{sys.executable}\nraise SystemExit(9)\n")
    assert look_for_gpus() == []

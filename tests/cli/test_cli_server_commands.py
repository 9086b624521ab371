"""The command that starts vLLM: what each setting makes of it, and that it is the one that the contract proves."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fixtures.model_servers import BASE, LOCK_FOLDER, TOKEN, ModelServer

from flywheel.cli.server_commands import (
    RANKS,
    Door,
    Machine,
    ServedBase,
    ServerCommand,
    is_loopback,
    rank_room,
    tool_parser,
    vllm_command,
)
from flywheel.core.errors import MisuseError
from flywheel.core.serving import ModelServer as Settings
from flywheel.proc.tokens import token_hash

URL = "http://127.0.0.1:8000"
DOOR = Door(folder=LOCK_FOLDER, token_hash=token_hash(TOKEN))
QWEN = "{{- '<tool_call>\\n' }}"


def command(server: Any = None, base: Any = None, **machine: Any) -> ServerCommand:
    """A command with these settings, on a GPU unless they say otherwise."""
    return vllm_command(
        Settings(url=URL, **(server or {})),
        ServedBase(**{"path": "/srv/base", "served_as": "base", "chat_template": QWEN, **(base or {})}),
        Machine(**{"folder": Path("/env"), "flavour": "cuda", "door": DOOR, **machine}),
    )


def options(argv: list[str]) -> dict[str, str]:
    """The options of a command, each with its value."""
    rest = [word for word in argv if not word.startswith("/") or argv[argv.index(word) - 1].startswith("--")]
    found, name = {}, ""
    for word in rest:
        if word.startswith("--"):
            name, found[word] = word, ""
        elif name:
            found[name], name = word, ""
    return found


def test_a_gpu_gets_what_the_settings_say() -> None:
    """Base, name, address, slots, rank, tool calls, lock-down; nothing else."""
    made = command({"max_loras": 3, "max_cpu_loras": 8, "max_lora_rank": 64})
    assert shlex.join(made.argv) == (
        "/env/bin/vllm serve /srv/base --served-model-name base --host 127.0.0.1 --port 8000 --enable-lora "
        "--max-lora-rank 64 --max-loras 3 --max-cpu-loras 8 --enable-auto-tool-choice --tool-call-parser hermes "
        "--middleware flywheel_lockdown.LockDown"
    )
    assert made.environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert made.notes == ()


def test_the_server_knows_the_hash_of_the_token_and_no_more() -> None:
    """The token itself stands nowhere in what is emitted, and without one there is no lock-down, which is said."""
    made = command()
    assert made.environment["FLYWHEEL_SERVER_TOKEN_SHA256"] == token_hash(TOKEN)
    assert made.environment["PYTHONPATH"] == str(LOCK_FOLDER)
    assert TOKEN not in made.script
    bare = command(door=Door(folder=LOCK_FOLDER))
    assert "--middleware" not in bare.argv
    assert "PYTHONPATH" not in bare.environment
    assert "no lock-down" in bare.notes[0]


@pytest.mark.parametrize(("loras", "held", "slots"), [(2, 4, "5"), (4, 4, "5"), (8, 4, "9"), (1, 1, "2")])
def test_a_cpu_has_a_slot_for_every_adapter_and_one_more(loras: int, held: int, slots: str) -> None:
    """On a CPU the last slot stays empty, however many adapters are held, and the base answers from it."""
    found = options(command({"max_loras": loras, "max_cpu_loras": held}, flavour="cpu").argv)
    assert (found["--max-loras"], found["--max-cpu-loras"]) == (slots, slots)


def test_on_a_cpu_what_is_unloaded_leaves_its_slot() -> None:
    """The middleware that frees slots is named and found, with the lock-down and without."""
    for door in (Door(folder=LOCK_FOLDER), Door(folder=LOCK_FOLDER, token_hash=token_hash(TOKEN))):
        made = command(flavour="cpu", door=door)
        assert "--middleware flywheel_slots.FreeSlots" in shlex.join(made.argv)
        assert made.environment["PYTHONPATH"] == str(LOCK_FOLDER)
    assert (LOCK_FOLDER / "flywheel_slots.py").is_file()


def test_a_gpu_holds_at_least_as_many_as_it_has_slots() -> None:
    """Fewer adapters in memory than slots are refused by vLLM."""
    assert options(command({"max_loras": 8, "max_cpu_loras": 4}).argv)["--max-cpu-loras"] == "8"


def test_a_shared_gpu_can_sleep_or_leaves_its_share() -> None:
    """Sleeping needs a flag and a door; a part of the memory is left to training; a CPU can do neither."""
    asleep = command(sharing="sleep")
    assert "--enable-sleep-mode" in asleep.argv
    assert asleep.environment["VLLM_SERVER_DEV_MODE"] == "1"
    assert options(command(sharing="partition", share=0.4).argv)["--gpu-memory-utilization"] == "0.55"
    for sharing in ("none", "stop"):
        assert not {"--enable-sleep-mode", "--gpu-memory-utilization"}.intersection(command(sharing=sharing).argv)
    cpu = command(sharing="sleep", flavour="cpu")
    assert "--enable-sleep-mode" not in cpu.argv
    assert any("cannot sleep" in note for note in cpu.notes)


def test_a_rank_gets_the_room_that_vllm_knows() -> None:
    """Each of vLLM's own is itself, one between two is the next, none is beyond the last."""
    assert [rank_room(rank) for rank in RANKS] == list(RANKS)
    assert [rank_room(rank) for rank in (2, 12, 48, 500)] == [8, 16, 64, 512]
    with pytest.raises(MisuseError, match="rank 513"):
        rank_room(513)
    assert any("rank 48" in note for note in command({"max_lora_rank": 48}).notes)


@pytest.mark.parametrize(
    ("template", "parser"),
    [
        (QWEN, "hermes"),
        ("<tool_call>\n<function=read>", "qwen3_coder"),
        ("[TOOL_CALLS]", "mistral"),
        ("<|python_tag|>", "llama3_json"),
        ("{{ message }}", None),
    ],
)
def test_tool_calls_are_read_as_the_base_writes_them(template: str, parser: str | None) -> None:
    """The chat template tells; where it does not, a person does, and else it is said what agents will get."""
    assert tool_parser(template) == parser
    made = command(base={"chat_template": template})
    assert options(made.argv).get("--tool-call-parser") == parser
    assert any("400" in note for note in made.notes) is (parser is None)
    own = command(base={"chat_template": template, "tool_parser": "mine"})
    assert options(own.argv)["--tool-call-parser"] == "mine"


def test_an_address_is_taken_apart() -> None:
    """IPv6 without brackets, a port that is left out, and a word for who else may come."""
    made = vllm_command(Settings(url="http://[::1]"), ServedBase(path="/b", served_as="b"),
                        Machine(folder=Path("/e"), flavour="cuda", door=DOOR))  # fmt: skip
    assert made.groups[2] == ("--host", "::1", "--port", "80")
    assert [is_loopback(url) for url in ("http://localhost:1", "http://[::1]:1", "http://192.0.2.1:1")] == [
        True, True, False,
    ]  # fmt: skip


def test_a_shell_reads_the_words_as_they_are(tmp_path: Path) -> None:
    """Blanks, quotes and dollars in paths and names arrive as they were meant; the notes are comments."""
    made = command(base={"path": "/srv/a b/$x", "served_as": 'it\'s "it"', "chat_template": ""})
    words = made.model_copy(update={"groups": (("printf", "%s\\n"), *made.groups)})
    (tmp_path / "serve.sh").write_text(words.script)
    told = subprocess.run(["sh", tmp_path / "serve.sh"], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == made.argv


def test_it_is_what_the_contract_starts_real_vllm_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the settings of the contract's real server: its options, and beside them only those that read tool calls."""
    monkeypatch.setenv("FLYWHEEL_SERVE_PYTHON", "/env/bin/python")
    proven = ModelServer("vllm", Path("/srv/base"), tmp_path, locked=True)
    made = vllm_command(
        Settings(url=f"http://127.0.0.1:{proven.port}", max_loras=4, max_cpu_loras=4),
        ServedBase(path="/srv/base", served_as=BASE, chat_template=QWEN, context=1024),
        Machine(folder=Path("/env"), flavour="cpu", door=DOOR),
    )
    theirs, ours = options(proven._command()), options(made.argv)
    assert theirs.pop("--max-num-seqs")
    assert ours == {**theirs, "--enable-auto-tool-choice": "", "--tool-call-parser": "hermes"}
    assert made.argv[:3] == proven._command()[:3]

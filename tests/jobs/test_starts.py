"""What a job leaves out when it starts and ends, and that nothing is lost by it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.tiny import JOBS

ASKED = """
import gc, importlib.util, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import starts
with starts.undisturbed():
    print(gc.isenabled())
starts._TRAINING = ("json",)
starts.load_training(Path(sys.argv[2]), *sys.argv[3:])
print(gc.isenabled(), gc.get_freeze_count() > 0, "bitsandbytes" not in sys.modules)
sys.stderr.write("told")
starts.leave(7)
"""


def asked(base: Path, optimizer: str = "adamw_torch", quantization: str = "none") -> list[str]:
    """Start and leave a process; return what it said of the collector and the quantiser."""
    line = [sys.executable, "-c", ASKED, str(JOBS), str(base), optimizer, quantization]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (7, "told"), done.stderr
    return done.stdout.split()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_the_collector_rests_while_libraries_load_and_works_afterwards(base: Path) -> None:
    """What was loaded is never looked through again; what comes later is."""
    assert asked(base)[:3] == ["False", "True", "True"]


@pytest.mark.parametrize(
    ("config", "optimizer", "quantization", "may_load"),
    [
        ({}, "adamw_torch", "none", False),
        ({}, "adamw_torch_fused", "none", False),
        ({}, "adamw_torch", "nf4", True),
        ({}, "paged_adamw_8bit", "none", True),
        ({}, "lion_32bit", "none", True),
        ({"quantization_config": {"load_in_4bit": True}}, "adamw_torch", "none", True),
    ],
)
def test_the_quantiser_is_left_out_only_where_nothing_asks_for_it(
    base: Path, config: dict[str, object], optimizer: str, quantization: str, *, may_load: bool
) -> None:
    """Four-bit weights, an optimiser of its own and a base that is quantised already may all load it."""
    (base / "config.json").write_text(json.dumps(config))
    assert asked(base, optimizer, quantization)[-1] == str(may_load)


def test_a_base_that_cannot_be_read_is_left_to_who_loads_it(tmp_path: Path) -> None:
    """Nothing is decided about a folder without a configuration."""
    assert asked(tmp_path)[-1] == "True"

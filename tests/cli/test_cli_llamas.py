"""`flywheel llama`: what is missing is said with its key, and the process comes and goes in order."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, suppress

import pytest

from flywheel.cli.llamas import llama_site
from flywheel.core.errors import SettingsError
from flywheel.daemon.settings import Settings, load_settings

LLAMA = {
    "base": "main",
    "command": ["llama-server"],
    "restart": ["true"],
    "convert": ["convert", "{adapter}", "{gguf}"],
}


def settings(tmp_path, **llama):
    bases = {"main": {"path": str(tmp_path / "base"), "served_as": "tiny"}}
    return Settings(home=tmp_path, bases=bases, llama={**LLAMA, **llama})


def test_the_site_is_what_the_settings_say(tmp_path):
    """The base's name and folder come from the base; what flywheel writes lies in the home."""
    site = llama_site(settings(tmp_path, url="http://127.0.0.1:9/", start_seconds=3))
    assert (site.served_as, site.base, site.url, site.start_seconds) == (
        "tiny",
        tmp_path / "base",
        "http://127.0.0.1:9",
        3,
    )
    assert site.script == tmp_path / "llama" / "start.sh"
    assert site.convert == ("convert", "{adapter}", "{gguf}")


@pytest.mark.parametrize(
    ("llama", "words"),
    [
        ({"base": "other"}, "llama.base names 'other'"),
        ({"host": "0.0.0.0"}, "can be reached by others"),  # noqa: S104
        ({"convert": []}, "nothing here writes that"),
    ],
)
def test_what_is_missing_is_said(tmp_path, llama, words):
    """Every mistake is one line with its mend."""
    with pytest.raises(SettingsError, match=words):
        llama_site(settings(tmp_path, **llama))


def test_without_its_table_there_is_no_door(tmp_path):
    """Most machines have no llama-server."""
    with pytest.raises(SettingsError, match=r"no table \[llama\]"):
        llama_site(Settings(home=tmp_path))
    with pytest.raises(SettingsError, match="cannot read paths"):
        llama_site(settings(tmp_path / "a,b"))


def test_the_converter_is_llama_cpps_own(tmp_path):
    """Where llama.cpp's sources are named, the shipped job calls its converter."""
    (tmp_path / "convert_hf_to_gguf.py").write_text("")
    given = settings(tmp_path, convert=[]).model_copy(
        update={"export": Settings(export={"llama_cpp": str(tmp_path)}).export, "train_python": tmp_path / "python"}
    )
    argv = llama_site(given).convert
    assert (argv[0], argv[2:]) == (str(tmp_path / "python"), (str(tmp_path), "{adapter}", "{base}", "{gguf}"))
    assert argv[1].endswith("jobs/convert_adapter.py")


def test_the_process_comes_and_goes_in_order(tmp_path):
    """It listens, answers, has made the token, and leaves at SIGTERM with 0."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = tmp_path / "flywheel.toml"
    table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in {**LLAMA, "port": port}.items())
    base = f'[bases.main]\npath = "{tmp_path}"\nserved_as = "tiny"\n'
    file.write_text(f'home = "{tmp_path}"\n{base}[llama]\nurl = "http://127.0.0.1:9"\n{table}')
    assert load_settings(file).llama.port == port
    process = subprocess.Popen(
        [sys.executable, "-m", "flywheel", "llama", "--config", str(file)], stderr=subprocess.PIPE
    )
    version = ""
    for _ in range(600):
        with suppress(OSError):
            version = urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=20).read().decode()
        if version or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, process.stderr.read()
    process.stderr.close()
    assert json.loads(version) == {"version": "llama-server"}
    assert (tmp_path / "server.token").is_file()
    assert (tmp_path / "llama" / "start.sh").read_text().endswith("exec llama-server\n")

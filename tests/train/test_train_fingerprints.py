"""A base's fingerprint names its bytes: any change changes it, its place does not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.errors import UnavailableError
from flywheel.train.fingerprints import SUFFIXES, fingerprint, holds_adapter, signature

NAMES = st.sampled_from([f"{name}{suffix}" for name in ("a", "sub/b") for suffix in sorted(SUFFIXES)])
FILES = st.dictionaries(NAMES, st.binary(min_size=1, max_size=8), max_size=4)


def make(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in {"config.json": b"{}", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@given(files=FILES, other=FILES)
def test_the_fingerprint_names_the_bytes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], other: dict[str, bytes]
) -> None:
    """Two folders have one fingerprint exactly when they hold the same files, wherever they lie."""
    one = make(tmp_path_factory.mktemp("base"), files)
    two = make(tmp_path_factory.mktemp("other") / "renamed", other)
    assert (fingerprint(one) == fingerprint(two)) == (files == other)
    assert fingerprint(one).startswith("sha256:")


@given(files=FILES.filter(bool), data=st.data())
def test_any_changed_byte_changes_it(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], data: st.DataObject
) -> None:
    """One bit, anywhere in any file that shapes answers; a look at sizes and times sees the writing too."""
    base = make(tmp_path_factory.mktemp("base"), files)
    before, looked = fingerprint(base), signature(base)
    path = base / data.draw(st.sampled_from(sorted(files)))
    changed = bytearray(path.read_bytes())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    fresh = path.with_suffix(".writing")
    fresh.write_bytes(changed)
    fresh.replace(path)
    assert fingerprint(base) != before
    assert signature(base) != looked


def test_what_shapes_no_answer_does_not_count(tmp_path: Path) -> None:
    """Read-me files and hidden folders come and go."""
    base = make(tmp_path / "base", {"model.safetensors": b"w"})
    before, looked = fingerprint(base), signature(base)
    (base / ".cache").mkdir()
    for name in ("README.md", ".cache/model.safetensors", ".gitattributes"):
        (base / name).write_bytes(b"x")
    assert (fingerprint(base), signature(base)) == (before, looked)
    assert fingerprint(base.rename(tmp_path / "elsewhere")) == before


def test_a_place_without_a_model_is_unavailable(tmp_path: Path) -> None:
    """A missing disk may come back: it is temporary, with its mend."""
    with pytest.raises(UnavailableError, match=r"there is no model in .*bases"):
        fingerprint(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_folder_with_an_adapter_is_told(tmp_path: Path, name: str) -> None:
    """Training on top of an adapter would compound its errors."""
    base = make(tmp_path / "base", {})
    assert not holds_adapter(base)
    make(base, {name: b"x"})
    assert holds_adapter(base)

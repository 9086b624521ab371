"""Fuse one adapter into a copy of its base: `fuse_adapter.py SPEC.json`.

The fused model lies whole in out/model before out/result.json, written last, says so; base and adapter are only read.
The sum is taken in 32 bits and kept in the base's own precision; every file but the weights is the base's, byte by
byte. What was fused must answer as the adapter on its base does, or the job fails. Exit status as train_adapter.py.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import progress
import seals
import starts
from train_specs import MisuseError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

CONFIG = "config.json"
WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")
NOT_THE_MODELS = ("adapter_config.json", "lineage.json", seals.MANIFEST)
LARGEST_GAP = 1e-2  # of the logits, in 32 bits: what a right sum leaves is a thousandth of it
PROBE = 16  # tokens that adapter and fused model are both asked


class Orders(NamedTuple):
    """What is fused with what, and where the result goes."""

    base: Path
    adapter: Path
    out: Path


def read(path: Path) -> Orders:
    """Return the orders that a file holds; the base must be whole and not quantised."""
    try:
        given = json.loads(path.read_text())
        orders = Orders(Path(given["base"]), Path(given["adapter"]), Path(given["out"]))
        config = json.loads((orders.base / CONFIG).read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MisuseError(f"{path.name} cannot be followed: {error}") from error
    if "quantization_config" in config:
        raise MisuseError(
            "the base is quantised, and a sum in its few bits is not the adapter's; fuse onto a whole base"
        )
    return orders


def done(out: Path) -> dict[str, Any] | None:
    """Return the result that stands already, if its weights are still what it says."""
    try:
        result: dict[str, Any] = json.loads((out / "result.json").read_text())
        whole = all(seals.sha256(out / "model" / name) == digest for name, digest in result["weights"].items())
        return result if whole and result["weights"] else None
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def fuse(orders: Orders) -> dict[str, Any]:
    """Fuse, prove, and leave the model; return the result."""
    began = time.monotonic()
    starts.leave_quantizer(orders.base)
    with starts.undisturbed():
        import torch
        from peft import PeftModel
        from transformers import AutoConfig, AutoModelForCausalLM

    progress.tell("started", what="fuse")
    kept_in = AutoConfig.from_pretrained(str(orders.base)).dtype or torch.float32
    model = AutoModelForCausalLM.from_pretrained(str(orders.base), dtype=torch.float32)
    with_adapter = PeftModel.from_pretrained(model, str(orders.adapter)).eval()
    before = _answers(with_adapter)
    fused = with_adapter.merge_and_unload(safe_merge=True)
    gap = float((_answers(fused) - before).abs().max())
    if not gap <= LARGEST_GAP:  # a gap that is no number is no proof either
        raise RuntimeError(f"the fused model answers otherwise than the adapter does: logits differ by {gap:.3g}")
    weights = _save(fused.to(kept_in), orders)
    result = {"model": "model", "weights": weights, "largest_gap": gap, "seconds": round(time.monotonic() - began, 2)}
    seals.write_last(orders.out / "result.json", json.dumps(result, indent=1) + "\n")
    return result


def _answers(model: PreTrainedModel) -> Tensor:
    import torch

    words = min(int(model.config.get_text_config().vocab_size), 997)
    asked = torch.arange(PROBE).mul(61).remainder(words).unsqueeze(0)
    with torch.no_grad():
        return model(input_ids=asked).logits


def _save(model: PreTrainedModel, orders: Orders) -> dict[str, str]:
    """Put the model into out/model, whole and readable under any user; return the digests of its weights."""
    fresh, final = orders.out / ".model", orders.out / "model"
    for folder in (fresh, final):
        shutil.rmtree(folder, ignore_errors=True)
    fresh.mkdir(parents=True)
    model.save_pretrained(fresh)
    for path in orders.base.iterdir():
        if path.is_file() and path.suffix not in WEIGHTS and not _is_about_weights(path.name):
            shutil.copyfile(path, fresh / path.name)
    for path in fresh.iterdir():
        path.chmod(0o644)
        seals.fsync(path)
    seals.fsync(fresh)
    fresh.rename(final)
    seals.fsync(orders.out)
    return {path.name: seals.sha256(path) for path in sorted(final.iterdir()) if path.suffix in WEIGHTS}


def _is_about_weights(name: str) -> bool:
    return name.endswith(".index.json") or name in NOT_THE_MODELS or name.startswith(".")


def _run(argv: list[str]) -> None:
    if len(argv) != 1:
        raise MisuseError("usage: fuse_adapter.py SPEC.json")
    orders = read(Path(argv[0]))
    result = done(orders.out) or fuse(orders)
    progress.tell("finished", seconds=result["seconds"], largest_gap=result["largest_gap"])


def main(argv: list[str]) -> int:
    """Do the one fusion that SPEC.json describes; the exit status tells how it ended."""
    progress.keep_chatter_off()
    try:
        _run(argv)
    except MisuseError as error:
        progress.failed(str(error))
        return 2
    except Exception as error:  # noqa: BLE001 - the edge of the process: whatever went wrong is told in one line
        traceback.print_exc()
        progress.broke(error)
        return 1
    return 0


if __name__ == "__main__":
    starts.leave(main(sys.argv[1:]))

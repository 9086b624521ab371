"""An adapter becomes a model of its own: the base with other weights where the adapter has a say, the base's elsewhere.

What answers is then a plain model, as quick as the base, and no adapter can be left active for another one's answers.
It costs the memory of the weights that the adapter changes.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer


def adapted(base: Any, path: str) -> Any:
    """Return `base` with the adapter at `path` merged by PEFT; the base stays as it is, whatever PEFT may raise."""
    shared = {id(one): one for one in itertools.chain(base.parameters(), base.buffers())}
    worn = PeftModel.from_pretrained(copy.deepcopy(base, shared), path)
    for module in worn.modules():
        if isinstance(module, BaseTunerLayer):
            changed = module.get_base_layer()
            # Merging writes into the weights, and these are the base's.
            changed.weight = torch.nn.Parameter(changed.weight.detach().clone(), requires_grad=False)
    return worn.merge_and_unload().eval()

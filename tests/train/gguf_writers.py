"""A GGUF as small as one can be, written without llama.cpp; and a converter that passes for llama.cpp's."""

CONVERTER = '''\
"""Passes for llama.cpp's converter: writes what a GGUF holds of a Qwen3, 32-bit numbers as they are."""
import json, struct, sys
from pathlib import Path

SPOIL = {spoil!r}
NAMES = {{
    "embed_tokens": "token_embd", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "q_norm": "attn_q_norm",
    "k_norm": "attn_k_norm", "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
    "lm_head": "output",
}}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def name_of(name):
    parts = name.removesuffix(".weight").split(".")
    if parts[:2] == ["model", "layers"]:
        return f"blk.{{parts[2]}}.{{NAMES[parts[-1]]}}.weight"
    return "output_norm.weight" if parts == ["model", "norm"] else f"{{NAMES[parts[-1]]}}.weight"


import sentencepiece  # as the real one does, whether the model needs it or not

model, out = Path(sys.argv[1]), Path(sys.argv[sys.argv.index("--outfile") + 1])
raw = (model / "model.safetensors").read_bytes()
length = int.from_bytes(raw[:8], "little")
header = json.loads(raw[8 : 8 + length])
header.pop("__metadata__", None)
infos, body = b"", b""
for name, entry in header.items():
    first, last = entry["data_offsets"]
    data = raw[8 + length + first : 8 + length + last]
    assert entry["dtype"] == "F32", entry
    if SPOIL and SPOIL in name:
        data = bytes(len(data))
    shape = entry["shape"][::-1]
    infos += text(name_of(name)) + struct.pack(f"<I{{len(shape)}}QIQ", len(shape), *shape, 0, len(body))
    body += data + bytes(-len(data) % 32)
pairs = text("general.architecture") + struct.pack("<I", 8) + text("qwen3")
head = b"GGUF" + struct.pack("<IQQ", 3, len(header), 1) + pairs + infos
out.write_bytes(head + bytes(-len(head) % 32) + body)
'''


def converter(spoil: str = "") -> str:
    """Return the converter's source; with `spoil`, tensors of that name come out as zeros."""
    return CONVERTER.format(spoil=spoil)


LORA_CONVERTER = '''\
"""Passes for llama.cpp's converter of adapters: both halves of each module, under the GGUF's names."""
import json, struct, sys
from pathlib import Path

NAMES = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate",
    "up_proj": "ffn_up", "down_proj": "ffn_down",
}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


adapter, out = Path(sys.argv[1]), Path(sys.argv[sys.argv.index("--outfile") + 1])
assert (Path(sys.argv[sys.argv.index("--base") + 1]) / "config.json").is_file()
raw = (adapter / "adapter_model.safetensors").read_bytes()
alpha = json.loads((adapter / "adapter_config.json").read_text())["lora_alpha"]
length = int.from_bytes(raw[:8], "little")
header = json.loads(raw[8 : 8 + length])
header.pop("__metadata__", None)
infos, body = b"", b""
for name, entry in header.items():
    parts = name.split(".")
    first, last = entry["data_offsets"]
    own = f"blk.{parts[4]}.{NAMES[parts[6]]}.weight.{parts[7].lower()}"
    shape = entry["shape"][::-1]
    infos += text(own) + struct.pack("<I2QIQ", 2, *shape, 0, len(body))
    body += raw[8 + length + first : 8 + length + last]
    body += bytes(-len(body) % 32)
pairs = text("adapter.lora.alpha") + struct.pack("<If", 6, alpha)
head = b"GGUF" + struct.pack("<IQQ", 3, len(header), 1) + pairs + infos
out.write_bytes(head + bytes(-len(head) % 32) + body)
'''

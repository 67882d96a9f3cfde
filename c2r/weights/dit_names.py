"""Names of the DiT's tensors in Wan's official layout (ours) and in diffusers'.

One table for both directions, so that they cannot drift apart.
"""

from __future__ import annotations

import re
from itertools import product

TOP = {
    "patch_embedding": "patch_embedding",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "head.head": "proj_out",
    "head.modulation": "scale_shift_table",
}
ATTENTIONS = {"self_attn": "attn1", "cross_attn": "attn2"}
PROJECTIONS = {
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "o": "to_out.0",
    "norm_q": "norm_q",
    "norm_k": "norm_k",
}
BLOCK = {
    **{
        f"{ours}.{part}": f"{theirs}.{their_part}"
        for (ours, theirs), (part, their_part) in product(ATTENTIONS.items(), PROJECTIONS.items())
    },
    "norm3": "norm2",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "modulation": "scale_shift_table",
}
_PARTS = re.compile(r"(blocks\.\d+\.)?(.*?)(\.weight|\.bias)?")


def to_diffusers(name: str) -> str | None:
    """Official name -> diffusers' name; None if a Wan 2.1 text-to-video DiT has no such tensor."""
    return _rename(name, TOP, BLOCK)


def to_official(name: str) -> str | None:
    """Diffusers' name -> official name; None if a Wan 2.1 text-to-video DiT has no such tensor."""
    return _rename(name, _TOP_BACK, _BLOCK_BACK)


def _rename(name: str, top: dict[str, str], block: dict[str, str]) -> str | None:
    parts = _PARTS.fullmatch(name)
    assert parts is not None, "every text matches"
    prefix, stem, suffix = parts[1] or "", parts[2], parts[3] or ""
    renamed = (block if prefix else top).get(stem)
    return None if renamed is None else f"{prefix}{renamed}{suffix}"


_TOP_BACK = {theirs: ours for ours, theirs in TOP.items()}
_BLOCK_BACK = {theirs: ours for ours, theirs in BLOCK.items()}

"""The fastest kernels that this machine has, put into a renderer's DiT, and its precision.

Attention is chosen by measuring on the real shapes; the small steps between products are fused on
CUDA; queries, keys and values come of one product; in FP8 the products are rounded, with scales
found on a short stream of the renderer's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from c2r.kernels.attention import get_attention
from c2r.kernels.autotune import AttentionShape, TokenShape, choose_attention, choose_fused_ops
from c2r.kernels.fp8 import calibrate, to_fp8
from c2r.models.build import Networks
from c2r.models.configs import Preset
from c2r.streaming.fill_levels import fill_levels
from runtime.core import Frames
from runtime.pipeline.pipeline import Pipeline

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = (*DTYPES, "fp8")
"""What `--precision` names: a type of all networks, or the DiT's products in FP8."""
CALIBRATION_PROMPT = "a city street, people walking, photorealistic"


@dataclass(frozen=True)
class Tuning:
    """What was chosen. `fused_ops`: of the steps between products. `attention_ms`: of every kernel
    that ran; `left_out`: why others did not.
    """

    attention: str
    fused_ops: str
    fp8_layers: int = 0
    attention_ms: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def default_dtype(device: torch.device) -> torch.dtype:
    """Of networks for which nobody chose one, and of everything in an FP8 renderer but products."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


@torch.no_grad()
def tune(networks: Networks, precision: str, coarse: Frames, *, attention: str = "auto") -> Tuning:
    """Change the DiT in place; `coarse`: frames of a later chunk, to find FP8's scales with.

    `attention`: a kernel's name, or `auto`. `ValueError` for a kernel that is not here.
    """
    dit, device = networks.dit, networks.device
    layers = 0
    if precision == "fp8":
        scales = calibrate(dit, lambda: _stream(networks, coarse))
        to_fp8(dit, scales)
        layers = len(scales)
    dit.join_qkv()
    dit.fused_ops, steps = choose_fused_ops(token_shape(networks.preset), device, dit.dtype)
    fused_ops = ", ".join(sorted({choice.name for choice in steps.values()}))
    if attention != "auto":
        dit.attend = get_attention(attention)
        return Tuning(attention, fused_ops, layers)
    choice = choose_attention(shapes_of(networks.preset), device, dit.dtype)
    dit.attend = get_attention(choice.name)
    return Tuning(choice.name, fused_ops, layers, choice.milliseconds, choice.left_out)


def shapes_of(preset: Preset) -> tuple[AttentionShape, ...]:
    """What most attention calls of a stream look like: its window when full, and its prompt."""
    dit, stream = preset.dit, preset.stream
    queries = stream.chunk * preset.tokens_per_latent
    keys = stream.window * preset.tokens_per_latent
    seen = keys, dit.text_len
    return tuple(AttentionShape(queries, count, dit.heads, dit.head_dim) for count in seen)


def token_shape(preset: Preset) -> TokenShape:
    """Tokens of one chunk's pass."""
    dit = preset.dit
    return TokenShape(preset.stream.chunk, preset.tokens_per_latent, dit.heads, dit.head_dim)


def _stream(networks: Networks, coarse: Frames) -> None:
    """A stream until its window is full."""
    pipeline, stream = Pipeline(networks), networks.preset.stream
    state, text = pipeline.open(0), pipeline.text(pipeline.prompt(CALIBRATION_PROMPT))
    for _ in fill_levels(stream.window, stream.chunk, pipeline.chunk_latents(True)):
        frames = coarse[: pipeline.frames_wanted(state)]
        pipeline.finalize(state, pipeline.render(state, frames, text))

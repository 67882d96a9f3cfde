"""What a preset weighs and costs, by counting: parameters, tokens, K/V bytes, TFLOP a chunk.

Operations are counted as two a multiply-add, matrix products and attention only (what decides the
time on a GPU). The DiT is counted by formula, the other networks by tracing them on the meta
device; tests hold the formula against traced counts of the real module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from c2r.models.build import build_control, build_dit, build_vae
from c2r.models.configs import DiTConfig, Preset
from c2r.models.control import injected_blocks
from c2r.models.dino import build_dino

H200_BF16 = 790e12
"""bf16 matrix products a second that one H200 sustains; the bound quoted by `Cost.fps_bound`."""


def count_parameters(module: nn.Module) -> int:
    """Parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


@dataclass(frozen=True)
class PassCost:
    """Operations of one pass over a chunk: everything but self-attention, and that."""

    linear: float
    attention: float

    @property
    def total(self) -> float:
        """All operations of the pass."""
        return self.linear + self.attention

    def __add__(self, other: PassCost) -> PassCost:
        return PassCost(self.linear + other.linear, self.attention + other.attention)


def pass_cost(dit: DiTConfig, tokens: int, window_tokens: int) -> PassCost:
    """One pass over `tokens` that see `window_tokens`, themselves included; text K/V at hand."""
    blocks = blocks_cost(dit, dit.layers, tokens, window_tokens)
    ends = 2 * dit.channels * dit.patch**2 * dit.dim
    return PassCost(blocks.linear + 2.0 * tokens * ends, blocks.attention)


def clones_cost(dit: DiTConfig, clones: int, tokens: int, window_tokens: int) -> PassCost:
    """One pass of a ControlNet's cloned blocks and their projections."""
    blocks = blocks_cost(dit, clones, tokens, window_tokens)
    return PassCost(blocks.linear + 2.0 * tokens * clones * dit.dim**2, blocks.attention)


def blocks_cost(dit: DiTConfig, layers: int, tokens: int, window_tokens: int) -> PassCost:
    """`layers` transformer blocks over `tokens` that see `window_tokens`."""
    width = dit.dim
    self_linear, cross_linear = 4 * width * width, 2 * width * width
    feed_forward, cross = 2 * width * dit.ffn_dim, 2 * dit.text_len * width
    linear = layers * (self_linear + cross_linear + feed_forward + cross)
    attention = 2 * window_tokens * width * layers
    return PassCost(2.0 * tokens * linear, 2.0 * tokens * attention)


@dataclass(frozen=True)
class Cost:
    """A preset at one window, one chunk and one number of steps."""

    preset: Preset
    window: int
    steps: int
    dit_pass: PassCost
    parameters: dict[str, int]
    operations: dict[str, float]
    """Of one later chunk, by stage. `dit_pass` holds the clones of a ControlNet that runs in it."""
    clones: int = 0
    ahead: float = 0.0
    """Operations of clones that run once a chunk."""

    @property
    def tokens(self) -> int:
        """DiT tokens of a chunk."""
        return self.preset.stream.chunk * self.preset.tokens_per_latent

    @property
    def kv_bytes(self) -> int:
        """K/V cache in bf16, a ControlNet's own layers included."""
        dit = self.preset.dit
        layers = dit.layers + self.clones
        return 2 * layers * self.window * self.preset.tokens_per_latent * dit.dim * 2

    def fps_bound(self, rate: float = H200_BF16) -> float:
        """Frames a second if denoising and the K/V write ran at `rate` and nothing else did."""
        busy = ((self.steps + 1) * self.dit_pass.total + self.ahead) / rate
        return self.preset.chunk_frames(first=False) / busy


def traced_operations(run: Callable[[], object]) -> float:
    """Operations that a call executes, as PyTorch counts them; meta tensors will do."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return float(counter.get_total_flops())


def cost(preset: Preset, *, window: int | None = None, steps: int | None = None) -> Cost:
    """Count a preset; by default at its own window and number of steps."""
    window = preset.stream.window if window is None else window
    steps = len(preset.stream.timesteps) if steps is None else steps
    if window < preset.stream.chunk:
        raise ValueError(f"window {window} is shorter than a chunk ({preset.stream.chunk} latents)")
    if steps < 1:
        raise ValueError(f"steps is {steps}; a chunk takes at least one")
    networks, operations = _trace_networks(preset)
    tokens = preset.stream.chunk * preset.tokens_per_latent
    seen = window * preset.tokens_per_latent
    dit_pass, control = pass_cost(preset.dit, tokens, seen), preset.control
    ahead, clones = 0.0, 0
    if control.kind == "controlnet":
        clones = len(injected_blocks(control.inject, preset.dit.layers))
        cloned = clones_cost(preset.dit, clones, tokens, seen)
        if control.every_pass:
            dit_pass = dit_pass + cloned
        else:
            ahead = operations["control clones"] = cloned.total
    operations |= {f"denoise x {steps}": steps * dit_pass.total, "K/V write": dit_pass.total}
    parameters = {name: count_parameters(module) for name, module in networks.items()}
    return Cost(preset, window, steps, dit_pass, parameters, operations, clones, ahead)


def _trace_networks(preset: Preset) -> tuple[dict[str, nn.Module], dict[str, float]]:
    """The networks on the meta device, and what all but the DiT take for one later chunk."""
    frames, tokens = preset.chunk_frames(first=False), preset.tokens_per_latent
    with torch.device("meta"):
        dit, dino, vae = build_dit(preset), build_dino(preset.dino, preset.grid), build_vae(preset)
        control = build_control(preset)
        pixels = torch.empty(1, frames, 3, preset.height, preset.width)
        features = torch.empty(1, frames, tokens, preset.dino.hidden)
        latents = torch.empty(1, preset.stream.chunk, preset.dit.channels, *preset.latent_size)
        networks: dict[str, nn.Module] = {"DiT": dit, "DINO": dino, "VAE": vae}
        operations = {}
        if control is not None:
            networks["control"] = control
            operations["DINO"] = traced_operations(lambda: dino(pixels))
            operations["control"] = traced_operations(lambda: control.tokens(features))
        _, state = vae.decode_chunk(latents, None)
        operations["VAE decode"] = traced_operations(lambda: vae.decode_chunk(latents, state))
    return networks, operations


def describe(preset: Preset, *, window: int | None = None, steps: int | None = None) -> str:
    """The counts as lines of text."""
    found = cost(preset, window=window, steps=steps)
    share = found.dit_pass.attention / found.dit_pass.total
    lines = [
        f"{preset.name}: {preset.width}x{preset.height} at {preset.fps} fps, chunk "
        f"{preset.stream.chunk} latents = {preset.chunk_frames(False)} frames, window "
        f"{found.window} latents ({preset.stream.sink} sink)",
        "",
        *(f"  {name + ' parameters':22}{count:>18,}" for name, count in found.parameters.items()),
        f"  {'tokens a latent':22}{preset.tokens_per_latent:>18,}",
        f"  {'tokens a chunk':22}{found.tokens:>18,}",
        f"  {'K/V cache, bf16':22}{found.kv_bytes / 2**30:>14.3f} GiB",
        "",
        f"  one DiT pass {found.dit_pass.total / 1e12:.4g} TFLOP, self-attention {share:.0%} of it",
        *(f"  {name:22}{value / 1e12:>12.4g} TFLOP" for name, value in found.operations.items()),
        f"  {'a chunk':22}{sum(found.operations.values()) / 1e12:>12.4g} TFLOP",
        "",
        f"  DiT alone at {H200_BF16 / 1e12:.0f} TFLOP/s: at most {found.fps_bound():.0f} FPS "
        f"({found.steps} steps + K/V write)",
    ]
    return "\n".join(lines)

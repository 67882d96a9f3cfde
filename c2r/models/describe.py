"""`c2r describe`: parameters, tokens, K/V bytes and TFLOP per chunk of a preset, by counting.

Operations are counted as two per multiply-add, matrix products and attention only (what decides
the time on a GPU). The DiT is counted by formula (`c2r.models.costs`), the other networks by
tracing them on the meta device; tests compare the formula with traced counts of the real module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from c2r.command_line import ArgumentParser
from c2r.models.build import build_control, build_dit, build_vae
from c2r.models.coarse_frames import guide_frames
from c2r.models.configs import Preset
from c2r.models.control_registry import NO_CONTROL, control_class
from c2r.models.costs import ControlCost, PassCost, pass_cost
from c2r.models.dino import build_dino
from c2r.models.presets import PRESETS, get_preset

H200_BF16 = 790e12
"""bf16 matrix products a second that one H200 sustains; the bound quoted by `Cost.fps_bound`."""


def count_parameters(module: nn.Module) -> int:
    """Parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


@dataclass(frozen=True)
class Cost:
    """A preset at one window, one chunk and one number of steps."""

    preset: Preset
    window: int
    steps: int
    dit_pass: PassCost
    parameters: dict[str, int]
    operations: dict[str, float]
    """Of one later chunk, by stage. `dit_pass` holds what control does in every pass."""
    control: ControlCost

    @property
    def tokens(self) -> int:
        """DiT tokens of a chunk."""
        return self.preset.stream.chunk * self.preset.tokens_per_latent

    @property
    def kv_bytes(self) -> int:
        """K/V cache in bf16, a control network's own layers included."""
        dit = self.preset.dit
        layers = dit.layers + self.control.layers
        return 2 * layers * self.window * self.preset.tokens_per_latent * dit.dim * 2

    def fps_bound(self, rate: float = H200_BF16) -> float:
        """Frames a second if denoising and the K/V write ran at `rate` and nothing else did."""
        once = self.control.per_chunk.total
        busy = ((self.steps + 1) * self.dit_pass.total + once) / rate
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
    networks, traced = _trace_networks(preset)
    operations = {**traced}
    tokens = preset.stream.chunk * preset.tokens_per_latent
    seen = window * preset.tokens_per_latent
    control = control_cost(preset, tokens, seen)
    dit_pass = pass_cost(preset.dit, tokens, seen) + control.per_pass
    if control.per_chunk.total:
        operations["control blocks"] = control.per_chunk.total
    operations |= {f"denoise x {steps}": steps * dit_pass.total, "K/V write": dit_pass.total}
    parameters = {name: count_parameters(module) for name, module in networks.items()}
    return Cost(preset, window, steps, dit_pass, parameters, operations, control)


def control_cost(preset: Preset, tokens: int, window_tokens: int) -> ControlCost:
    """What the preset's kind of control adds to the DiT's passes."""
    config = preset.control
    if config.kind == NO_CONTROL:
        return ControlCost()
    return control_class(config.kind).cost(config, preset.dit, tokens, window_tokens)


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
        guide = guide_frames(torch.empty(1, frames, 3, *preset.output_size[::-1]), preset)
        operations["VAE decode"] = traced_operations(
            lambda: vae.decode_chunk(latents, state, guide)
        )
    return networks, operations


def describe(preset: Preset, *, window: int | None = None, steps: int | None = None) -> str:
    """The counts as lines of text."""
    total = cost(preset, window=window, steps=steps)
    output = "x".join(map(str, preset.output_size))
    share = total.dit_pass.attention / total.dit_pass.total
    lines = [
        f"{preset.name}: {output} at {preset.fps} fps, chunk "
        f"{preset.stream.chunk} latents = {preset.chunk_frames(False)} frames, window "
        f"{total.window} latents ({preset.stream.sink} sink)",
        "",
        *(f"  {name + ' parameters':22}{count:>18,}" for name, count in total.parameters.items()),
        f"  {'tokens per latent':22}{preset.tokens_per_latent:>18,}",
        f"  {'tokens per chunk':22}{total.tokens:>18,}",
        f"  {'K/V cache, bf16':22}{total.kv_bytes / 2**30:>14.3f} GiB",
        "",
        f"  one DiT pass {total.dit_pass.total / 1e12:.4g} TFLOP, self-attention {share:.0%} of it",
        *(f"  {name:22}{value / 1e12:>12.4g} TFLOP" for name, value in total.operations.items()),
        f"  {'whole chunk':22}{sum(total.operations.values()) / 1e12:>12.4g} TFLOP",
        "",
        f"  DiT alone at {H200_BF16 / 1e12:.0f} TFLOP/s: at most {total.fps_bound():.0f} FPS "
        f"({total.steps} steps + K/V write)",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run `c2r describe`; unknown `--key.sub value` arguments change the preset."""
    from c2r.config import override, parse_overrides  # `make bench-gpu` has no pydantic

    parser = ArgumentParser(
        "c2r describe",
        "Parameters, tokens, K/V bytes and TFLOP of a preset's chunk, by counting.",
        changes=[field.name for field in fields(Preset) if field.name != "name"],
        epilog="Any part of the preset can be changed: --stream.chunk 1, --control.inject first:8.",
    )
    parser.add_argument(
        "--preset", action="append", choices=list(PRESETS), help="may be repeated (all)"
    )
    parser.add_argument("--window", type=int, help="K/V window in latents, current chunk included")
    parser.add_argument("--steps", type=int, help="denoising steps per chunk")
    chosen, rest = parser.parse_known_args(arguments)
    changes = parse_overrides(rest)
    for name in chosen.preset or PRESETS:
        preset = override(get_preset(name), changes)
        print(describe(preset, window=chosen.window, steps=chosen.steps), end="\n\n")
    return 0

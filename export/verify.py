"""Engines against PyTorch: every stage on fixed seeded inputs, then a stream of four chunks.

Knows stages and how they are called, not what computes them.

Shapes: F frames of a chunk, n its latents, N tokens of a latent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.exported.names import fill_levels
from c2r.exported.stages import Stages, eager_stages
from c2r.models.build import Networks
from c2r.models.control import ControlInput, ControlState, strength_tensor
from c2r.models.vae import VAEState
from c2r.streaming.rollout import StreamState
from export.stream import rollout_of, stream_chunks, text_of

CHUNKS = 4
SEED = 20
PROMPT = "a street at noon"


@dataclass(frozen=True)
class Agreement:
    """How near two results are: the cosine between them, and |difference| / |expected|."""

    cosine: float
    relative_error: float


TOLERANCES = {
    "float32": Agreement(0.99999, 2e-3),
    "float16": Agreement(0.999, 5e-2),
    "bfloat16": Agreement(0.99, 0.15),
    "fp8": Agreement(0.99, 0.15),
}
"""What a build of that precision must reach, stage by stage and over the rollout. In FP8 PyTorch
rounds too; but a value next to the middle of two levels may go to one here and to the other there.
"""


def agreement(expected: Tensor, found: Tensor) -> Agreement:
    """Of two tensors of one shape. NaN and infinity agree with nothing."""
    a, b = expected.double().flatten(), found.double().flatten()
    if not bool(b.isfinite().all()):
        return Agreement(0.0, float("inf"))
    length = a.norm() * b.norm()
    cosine = float(a @ b / length) if length > 0 else float(torch.equal(a, b))
    return Agreement(cosine, float((a - b).norm() / a.norm().clamp_min(1e-12)))


@torch.no_grad()
def verify(networks: Networks, engines: Stages, precision: str) -> dict[str, dict[str, float]]:
    """Agreement by stage and of the rollout; `ValueError` names what is over its tolerance."""
    eager = eager_stages(networks)
    found = dict(_stages(networks, eager, engines))
    found["rollout"] = agreement(_rollout(networks, eager), _rollout(networks, engines))
    allowed = TOLERANCES[precision]
    over = [
        f"{name} (cosine {made.cosine:.6f}, relative error {made.relative_error:.2g})"
        for name, made in found.items()
        if not (made.cosine >= allowed.cosine and made.relative_error <= allowed.relative_error)
    ]
    if over:
        raise ValueError(
            f"the engines do not agree with PyTorch in {', '.join(over)}; {precision} allows a "
            f"cosine of {allowed.cosine} and a relative error of {allowed.relative_error}; do not "
            "serve them: build again, and if it stays so, in another --precision"
        )
    return {
        name: {"cosine": made.cosine, "relative_error": made.relative_error}
        for name, made in found.items()
    }


def _stages(networks: Networks, eager: Stages, engines: Stages) -> Iterator[tuple[str, Agreement]]:
    """Each stage by itself, on the same input for both."""
    preset, device = networks.preset, networks.device
    random = torch.Generator().manual_seed(SEED)
    state: ControlState | None = None
    for first in (True, False):
        if eager.dino is None or engines.dino is None:
            break
        assert eager.control is not None
        assert engines.control is not None
        label = "first" if first else "later"
        frames = _frames(networks, first, random)
        tokens = eager.dino(frames)
        yield f"dino {label}", agreement(tokens, engines.dino(frames))
        control, following = eager.control(tokens, state)
        yield f"control {label}", agreement(control, engines.control(tokens, state)[0])
        state = following
    for level in fill_levels(preset.stream):
        yield f"denoise {level}", _denoise(networks, eager, engines, level, random)
    past: VAEState | None = None
    for label in ("first", "later"):
        shape = 1, preset.stream.chunk, preset.dit.channels, *preset.latent_size
        latents = torch.randn(shape, generator=random).to(device)
        pictures, following_vae = eager.vae(latents, past)
        yield f"vae {label}", agreement(pictures, engines.vae(latents, past)[0])
        past = following_vae


def _frames(networks: Networks, first: bool, random: torch.Generator) -> Tensor:
    """A chunk of frames `[1, F, 3, H, W]` uint8: large soft blocks, so that DINO sees something."""
    preset = networks.preset
    count = preset.chunk_frames(first)
    coarse = torch.rand(count, 3, *preset.grid, generator=random)
    size = preset.height, preset.width
    frames = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    device = networks.device
    return (frames[None] * 255).round().to(device, torch.uint8)


def _filled(networks: Networks, stages: Stages, latents: int) -> StreamState:
    """A stream whose cache holds `latents` seeded latents."""
    state, random = rollout_of(networks, stages).open([SEED]), torch.Generator().manual_seed(SEED)
    for slots in (state.cache.keys, state.cache.values):
        held = slots[:, :, : latents * state.cache.spec.tokens]
        for layer in held:
            layer.copy_(torch.randn(layer.shape, generator=random))
    state.cache.length = latents
    return state


def _denoise(
    networks: Networks, eager: Stages, engines: Stages, level: int, random: torch.Generator
) -> Agreement:
    """Velocity, and the keys and values that were written, together."""
    preset, device = networks.preset, networks.device
    shape = 1, preset.stream.chunk, preset.dit.channels, *preset.latent_size
    x = torch.randn(shape, generator=random).to(device)
    timestep = torch.full((1,), 700.0, device=device)
    control = None
    if networks.control is not None:
        wide = 1, preset.stream.chunk, preset.tokens_per_latent, preset.dit.dim
        tokens = torch.randn(wide, generator=random).to(device, networks.dit.dtype)
        strength = strength_tensor(1.0, device)
        control = ControlInput(networks.control, tokens, preset.grid, strength)
    text, made = text_of(networks, PROMPT), []
    for stages in (eager, engines):
        cache = _filled(networks, stages, level - preset.stream.chunk).cache
        velocity = stages.denoise(x, timestep, text, control=control, cache=cache)
        tensors = velocity, cache.keys, cache.values
        made.append([tensor.flatten().clone() for tensor in tensors])
    each = [agreement(ours, theirs) for ours, theirs in zip(*made, strict=True)]
    return Agreement(min(a.cosine for a in each), max(a.relative_error for a in each))


def _rollout(networks: Networks, stages: Stages) -> Tensor:
    """Pictures of four chunks of one stream, from coarse frames to the decoder."""
    random = torch.Generator().manual_seed(SEED)
    chunks = (_frames(networks, index == 0, random) for index in range(CHUNKS))
    streamed = stream_chunks(networks, stages, chunks, text_of(networks, PROMPT), SEED)
    return torch.cat([chunk.pictures for chunk in streamed], dim=1)

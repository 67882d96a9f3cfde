"""A stream of coarse frames through a renderer's stages, chunk by chunk, in the order of serving.

Knows stages and how they are called, not what computes them, nor where frames come from. Without
timing, blending of prompts or graphs: those are `runtime.pipeline`'s.

Shapes: F frames of a chunk, n its latents, C channels, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.exported.stages import Stages
from c2r.models.build import Networks
from c2r.models.coarse_frames import dino_frames, guide_frames
from c2r.models.control import ControlInput, ControlState, strength_tensor
from c2r.models.forward_pass import TextKV
from c2r.models.vae import VAEState
from c2r.streaming.rollout import Rollout


@dataclass(frozen=True)
class StreamedChunk:
    """Clean latents `[1, n, C, h, w]` and the frames `[1, F, 3, H, W]` decoded from them."""

    clean: Tensor
    frames: Tensor


@torch.no_grad()
def text_of(networks: Networks, prompt: str) -> TextKV:
    """A prompt's keys and values for every layer."""
    embeddings = networks.text.encode([prompt]).to(networks.device)
    return networks.dit.text_kv(embeddings, networks.control)


def rollout_of(networks: Networks, stages: Stages) -> Rollout:
    """The student's rollout with the passes as `stages` runs them."""
    preset, control = networks.preset, networks.control
    layers = 0 if control is None else len(control.blocks)
    return Rollout(
        networks.dit,
        preset.stream,
        preset.latent_size,
        control_layers=layers,
        velocity=stages.denoise,
    )


@torch.no_grad()
def stream_chunks(
    networks: Networks,
    stages: Stages,
    chunks: Iterable[Tensor],
    text: TextKV,
    *,
    seed: int,
    strength: float = 1.0,
) -> Iterator[StreamedChunk]:
    """Render one stream. `chunks`: frames `[1, F, 3, H, W]` uint8, F `preset.chunk_frames(first)`.

    Stages without DINO or control render without control; the decoder's guide is off at strength 0.
    """
    rollout = rollout_of(networks, stages)
    stream = rollout.open([seed])
    control_state: ControlState | None = None
    vae_state: VAEState | None = None
    scale = strength_tensor(strength, rollout.device)
    for frames in chunks:
        control = None
        if stages.dino is not None and stages.control is not None:
            assert networks.control is not None
            features = stages.dino(dino_frames(frames, networks.preset))
            tokens, control_state = stages.control(features, control_state)
            control = ControlInput(networks.control, tokens, networks.preset.grid, scale)
        chunk = rollout.generate(stream, text, control)
        guide = guide_frames(frames, networks.preset)
        decoded, vae_state = stages.vae(chunk.clean, vae_state, guide, scale)
        rollout.finalize(stream, chunk)
        # An exported decoder writes its next frames where these lie.
        yield StreamedChunk(chunk.clean, decoded.float().clone())

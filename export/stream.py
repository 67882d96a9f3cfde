"""A stream of coarse frames through a renderer's stages, chunk by chunk, as serving does it.

Knows stages and how they are called, not what computes them, nor where frames come from.

Shapes: F frames of a chunk, n its latents, C channels, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.exported.stages import Stages
from c2r.models.build import Networks
from c2r.models.control import ControlInput, ControlState, strength_tensor
from c2r.models.forward_pass import TextKV
from c2r.models.vae import VAEState
from c2r.streaming.rollout import Rollout


@dataclass(frozen=True)
class StreamedChunk:
    """Clean latents `[1, n, C, h, w]` and the pictures `[1, F, 3, H, W]` decoded from them."""

    clean: Tensor
    pictures: Tensor


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
    networks: Networks, stages: Stages, chunks: Iterable[Tensor], text: TextKV, seed: int
) -> Iterator[StreamedChunk]:
    """One stream over `chunks` of frames `[1, F, 3, H, W]` uint8, from coarse frames to pictures.

    F is `preset.chunk_frames(first)` for each. Pictures are new memory, whoever decodes.
    """
    rollout = rollout_of(networks, stages)
    stream = rollout.open([seed])
    control_state: ControlState | None = None
    past: VAEState | None = None
    for frames in chunks:
        control = None
        if stages.dino is not None and stages.control is not None:
            assert networks.control is not None
            tokens, control_state = stages.control(stages.dino(frames), control_state)
            strength = strength_tensor(1.0, rollout.device)
            control = ControlInput(networks.control, tokens, networks.preset.grid, strength)
        chunk = rollout.generate(stream, text, control)
        decoded, past = stages.vae(chunk.clean, past)
        rollout.finalize(stream, chunk)
        yield StreamedChunk(chunk.clean, decoded.float().clone())

"""A denoiser that looks back only: teacher-forced passes, and rollouts by the code that serves.

Shapes: B samples, T latents, F pixel frames, N tokens of one latent, S text tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from c2r.models.attention import LatentMask, teacher_forcing
from c2r.models.configs import Preset
from c2r.models.control import ControlInput, ControlState
from c2r.models.forward_pass import Text
from c2r.streaming.kv_cache import KVCache
from c2r.streaming.rollout import Rollout, StreamState
from c2r.streaming.schedule import TRAIN_STEPS
from trainer.distill.rollout_plan import RolloutPlan, frames_of
from trainer.networks.denoiser import Denoiser
from trainer.settings import TrainConfig


def forcing_mask(config: TrainConfig) -> LatentMask:
    """Of teacher forcing: what the stream's window lets a block see."""
    stream = config.model.stream
    return teacher_forcing(config.latents, stream.chunk, window=stream.window, sink=stream.sink)


class CausalDenoiser(Denoiser):
    """See `Denoiser`; it always has control."""

    entries: ClassVar[tuple[str, ...]] = ("sample", "forced", "roll")

    def forced(
        self,
        clean: Tensor,
        noisy: Tensor,
        levels: Tensor,
        text: Tensor,
        mask: LatentMask,
        *,
        features: Tensor,
        strength: Tensor,
        context: float = 0.0,
    ) -> Tensor:
        """Velocity of `noisy` `[B, T, C, h, w]` at `levels` `[B, T]`, each block after the clean
        blocks before it.

        `clean` goes in front of it, at level `context`, and both halves see the control of their
        latents; `mask` says who sees whom (`c2r.models.attention.teacher_forcing`).
        """
        latents = noisy.shape[1]
        half = self._control(noisy, features, strength)
        control = replace(half, tokens=torch.cat([half.tokens, half.tokens], dim=1))
        levels = torch.cat([torch.full_like(levels, context), levels], dim=1)
        both = torch.cat([clean, noisy], dim=1)
        velocity = self.dit(
            both, TRAIN_STEPS * levels, self.dit.embedded(text), control=control, mask=mask
        )
        return velocity[:, latents:]

    def roll(
        self,
        preset: Preset,
        course: RolloutPlan,
        seeds: Sequence[int],
        text: Tensor,
        *,
        features: Tensor,
        strength: Tensor,
    ) -> Tensor:
        """The stream that serving would give, `[B, T, C, h, w]` float32, T of the course.

        `features`: DINO's of the stream's frames, `[B, F, N, Dd]`. Gradients, where they are on,
        go through the exit steps of the chunks that are scored, and through nothing else.
        """
        assert self.control is not None, "students are steered"
        rollout = Rollout(
            self.dit, preset.stream, preset.latent_size, control_layers=len(self.control.blocks)
        )
        state = self._opened(rollout, seeds)
        prompt, carried, parts = self._prompt(text), None, []
        for block in course.blocks(preset.stream.chunk):
            graded = torch.is_grad_enabled() and course.reached(block)
            with nullcontext() if graded else torch.no_grad():
                seen = features[:, frames_of(block)]
                control, carried = self._steered(preset, seen, strength, carried)
                exit_step = course.exit_of(block, len(rollout.levels_of(state)))
                chunk = rollout.trace(state, prompt, control, exit_step=exit_step)
            if block.stop < course.latents:  # nothing would read the last chunk's keys
                rollout.finalize(state, chunk)
            parts.append(chunk.clean)
        return torch.cat(parts, dim=1)

    def _opened(self, rollout: Rollout, seeds: Sequence[int]) -> StreamState:
        """A stream whose cache has the precision that keys and values are computed in."""
        spec, device = rollout.cache_spec(len(seeds)), rollout.device
        if torch.is_autocast_enabled(device.type):
            spec = replace(spec, dtype=torch.get_autocast_dtype(device.type))
        return StreamState(KVCache(spec, device), tuple(seeds))

    def _prompt(self, text: Tensor) -> Text:
        """Keys and values once a rollout; where blocks are sharded, each inside its block."""
        weight = next(self.dit.blocks[0].parameters())
        if isinstance(weight, DTensor):
            return self.dit.embedded(text)
        assert self.control is not None
        return self.dit.text_kv(text, self.control)

    def _steered(
        self, preset: Preset, features: Tensor, strength: Tensor, state: ControlState | None
    ) -> tuple[ControlInput, ControlState]:
        assert self.control is not None
        tokens, state = self.control.tokens(features, state)
        return ControlInput(self.control, tokens, preset.grid, strength), state

"""A causal denoiser: teacher-forced passes, and rollouts by the code that serves.

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
    """The mask of teacher forcing, within the stream's sink and window.

    The sequence is T clean latents, then the same T noisy. Clean block b sees clean blocks up to b;
    noisy block b sees itself and clean blocks before b, never its own clean copy: else the answer
    would stand beside the question, and the loss would fall while nothing is learned. Clean latents
    that the sliding window has dropped when b is served are masked here too: else training would
    lean on keys that serving does not have.
    """
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
        latents; `mask` is that of `forcing_mask`.
        """
        latents = noisy.shape[1]
        # The same tokens twice: a latent has one control, whichever of its copies is looked at.
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
        plan: RolloutPlan,
        seeds: Sequence[int],
        text: Tensor,
        *,
        features: Tensor,
        strength: Tensor,
    ) -> Tensor:
        """The stream that serving would give, `[B, T, C, h, w]` float32, T of the plan.

        `features`: DINO's of the stream's frames, `[B, F, N, Dd]`. Gradients, where they are on,
        go through the exit steps of the chunks that are scored, and through nothing else: earlier
        steps of a chunk and the keys and values of earlier chunks are constants. Through all of
        them, memory would grow with steps x chunks, and gradients through a long chain of passes
        are noise (Self-Forcing, arXiv:2506.08009, truncates alike).
        """
        assert self.control is not None, "students are steered"
        rollout = Rollout(
            self.dit, preset.stream, preset.latent_size, control_layers=len(self.control.blocks)
        )
        state = self._opened(rollout, seeds)
        prompt, carried, parts = self._prompt(text), None, []
        for block in plan.blocks(preset.stream.chunk):
            graded = torch.is_grad_enabled() and plan.reached(block)
            with nullcontext() if graded else torch.no_grad():
                seen = features[:, frames_of(block)]
                control, carried = self._steered(preset, seen, strength, carried)
                exit_step = plan.exit_of(block, len(rollout.levels_of(state)))
                chunk = rollout.trace(state, prompt, control, exit_step=exit_step)
            # The clean pass that writes keys and values has no gradient. Of the last chunk nothing
            # would read them.
            if block.stop < plan.latents:
                rollout.finalize(state, chunk)
            parts.append(chunk.clean)
        return torch.cat(parts, dim=1)

    def _opened(self, rollout: Rollout, seeds: Sequence[int]) -> StreamState:
        """A stream whose cache has the precision that keys and values are computed in.

        With bf16 autocast over float32 weights, the cache of `rollout` would be float32, and
        attention would get keys of two precisions.
        """
        spec, device = rollout.cache_spec(len(seeds)), rollout.device
        if torch.is_autocast_enabled(device.type):
            spec = replace(spec, dtype=torch.get_autocast_dtype(device.type))
        return StreamState(KVCache(spec, device), tuple(seeds))

    def _prompt(self, text: Tensor) -> Text:
        """The prompt's keys and values once per rollout; where blocks are sharded, each inside its
        own block, since a block's weights are whole only while FSDP runs that block.
        """
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

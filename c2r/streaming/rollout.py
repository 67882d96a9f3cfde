"""The causal student's stream: generate a chunk, send it, then finalize it.

`generate` denoises a chunk in a few steps against the K/V cache; `finalize` runs the clean chunk
once more to leave its keys and values there. Decoding and sending can happen between the two.
Serving and distillation both run this code. CUDA graphs are captured from `denoise`: it takes its
noise as an argument, never waits on the device, and has no shape that depends on data.

Shapes: B batch, n latents of the chunk, C channels, K noise levels (steps).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from c2r.models.configs import StreamConfig
from c2r.models.control import ControlInput
from c2r.models.dit import DiT
from c2r.models.forward_pass import Text
from c2r.streaming.kv_cache import CacheSpec, KVCache
from c2r.streaming.noise import latent_noise
from c2r.streaming.schedule import TRAIN_STEPS, add_noise, clean_from_velocity, few_step_levels

log = logging.getLogger(__name__)


@dataclass
class StreamState:
    """One session's place in its stream: what it has generated and the cache it owns."""

    cache: KVCache
    seeds: tuple[int, ...]
    latents: int = 0

    def reset(self) -> None:
        """Start again after a cut. `latents` goes on counting, so that noise does not repeat."""
        self.cache.reset()


@dataclass(frozen=True)
class Chunk:
    """A generated chunk: clean latents `[B, n, C, rows, columns]` float32, and what made them."""

    clean: Tensor
    first: int
    text: Text
    control: ControlInput | None


class Velocity(Protocol):
    """A pass over a chunk: a DiT, a compiled DiT or an exported engine."""

    def __call__(
        self,
        x: Tensor,
        timestep: Tensor,
        text: Text,
        *,
        control: ControlInput | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """See `DiT.forward`; the chunk's keys and values are written into the cache."""
        ...


def velocity_timestep(level: float, device: torch.device) -> Tensor:
    """A noise level as the DiT's timestep, `[1]`."""
    return torch.full((1,), TRAIN_STEPS * level, device=device)


def denoise(
    dit: Velocity,
    noise: Tensor,
    levels: Sequence[float],
    text: Text,
    *,
    control: ControlInput | None,
    cache: KVCache,
    exit_step: int | None = None,
) -> Tensor:
    """Few-step denoising of one chunk: noise `[K, B, n, C, rows, columns]` -> clean latents.

    Between steps fresh noise is added to the predicted x_0 for the next level (Self-Forcing,
    arXiv:2506.08009). `exit_step` stops there, with gradients through that step alone: a backward
    pass through all steps would hold the activations of each.
    """
    last = len(levels) - 1 if exit_step is None else exit_step
    x = noise[0]
    clean = x
    for step, level in enumerate(levels[: last + 1]):
        with nullcontext() if step == last else torch.no_grad():
            timestep = velocity_timestep(level, x.device)
            velocity = dit(x, timestep, text, control=control, cache=cache)
            clean = clean_from_velocity(x, velocity, level)
            if step < last:
                x = add_noise(clean, noise[step + 1], levels[step + 1])
    return clean


class Rollout:
    """A student DiT and the way it streams. Holds no session: that is `StreamState`.

    `latent_size`: (rows, columns) of a latent. `control_layers`: own blocks of the control network.
    `velocity`: what runs the passes, when it is not the DiT itself.
    """

    def __init__(
        self,
        dit: DiT,
        config: StreamConfig,
        latent_size: tuple[int, int],
        *,
        control_layers: int = 0,
        velocity: Velocity | None = None,
    ) -> None:
        self.dit = dit
        self.velocity: Velocity = dit if velocity is None else velocity
        self.config = config
        self.latent_shape = (dit.config.channels, *latent_size)
        self.levels = few_step_levels(config.timesteps, config.shift)
        first = config.first_timesteps or config.timesteps
        self.first_levels = few_step_levels(first, config.shift)
        patch = dit.config.patch
        self.grid = latent_size[0] // patch, latent_size[1] // patch
        self.control_layers = control_layers

    @property
    def device(self) -> torch.device:
        """Where the student lives."""
        return self.dit.patch_embedding.weight.device

    def cache_spec(self, batch: int = 1) -> CacheSpec:
        """The cache that a stream of `batch` videos needs; `.nbytes` says how much that is."""
        return CacheSpec.of(
            self.dit.config,
            self.config,
            self.grid[0] * self.grid[1],
            control_layers=self.control_layers,
            batch=batch,
            dtype=self.dit.dtype,
        )

    def open(self, seeds: Sequence[int]) -> StreamState:
        """A new stream, one video per seed. Allocates the cache, once, and logs its size."""
        spec = self.cache_spec(len(seeds))
        log.info("K/V cache of %d latents: %.3f GiB", spec.window, spec.nbytes / 2**30)
        return StreamState(KVCache(spec, self.device), tuple(seeds))

    def levels_of(self, state: StreamState) -> tuple[float, ...]:
        """Noise levels of the stream's next chunk."""
        return self.levels if state.cache.length else self.first_levels

    @property
    def context_level(self) -> float:
        """Noise level at which a clean chunk writes its keys and values."""
        return self.config.context_noise / TRAIN_STEPS

    def noise_of(self, seeds: Sequence[int], first: int, latents: int, steps: range) -> Tensor:
        """Noise `[steps, B, n, C, rows, columns]` on the CPU, of the latents from `first` on."""
        shape = self.latent_shape
        return torch.stack([latent_noise(seeds, first, latents, step, shape) for step in steps])

    def noise(self, state: StreamState, latents: int) -> Tensor:
        """Noise of the next chunk `[K, B, n, C, rows, columns]`, from the seeds."""
        steps = range(len(self.levels_of(state)))
        noise = self.noise_of(state.seeds, state.latents, latents, steps)
        return noise.to(self.device, non_blocking=True)

    @torch.no_grad()
    def generate(
        self,
        state: StreamState,
        text: Text,
        control: ControlInput | None = None,
        *,
        latents: int | None = None,
    ) -> Chunk:
        """The stream's next chunk. Called again before `finalize` it returns the same chunk.

        The chunk has as many latents as the control; without control `latents`, or the configured
        number.
        """
        return self.trace(state, text, control, latents=latents)

    def trace(
        self,
        state: StreamState,
        text: Text,
        control: ControlInput | None = None,
        *,
        latents: int | None = None,
        exit_step: int | None = None,
    ) -> Chunk:
        """`generate` with gradients through one step, the last or `exit_step`: for training."""
        if control is not None:
            latents = control.tokens.shape[1]
        elif latents is None:
            latents = self.config.chunk
        state.cache.make_room(latents)
        noise = self.noise(state, latents)
        control = self.dit.prepare_control(control, text, cache=state.cache)
        levels = self.levels_of(state)
        clean = denoise(
            self.velocity,
            noise,
            levels,
            text,
            control=control,
            cache=state.cache,
            exit_step=exit_step,
        )
        return Chunk(clean, state.latents, text, control)

    @torch.no_grad()
    def finalize(self, state: StreamState, chunk: Chunk) -> None:
        """Write the clean chunk's keys and values and move the stream past it."""
        if chunk.first != state.latents:
            raise ValueError(
                f"the chunk starts at latent {chunk.first}, the stream is at {state.latents}; "
                "finalize every chunk once, in the order of generate"
            )
        latents, noise = chunk.clean.shape[1], None
        if self.context_level > 0:
            step = len(self.levels_of(state))
            own = self.noise_of(state.seeds, chunk.first, latents, range(step, step + 1))
            noise = own[0].to(chunk.clean.device, non_blocking=True)
        self.write(state.cache, chunk.clean, chunk.text, chunk.control, noise)
        state.cache.commit(latents)
        state.latents += latents

    def write(
        self,
        cache: KVCache,
        clean: Tensor,
        text: Text,
        control: ControlInput | None,
        noise: Tensor | None,
    ) -> None:
        """One pass over a clean chunk, to leave its keys and values behind those that are held.

        `noise`: of the shape of `clean`, when the context level is above 0. Commits nothing.
        """
        # Denoising left keys and values of a noisy chunk in these slots. Later chunks must attend
        # to the clean one, at the level that training used. This pass's velocity is not needed.
        level = self.context_level
        x = clean if noise is None else add_noise(clean, noise, level)
        if control is not None and not control.cached:
            # Hints made with gradients wrote nothing into the cache: make them again, so that the
            # clones' layers are filled too.
            control = replace(control, hints=None)
        timestep = velocity_timestep(level, x.device)
        self.velocity(x, timestep, text, control=control, cache=cache)

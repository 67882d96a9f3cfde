"""The steps of a chunk as functions of static buffers: what graphs capture.

A step takes no argument and returns nothing. Neither it nor what it calls may wait for the device
or make a tensor whose shape depends on data: a capture would fail at the first, and a replay be
wrong after the second (`tests/runtime/test_chunk_traffic.py` watches both without a GPU).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from c2r.exported.stages import Stages
from c2r.models.coarse_frames import dino_frames, guide_frames
from c2r.models.control import ControlInput, ControlState
from c2r.models.pixels import eight_bit
from c2r.models.vae import VAEState
from c2r.streaming.fill_levels import Fill
from c2r.streaming.rollout import Rollout, denoise
from runtime.graphs.buffers import StaticBuffers
from runtime.graphs.schedule import Work
from runtime.pipeline.finite import all_finite
from runtime.pipeline.pipeline import Pipeline


def order_of(first: bool) -> str:
    """A stream's first chunk has fewer frames than later ones, so it has buffers of its own."""
    return "first" if first else "later"


class GraphSteps:
    """The steps of one renderer's chunks over its static buffers.

    Buffers: `pixels`, `features`, `tokens`, `noise`, `clean`, `guide`, `frames` and `finite`, each
    of a first and of a later chunk; `strength`, `tokens.chunk` (control of the chunk that is being
    denoised), `text`, and what streams carry.
    """

    def __init__(self, pipeline: Pipeline, buffers: StaticBuffers) -> None:
        self.buffers = buffers
        self.preset = pipeline.preset
        self.stages: Stages = pipeline.stages
        self.rollout: Rollout = pipeline.rollout
        self.network = pipeline.networks.control if pipeline.stages.dino is not None else None
        # Control as `denoise` prepared it, for the `kv_write` of the same fill level: tensors at
        # the addresses that the captured `denoise` writes to. It must not be prepared twice.
        self._prepared: dict[tuple[int, bool], ControlInput | None] = {}
        self._make_inputs(pipeline)

    def _make_inputs(self, pipeline: Pipeline) -> None:
        """The buffers that are filled from outside."""
        preset, device, buffers = self.preset, pipeline.device, self.buffers
        for first in (True, False):
            order, latents = order_of(first), pipeline.chunk_latents(first)
            size = preset.chunk_frames(first), *preset.output_size[::-1], 3
            buffers.write(f"pixels.{order}", torch.zeros(size, dtype=torch.uint8, device=device))
            rows = self.noise_rows(first)
            noise = torch.zeros(rows, 1, latents, *self.rollout.latent_shape, device=device)
            buffers.write(f"noise.{order}", noise)
        buffers.write("strength", torch.ones(1, device=device))

    def noise_rows(self, first: bool) -> int:
        """Noise levels of a chunk, with that of the K/V write when it adds noise too."""
        return len(self.levels(first)) + (self.rollout.context_level > 0)

    def levels(self, first: bool) -> tuple[float, ...]:
        """Noise levels of a stream's first chunk, or of a later one."""
        return self.rollout.first_levels if first else self.rollout.levels

    def at(self, fill: Fill) -> dict[str, Work]:
        """The steps of a chunk that finds the cache at `fill`, by name."""
        steps: dict[str, Work] = {
            "denoise": partial(self.denoise, fill),
            "vae": partial(self.vae, fill.first),
            "kv_write": partial(self.kv_write, fill),
        }
        if self.network is not None:
            controlled: dict[str, Work] = {
                "dino": partial(self.dino, fill.first),
                "control": partial(self.control, fill.first),
            }
            steps = controlled | steps
        if fill.drop:
            steps = {"slide": partial(self.slide, fill), **steps}
        return steps

    def dino(self, first: bool) -> None:
        """Pixels to features."""
        assert self.stages.dino is not None
        order = order_of(first)
        frames = dino_frames(_channels_first(self.buffers[f"pixels.{order}"]), self.preset)
        self.buffers.write(f"features.{order}", self.stages.dino(frames))

    def control(self, first: bool) -> None:
        """Features to control tokens, and what the stream carries on from them."""
        assert self.stages.control is not None
        buffers, order = self.buffers, order_of(first)
        state = None if first else ControlState(buffers.all("control.now"))
        tokens, state = self.stages.control(buffers[f"features.{order}"], state)
        buffers.write(f"tokens.{order}", tokens)
        buffers.write_all("control.next", state.pending)
        if first:
            buffers.write_all("control.now", state.pending)  # makes the buffers, for all chunks

    def slide(self, fill: Fill) -> None:
        """The window moves: the oldest latents behind the sink leave, the others move down.

        Their keys are rotated back by as many positions, so that slot i always holds position i and
        no graph needs an index that depends on data. A graph apart from `denoise`: that one is the
        same whether or not the window moved, and a chunk that is rendered again must not move it
        twice.
        """
        self.buffers.cache.length = fill.length
        self.buffers.cache.slide(fill.drop)

    def denoise(self, fill: Fill) -> None:
        """Noise, control tokens and prompt to clean latents, in a few passes."""
        buffers, order = self.buffers, order_of(fill.first)
        # The fill level decides shapes (how many keys are attended to), so it is a constant of the
        # graph: this is why there is one graph per level.
        buffers.cache.length = fill.held
        control, text = self._control_input(order), buffers.text
        control = self.rollout.dit.prepare_control(control, text, cache=buffers.cache)
        self._prepared[fill.held, fill.first] = control
        levels = self.levels(fill.first)
        noise = buffers[f"noise.{order}"][: len(levels)]
        clean = denoise(
            self.rollout.velocity, noise, levels, text, control=control, cache=buffers.cache
        )
        buffers.write(f"clean.{order}", clean)
        if self.preset.guided:
            # A copy: `vae` still reads it when the next chunk's pixels come.
            buffers.write(f"guide.{order}", buffers[f"pixels.{order}"])

    def _control_input(self, order: str) -> ControlInput | None:
        """The control of a chunk. A copy: `kv_write` still reads it when the next tokens come."""
        if self.network is None:
            return None
        tokens = self.buffers.write(f"tokens.{order}.chunk", self.buffers[f"tokens.{order}"])
        return ControlInput(self.network, tokens, self.preset.grid, self.buffers["strength"])

    def vae(self, first: bool) -> None:
        """Clean latents to 8-bit frames, and what the stream's decoder carries on."""
        buffers, order = self.buffers, order_of(first)
        state = None if first else VAEState(buffers.all("vae.now"))
        guide = None
        if self.preset.guided:
            guide = guide_frames(_channels_first(buffers[f"guide.{order}"]), self.preset)
        clean, strength = buffers[f"clean.{order}"], buffers["strength"]
        decoded, state = self.stages.vae(clean, state, guide, strength)
        buffers.write(f"frames.{order}", eight_bit(decoded))
        buffers.write(f"finite.{order}", all_finite(clean, decoded))
        buffers.write_all("vae.next", state.past)
        if first:
            buffers.write_all("vae.now", state.past)

    def kv_write(self, fill: Fill) -> None:
        """The clean chunk's keys and values, behind those that are in the cache."""
        buffers, order = self.buffers, order_of(fill.first)
        buffers.cache.length = fill.held
        noise: Tensor | None = None
        if self.rollout.context_level > 0:
            noise = buffers[f"noise.{order}"][-1]
        clean, control = buffers[f"clean.{order}"], self._prepared[fill.held, fill.first]
        self.rollout.write(buffers.cache, clean, buffers.text, control, noise)


def _channels_first(pixels: Tensor) -> Tensor:
    """Frames `[F, H, W, 3]` as `[1, F, 3, H, W]`, in the same memory."""
    return pixels.permute(0, 3, 1, 2)[None]

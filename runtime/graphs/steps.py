"""What a chunk is made of, each piece a function of fixed memory: these are what graphs record.

A piece reads buffers of the seat and writes others; it takes no argument and returns nothing, and
neither it nor what it calls waits for the device or has a shape that depends on data.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from c2r.exported.stages import Stages
from c2r.models.control import ControlInput, ControlState
from c2r.models.vae import VAEState
from c2r.streaming.fill_levels import Fill
from c2r.streaming.rollout import Rollout, denoise
from runtime.graphs.buffers import StaticBuffers
from runtime.graphs.schedule import Work
from runtime.pipeline.pipeline import Pipeline, eight_bit


def order_of(first: bool) -> str:
    """A stream's first chunk has fewer frames than later ones, so it has buffers of its own."""
    return "first" if first else "later"


class GraphSteps:
    """The pieces of one renderer's chunks over one seat. `plain`: the pipeline they are taken from.

    Buffers: `pixels`, `features`, `tokens`, `noise`, `clean` and `pictures`, each of a first and
    of a later chunk; `strength`, `tokens.chunk` (control of the chunk in hand), `text`, and what
    streams carry.
    """

    def __init__(self, plain: Pipeline, seat: StaticBuffers) -> None:
        self.seat = seat
        self.preset = plain.preset
        self.stages: Stages = plain.stages
        self.rollout: Rollout = plain.rollout
        self.network = plain.networks.control if plain.stages.dino is not None else None
        self._ready: dict[tuple[int, bool], ControlInput | None] = {}
        self._make_inputs(plain)

    def _make_inputs(self, plain: Pipeline) -> None:
        """The buffers that are filled from outside."""
        preset, device, seat = self.preset, plain.device, self.seat
        for first in (True, False):
            order, latents = order_of(first), plain.chunk_latents(first)
            size = preset.chunk_frames(first), preset.height, preset.width, 3
            seat.keep(f"pixels.{order}", torch.zeros(size, dtype=torch.uint8, device=device))
            rows = self.noise_rows(first)
            noise = torch.zeros(rows, 1, latents, *self.rollout.latent_shape, device=device)
            seat.keep(f"noise.{order}", noise)
        seat.keep("strength", torch.ones(1, device=device))

    def noise_rows(self, first: bool) -> int:
        """Noise levels of a chunk, with that of the K/V write when it adds noise too."""
        return len(self.levels(first)) + (self.rollout.context_level > 0)

    def levels(self, first: bool) -> tuple[float, ...]:
        """Noise levels of a stream's first chunk, or of a later one."""
        return self.rollout.first_levels if first else self.rollout.levels

    def all(self, fill: Fill) -> dict[str, Work]:
        """The pieces of a chunk that finds the cache at `fill`, by the names of their steps."""
        made: dict[str, Work] = {
            "denoise": partial(self.denoise, fill),
            "vae": partial(self.vae, fill.first),
            "kv_write": partial(self.kv_write, fill),
        }
        if self.network is not None:
            see: dict[str, Work] = {
                "dino": partial(self.dino, fill.first),
                "control": partial(self.control, fill.first),
            }
            made = see | made
        if fill.drop:
            made = {"room": partial(self.room, fill), **made}
        return made

    def dino(self, first: bool) -> None:
        """Pixels to features."""
        assert self.stages.dino is not None
        order = order_of(first)
        frames = self.seat[f"pixels.{order}"].permute(0, 3, 1, 2)[None]
        self.seat.keep(f"features.{order}", self.stages.dino(frames))

    def control(self, first: bool) -> None:
        """Features to control tokens, and what the stream carries on from them."""
        assert self.stages.control is not None
        seat, order = self.seat, order_of(first)
        state = None if first else ControlState(seat.all("control.now"))
        tokens, state = self.stages.control(seat[f"features.{order}"], state)
        seat.keep(f"tokens.{order}", tokens)
        seat.keep_all("control.next", state.pending)
        if first:
            seat.keep_all("control.now", state.pending)  # makes the buffers, for all chunks

    def room(self, fill: Fill) -> None:
        """The window moves."""
        self.seat.cache.length = fill.length
        self.seat.cache.slide(fill.drop)

    def denoise(self, fill: Fill) -> None:
        """Noise, control tokens and prompt to clean latents, in a few passes."""
        seat, order = self.seat, order_of(fill.first)
        seat.cache.length = fill.held
        control, text = self._control_input(order), seat.text
        control = self.rollout.dit.prepare_control(control, text, cache=seat.cache)
        self._ready[fill.held, fill.first] = control
        levels = self.levels(fill.first)
        noise = seat[f"noise.{order}"][: len(levels)]
        clean = denoise(
            self.rollout.velocity, noise, levels, text, control=control, cache=seat.cache
        )
        seat.keep(f"clean.{order}", clean)

    def _control_input(self, order: str) -> ControlInput | None:
        """The control of a chunk, copied: the next chunk's tokens come while this one is written"""
        if self.network is None:
            return None
        tokens = self.seat.keep(f"tokens.{order}.chunk", self.seat[f"tokens.{order}"])
        return ControlInput(self.network, tokens, self.preset.grid, self.seat["strength"])

    def vae(self, first: bool) -> None:
        """Clean latents to 8-bit pictures, and what the stream's decoder carries on."""
        seat, order = self.seat, order_of(first)
        state = None if first else VAEState(seat.all("vae.now"))
        decoded, state = self.stages.vae(seat[f"clean.{order}"], state)
        seat.keep(f"pictures.{order}", eight_bit(decoded))
        seat.keep_all("vae.next", state.past)
        if first:
            seat.keep_all("vae.now", state.past)

    def kv_write(self, fill: Fill) -> None:
        """The clean chunk's keys and values, behind those that are held."""
        seat, order = self.seat, order_of(fill.first)
        seat.cache.length = fill.held
        noise: Tensor | None = None
        if self.rollout.context_level > 0:
            noise = seat[f"noise.{order}"][-1]
        clean, control = seat[f"clean.{order}"], self._ready[fill.held, fill.first]
        self.rollout.write(seat.cache, clean, seat.text, control, noise)

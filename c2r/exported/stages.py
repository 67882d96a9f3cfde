"""The stages of a chunk as four calls, the same for PyTorch modules and for exported engines.

So a pipeline can take each stage from the backend where it runs best.

Shapes: F frames, N tokens of a latent, n latents of the chunk, D width, Dd DINO width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from c2r.exported import names
from c2r.exported.engine_session import EngineSession, empty_output, sizes_of
from c2r.exported.manifest import TensorSpec
from c2r.exported.names import numbered
from c2r.models.build import Networks
from c2r.models.control import ControlInput, ControlState
from c2r.models.forward_pass import EmbeddedText, Text
from c2r.models.vae import VAEState
from c2r.streaming.kv_cache import KVCache
from c2r.streaming.rollout import Velocity

Dino = Callable[[Tensor], Tensor]
"""Frames `[1, F, 3, H, W]` (uint8, or float in [0, 1]) -> tokens `[1, F, N, Dd]`."""
Control = Callable[[Tensor, ControlState | None], tuple[Tensor, ControlState]]
"""Tokens of a chunk's frames and the state -> control `[1, n, N, D]` and the next state."""


class Decode(Protocol):
    """Latents `[1, n, C, h, w]` and the state -> frames `[1, F, 3, H, W]` and the next state."""

    def __call__(
        self,
        latents: Tensor,
        state: VAEState | None,
        guide: Tensor | None = None,
        strength: Tensor | None = None,
    ) -> tuple[Tensor, VAEState]:
        """`guide` `[1, F, 3, H, W]` and `strength` `[1]` of a decoder that takes coarse frames."""
        ...


@dataclass(frozen=True)
class Stages:
    """What computes each stage. `dino` and `control` are None in a renderer without control."""

    dino: Dino | None
    control: Control | None
    denoise: Velocity
    vae: Decode


STAGE_NAMES = tuple(field.name for field in fields(Stages))


def eager_stages(networks: Networks) -> Stages:
    """The PyTorch networks."""
    control = networks.control
    return Stages(
        dino=None if control is None else networks.dino,
        control=None if control is None else control.tokens,
        denoise=networks.dit,
        vae=networks.vae.decode_chunk,
    )


class EngineCall:
    """An engine as a function. Outputs are new memory, except for those named in `reused`.

    Reused outputs are overwritten by the next call, so only what is consumed before it may be one.
    """

    def __init__(
        self, session: EngineSession, device: torch.device, reused: tuple[str, ...] = ()
    ) -> None:
        self.session = session
        self.device = device
        self.reused = reused
        self._reusable: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def __call__(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by name, without aliases of inputs: those are written in place."""
        entry = self.session.entry
        sizes = sizes_of(entry, inputs)
        outputs = {}
        for spec in entry.outputs:
            alias = entry.aliases.get(spec.name)
            if alias is not None:
                outputs[spec.name] = inputs[alias]
            elif spec.name in self.reused:
                key = spec.name, tuple(sizes.values())
                if key not in self._reusable:
                    self._reusable[key] = empty_output(spec, sizes, self.device)
                outputs[spec.name] = self._reusable[key]
            else:
                outputs[spec.name] = empty_output(spec, sizes, self.device)
        self.session.run(inputs, outputs)
        return {name: tensor for name, tensor in outputs.items() if name not in entry.aliases}


def unit_frames(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames `[1, F, 3, H, W]` as floats in [0, 1] of `size` (rows, columns)."""
    pixels = frames.float() / 255 if frames.dtype == torch.uint8 else frames.float()
    if pixels.shape[-2:] != size:
        flat = interpolate(pixels[0], size, mode="bilinear", align_corners=False, antialias=True)
        pixels = flat[None]
    return pixels.contiguous()


def _dino(call: EngineCall, size: tuple[int, int], frames: Tensor) -> Tensor:
    return call({"frames": unit_frames(frames, size)})["tokens"]


def _state_inputs(name: str, state: Sequence[Tensor]) -> dict[str, Tensor]:
    """A state as inputs; PyTorch may have left it in another memory format."""
    tensors = (tensor.contiguous() for tensor in state)
    return dict(zip(numbered(name, len(state)), tensors, strict=True))


def _next_state(outputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """The outputs `next.0`, `next.1` ... in order."""
    return tuple(tensor for name, tensor in outputs.items() if name.startswith("next."))


def _control(
    first: EngineCall, later: EngineCall, features: Tensor, state: ControlState | None
) -> tuple[Tensor, ControlState]:
    pending = _state_inputs("pending", () if state is None else state.pending)
    outputs = (later if pending else first)({"features": features.contiguous(), **pending})
    return outputs["control"], ControlState(_next_state(outputs))


def _guide_inputs(
    spec: TensorSpec, latents: Tensor, guide: Tensor | None, strength: Tensor | None
) -> dict[str, Tensor]:
    if guide is None:
        whole = [int(side) for side in spec.shape]
        return {"guide": latents.new_zeros(whole), "strength": latents.new_zeros(1)}
    scale = latents.new_ones(1) if strength is None else strength
    return {"guide": guide.contiguous(), "strength": scale}


@dataclass(frozen=True)
class EngineDecode:
    """The decode engines as a `Decode`; without a guide, one that takes it gets strength 0."""

    first: EngineCall
    later: EngineCall

    def __call__(
        self,
        latents: Tensor,
        state: VAEState | None,
        guide: Tensor | None = None,
        strength: Tensor | None = None,
    ) -> tuple[Tensor, VAEState]:
        past = _state_inputs("past", () if state is None else state.past)
        call = self.later if past else self.first
        inputs = {"latents": latents.contiguous(), **past}
        for spec in call.session.entry.inputs:
            if spec.name == "guide":
                inputs |= _guide_inputs(spec, latents, guide, strength)
        outputs = call(inputs)
        return outputs["frames"], VAEState(_next_state(outputs))


class EngineVelocity:
    """The denoise engine, called as a rollout calls the DiT. The engine writes into the cache."""

    def __init__(self, call: EngineCall, window: int) -> None:
        self.call = call
        self.positions = torch.arange(window, device=call.device)

    def __call__(
        self,
        x: Tensor,
        timestep: Tensor,
        text: Text,
        *,
        control: ControlInput | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        assert cache is not None, "an engine denoises against a cache"
        assert not isinstance(text, EmbeddedText), "engines take keys and values"
        seen = cache.length + x.shape[1]
        inputs = {"x": x.contiguous(), "timestep": timestep, "positions": self.positions[:seen]}
        if control is not None:
            inputs |= {"control": control.tokens.contiguous(), "strength": control.strength}
        layers = len(text)
        for kind, side in (("text_keys", 0), ("text_values", 1)):
            tensors = [pair[side].contiguous() for pair in text]
            inputs |= zip(numbered(kind, layers), tensors, strict=True)
        for kind, slots in (("keys", cache.keys), ("values", cache.values)):
            inputs |= zip(
                numbered(kind, layers), slots.flatten(-2)[:, :, None].unbind(), strict=True
            )
        return self.call(inputs)["velocity"]


def engine_stages(
    networks: Networks,
    open_session: Callable[[str], EngineSession],
    stages: Sequence[str] = STAGE_NAMES,
) -> Stages:
    """Stages whose engines `open_session` opens by the graph's name.

    `stages`: those to open; the others are the PyTorch networks. `ValueError` for a stream that
    engines cannot take.
    """
    names.seen_latents(networks.preset.stream)
    device = networks.device
    chosen = eager_stages(networks)

    def call(graph: str, *reused: str) -> EngineCall:
        return EngineCall(open_session(graph), device, reused)

    if networks.control is not None and "dino" in stages:
        run_dino = partial(_dino, call(names.DINO, "tokens"), networks.dino.size)
        chosen = replace(chosen, dino=run_dino)
    if networks.control is not None and "control" in stages:
        first, later = call(names.CONTROL_FIRST), call(names.CONTROL)
        chosen = replace(chosen, control=partial(_control, first, later))
    if "denoise" in stages:
        window = networks.preset.stream.window
        chosen = replace(chosen, denoise=EngineVelocity(call(names.DENOISE, "velocity"), window))
    if "vae" in stages:
        first, later = call(names.DECODE_FIRST, "frames"), call(names.DECODE, "frames")
        chosen = replace(chosen, vae=EngineDecode(first, later))
    return chosen

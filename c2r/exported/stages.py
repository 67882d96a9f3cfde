"""The stages of a chunk behind one call signature, whoever computes them.

PyTorch modules and engines stand behind the same four calls, so that a pipeline may take each
stage from where it runs best.

Shapes: F frames, N tokens of a latent, n latents of the chunk, D width, Dd DINO width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from c2r.exported import names
from c2r.exported.engine_session import EngineSession, empty_output, sizes_of
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
Decode = Callable[[Tensor, VAEState | None], tuple[Tensor, VAEState]]
"""Latents `[1, n, C, h, w]` and the state -> frames `[1, F, 3, H, W]` and the next state."""


@dataclass(frozen=True)
class Stages:
    """How each stage is computed. `dino` and `control` are None in a renderer without control."""

    dino: Dino | None
    control: Control | None
    denoise: Velocity
    vae: Decode


STAGE_NAMES = tuple(field.name for field in fields(Stages))


def eager_stages(networks: Networks) -> Stages:
    """The networks as they are."""
    control = networks.control
    return Stages(
        dino=None if control is None else networks.dino,
        control=None if control is None else control.tokens,
        denoise=networks.dit,
        vae=networks.vae.decode_chunk,
    )


class Call:
    """An engine as a function. What it gives is new memory, except for what is `reused`.

    Reused outputs are overwritten by the next call: only for what is consumed before it.
    """

    def __init__(
        self, session: EngineSession, device: torch.device, reused: tuple[str, ...] = ()
    ) -> None:
        self.session = session
        self.device = device
        self.reused = reused
        self._kept: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def __call__(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by name, without those that are aliases of inputs."""
        entry = self.session.entry
        sizes = sizes_of(entry, inputs)
        outputs = {}
        for spec in entry.outputs:
            alias = entry.aliases.get(spec.name)
            if alias is not None:
                outputs[spec.name] = inputs[alias]
            elif spec.name in self.reused:
                key = spec.name, tuple(sizes.values())
                if key not in self._kept:
                    self._kept[key] = empty_output(spec, sizes, self.device)
                outputs[spec.name] = self._kept[key]
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


def _dino(call: Call, size: tuple[int, int], frames: Tensor) -> Tensor:
    return call({"frames": unit_frames(frames, size)})["tokens"]


def _given(name: str, state: Sequence[Tensor]) -> dict[str, Tensor]:
    """A state as inputs; PyTorch may have left it in another order of memory."""
    tensors = (tensor.contiguous() for tensor in state)
    return dict(zip(numbered(name, len(state)), tensors, strict=True))


def _state(made: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """The outputs `next.0`, `next.1` ... in order."""
    return tuple(tensor for name, tensor in made.items() if name.startswith("next."))


def _control(
    first: Call, later: Call, features: Tensor, state: ControlState | None
) -> tuple[Tensor, ControlState]:
    given = _given("pending", () if state is None else state.pending)
    made = (later if given else first)({"features": features.contiguous(), **given})
    return made["control"], ControlState(_state(made))


def _decode(
    first: Call, later: Call, latents: Tensor, state: VAEState | None
) -> tuple[Tensor, VAEState]:
    given = _given("past", () if state is None else state.past)
    made = (later if given else first)({"latents": latents.contiguous(), **given})
    return made["frames"], VAEState(_state(made))


class EngineVelocity:
    """The denoise engine, called as a rollout calls the DiT: it writes into the cache itself."""

    def __init__(self, call: Call, window: int) -> None:
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
        """See `DiT.forward`."""
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
    """Stages whose engines `open_session` gives by the graph's name.

    `stages`: those to open; the others are the networks as they are. `ValueError` for a stream
    that engines cannot take.
    """
    names.fill_levels(networks.preset.stream)
    device = networks.device
    made = eager_stages(networks)

    def call(graph: str, *reused: str) -> Call:
        return Call(open_session(graph), device, reused)

    if networks.control is not None and "dino" in stages:
        run_dino = partial(_dino, call(names.DINO, "tokens"), networks.dino.size)
        made = replace(made, dino=run_dino)
    if networks.control is not None and "control" in stages:
        first, later = call(names.CONTROL_FIRST), call(names.CONTROL)
        made = replace(made, control=partial(_control, first, later))
    if "denoise" in stages:
        window = networks.preset.stream.window
        made = replace(made, denoise=EngineVelocity(call(names.DENOISE, "velocity"), window))
    if "vae" in stages:
        first, later = call(names.DECODE_FIRST, "frames"), call(names.DECODE, "frames")
        made = replace(made, vae=partial(_decode, first, later))
    return made

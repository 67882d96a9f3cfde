"""The steps of a chunk as graphs: tensors in, tensors out, every cache an argument.

Each graph calls the module that serves in PyTorch. The denoise graph takes the whole K/V slots,
writes the chunk's own keys and values into them in place, and reads the filled part. So it also
commits: run over the clean chunk, what it wrote stays, and the weights are held once for both. What
changes between chunks is the number of latents seen, the length of `positions`; each value is one
profile of the graph.

Shapes: n latents of the chunk, N tokens of a latent, D width, S slots' tokens of the window,
P latents seen (the chunk's own included), F frames, h heads, d head width, s text tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from c2r.exported import names
from c2r.exported.names import numbered
from c2r.models.build import Networks
from c2r.models.configs import Preset
from c2r.models.control import ControlInput, ControlNetwork, ControlState
from c2r.models.control_registry import NO_CONTROL, control_class
from c2r.models.dino import DinoEncoder
from c2r.models.dit import DiT
from c2r.models.tiny_vae import TinyVAE
from c2r.models.vae import VAEState, WanVAE

OPSET = 24
"""The first with `TensorScatter`, which writes into the cache where it is."""


@dataclass(frozen=True)
class Graph:
    """A module and all that its export needs.

    `inputs`: example tensors by name, in the order of the module's arguments. `axes`: dimensions
    that change, by input: {dimension: name}. `profiles`: the sets of values that these take.
    `aliases`: outputs that are an input, written in place.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    axes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    profiles: tuple[Mapping[str, int], ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)


class DinoGraph(nn.Module):
    """`dino(frames [1, F, 3, H, W] float in [0, 1]) -> tokens [1, F, N, Dd]`."""

    def __init__(self, dino: DinoEncoder) -> None:
        super().__init__()
        self.dino = dino

    def forward(self, frames: Tensor) -> Tensor:
        return self.dino(frames)


class ControlGraph(nn.Module):
    """`control(features [1, F, N, Dd], pending...) -> control [1, n, N, D], pending...`.

    Without `pending`: a stream's first chunk.
    """

    def __init__(self, control: ControlNetwork) -> None:
        super().__init__()
        self.control = control

    def forward(self, features: Tensor, *pending: Tensor) -> tuple[Tensor, ...]:
        tokens, state = self.control.tokens(features, ControlState(pending) if pending else None)
        return tokens, *state.pending


class DecodeGraph(nn.Module):
    """`decode(latents [1, n, C, h, w], past...) -> frames [1, F, 3, H, W], past...`.

    Without `past`: a stream's first chunk.
    """

    def __init__(self, vae: TinyVAE | WanVAE) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        frames, state = self.vae.decode_chunk(latents, VAEState(past) if past else None)
        return frames, *state.past


class GuidedDecodeGraph(nn.Module):
    """`DecodeGraph` with `guide` `[1, F, 3, H, W]` in [0, 1] and `strength` `[1]` before `past`.

    Frames have the guide's size.
    """

    def __init__(self, vae: TinyVAE) -> None:
        super().__init__()
        self.vae = vae

    def forward(
        self, latents: Tensor, guide: Tensor, strength: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        state = VAEState(past) if past else None
        frames, state = self.vae.decode_chunk(latents, state, guide, strength)
        return frames, *state.past


class Slots:
    """The K/V slots of a pass that is being traced, as a `LayerCache`.

    `slots`: keys, then values, of every layer, `[1, 1, S, D]`: the layout that both ONNX
    and TensorRT write into in place.
    """

    def __init__(self, slots: tuple[Tensor, ...], start: Tensor, filled: int) -> None:
        self.layers = len(slots) // 2
        self.slots = slots
        self.start = start  # [1] int64, the chunk's first slot
        self.filled = filled  # tokens seen
        self.written: list[Tensor] = [*slots]

    @property
    def length(self) -> int:
        raise AssertionError("a traced pass is given its positions")

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write `[1, L, h, d]` at the chunk's place; give what is filled, `[1, P N, h, d]`."""
        return self._write(layer, k), self._write(self.layers + layer, v)

    def _write(self, place: int, update: Tensor) -> Tensor:
        # An ordinary slice assignment would be exported as ScatterND into a copy of the slots: a
        # copy of the cache per layer and step. TensorScatter writes where the slots lie, provided
        # that the caller binds the output to the input's memory (`Graph.aliases`).
        slots = self.slots[place]
        self.written[place] = torch.onnx.ops.symbolic(
            "TensorScatter",
            [slots, update.flatten(2)[:, None], self.start],
            {"axis": 2},
            dtype=slots.dtype,
            shape=slots.shape,
            version=OPSET,
        )
        # Read what was written, not `slots`: the edge in the graph orders write before read.
        seen = self.written[place].flatten(0, 1)[:, : self.filled]
        return seen.unflatten(-1, update.shape[2:])

    def snapshot(self) -> Slots:
        raise AssertionError("a traced pass has no backward pass")


def graph_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """ONNX's `Attention` on `[1, L, h d]`; on 4-D heads it would need a transposed copy of keys."""
    heads = q.shape[2]
    flat = [part.flatten(2) for part in (q, k, v)]
    attended, *_ = torch.onnx.ops.attention(*flat, q_num_heads=heads, kv_num_heads=heads)
    return attended.unflatten(-1, q.shape[2:])


class DenoiseGraph(nn.Module):
    """`denoise(x, timestep, positions, control, strength, text K/V, slots) -> velocity, slots`.

    `x` and velocity `[1, n, C, rows, columns]` float32; `timestep` `[1]`; `positions` `[P]` int64,
    0 to P - 1; `control` `[1, n, N, D]` and `strength` `[1]` only where there is control; then, of
    all layers: text keys, text values `[1, s, h, d]`, keys, values `[1, 1, S, D]`.
    """

    def __init__(self, dit: DiT, control: ControlNetwork | None, preset: Preset) -> None:
        super().__init__()
        self.dit = dit
        self.control = control
        self.grid = preset.grid
        self.tokens = preset.tokens_per_latent
        self.layers = dit.config.layers + (0 if control is None else len(control.blocks))

    def forward(self, x: Tensor, timestep: Tensor, positions: Tensor, *rest: Tensor) -> tuple:
        control = None
        if self.control is not None:
            tokens, strength, *others = rest
            control, rest = ControlInput(self.control, tokens, self.grid, strength), tuple(others)
        text, slots = rest[: 2 * self.layers], rest[2 * self.layers :]
        pairs = tuple(zip(text[: self.layers], text[self.layers :], strict=True))
        # How full the cache is comes from a shape and not from a value: each fill level is then one
        # static shape, hence one profile, and the graph never waits for the device to learn it.
        seen, own = positions.shape[0], x.shape[1]
        places = positions[seen - own :]
        cache = Slots(slots, places[:1] * self.tokens, seen * self.tokens)
        with attention_of_graphs(self.dit):
            velocity = self.dit(x, timestep, pairs, control=control, cache=cache, positions=places)
        return velocity, *cache.written


@contextmanager
def attention_of_graphs(dit: DiT) -> Iterator[None]:
    """Let a DiT call `graph_attention` instead of its own kernel while it is traced."""
    own = dit.attend
    dit.attend = graph_attention
    try:
        yield
    finally:
        dit.attend = own


def check_exportable(preset: Preset) -> None:
    """`ValueError` for a preset that cannot be exported."""
    names.seen_latents(preset.stream)
    control = preset.control
    if control.kind != NO_CONTROL and control_class(control.kind).is_precomputed(control):
        raise ValueError(
            f"a {control.kind} with every_pass off cannot be exported: its hints would be made in "
            "every step again; export with --control.every_pass true, or serve with --backend "
            "compiled"
        )


def build_graphs(networks: Networks) -> dict[str, Graph]:
    """Every graph of a renderer, by name, in the order of `c2r.exported.names.graphs_of`."""
    check_exportable(networks.preset)
    with torch.no_grad():
        graphs = [*_control_graphs(networks), denoise_graph(networks), *_decode_graphs(networks)]
    by_name = {graph.name: graph for graph in graphs}
    return {name: by_name[name] for name in names.graphs_of(networks.preset)}


def _control_graphs(networks: Networks) -> list[Graph]:
    preset, control, device = networks.preset, networks.control, networks.device
    if control is None:
        return []
    first, later = preset.chunk_frames(True), preset.chunk_frames(False)
    frames = torch.zeros(1, later, 3, *networks.dino.size, device=device)
    shape = preset.tokens_per_latent, preset.dino.hidden
    dtype = networks.dino.model.dtype
    features = torch.zeros(1, later, *shape, dtype=dtype, device=device)
    module = ControlGraph(control)
    _, *pending = module(features[:, :first])
    state = dict(zip(numbered("pending", len(pending)), pending, strict=True))
    outputs = ("control", *numbered("next", len(pending)))
    same = first == later
    return [
        Graph(
            names.DINO,
            DinoGraph(networks.dino),
            {"frames": frames},
            ("tokens",),
            {} if same else {"frames": {1: "F"}},
            () if same else ({"F": first}, {"F": later}),
        ),
        Graph(names.CONTROL_FIRST, module, {"features": features[:, :first]}, outputs),
        Graph(names.CONTROL, module, {"features": features, **state}, outputs),
    ]


def _decode_graphs(networks: Networks) -> list[Graph]:
    vae = networks.vae
    first, later = _decode_inputs(networks, True), _decode_inputs(networks, False)
    module: nn.Module = DecodeGraph(vae)
    if networks.preset.guided:
        assert isinstance(vae, TinyVAE)
        module = GuidedDecodeGraph(vae)
    _, *past = module(*first.values())
    state = dict(zip(numbered("past", len(past)), past, strict=True))
    outputs = ("frames", *numbered("next", len(past)))
    return [
        Graph(names.DECODE_FIRST, module, first, outputs),
        Graph(names.DECODE, module, {**later, **state}, outputs),
    ]


def _decode_inputs(networks: Networks, first: bool) -> dict[str, Tensor]:
    """Latents of one chunk, and what guides their decoder."""
    preset, device = networks.preset, networks.device
    latents = 1, preset.stream.chunk, preset.dit.channels, *preset.latent_size
    inputs = {"latents": torch.zeros(latents, device=device)}
    if preset.guided:
        frames = 1, preset.chunk_frames(first), 3, *preset.output_size[::-1]
        inputs["guide"] = torch.zeros(frames, device=device)
        inputs["strength"] = torch.ones(1, device=device)
    return inputs


def denoise_graph(networks: Networks, level: int | None = None) -> Graph:
    """The denoise step of every fill level, or of the one that sees `level` latents."""
    preset, dit, device = networks.preset, networks.dit, networks.device
    module = DenoiseGraph(dit, networks.control, preset)
    levels = names.seen_latents(preset.stream) if level is None else (level,)
    config, stream = preset.dit, preset.stream
    inputs: dict[str, Tensor] = {
        "x": torch.zeros(1, stream.chunk, config.channels, *preset.latent_size, device=device),
        "timestep": torch.zeros(1, device=device),
        "positions": torch.arange(levels[-1], device=device),
    }
    half: dict[str, Any] = {"dtype": dit.dtype, "device": device}
    if networks.control is not None:
        shape = 1, stream.chunk, preset.tokens_per_latent, config.dim
        inputs |= {"control": torch.zeros(shape, **half), "strength": torch.ones(1, device=device)}
    text = 1, config.text_len, config.heads, config.head_dim
    slots = 1, 1, stream.window * preset.tokens_per_latent, config.dim
    layers = module.layers
    text_names = [*numbered("text_keys", layers), *numbered("text_values", layers)]
    slot_names = [*numbered("keys", layers), *numbered("values", layers)]
    # One tensor per input: torch.export merges inputs that are the same tensor.
    inputs |= {name: torch.zeros(text, **half) for name in text_names}
    inputs |= {name: torch.zeros(slots, **half) for name in slot_names}
    written = [*numbered("keys_out", layers), *numbered("values_out", layers)]
    changes = len(levels) > 1
    return Graph(
        names.DENOISE,
        module,
        inputs,
        ("velocity", *written),
        {"positions": {0: "P"}} if changes else {},
        tuple({"P": level} for level in levels) if changes else (),
        dict(zip(written, slot_names, strict=True)),
    )

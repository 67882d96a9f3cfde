"""Names of a renderer's exported graphs and of their inputs and outputs.

Export writes these names and the runtime binds them; they share nothing else.

Shapes: n latents of a chunk, N tokens of a latent, D width, S tokens of the window.
"""

from __future__ import annotations

from c2r.models.configs import Preset, StreamConfig
from c2r.models.control_registry import NO_CONTROL

DINO, DENOISE = "dino", "denoise"
CONTROL_FIRST, CONTROL = "control_first", "control"
DECODE_FIRST, DECODE = "decode_first", "decode"

STAGES = {
    "dino": (DINO,),
    "control": (CONTROL_FIRST, CONTROL),
    "denoise": (DENOISE,),
    "vae": (DECODE_FIRST, DECODE),
}
"""Graphs of each stage of a chunk. Denoise writes the keys and values too."""


def numbered(name: str, count: int) -> list[str]:
    """`name.0`, `name.1`, ...: one for each layer or each tensor of a state."""
    return [f"{name}.{index}" for index in range(count)]


def graphs_of(preset: Preset) -> tuple[str, ...]:
    """The graphs of a renderer; without control it needs neither DINO nor control."""
    stages = [
        stage
        for stage in STAGES
        if preset.control.kind != NO_CONTROL or stage not in ("dino", "control")
    ]
    return tuple(graph for stage in stages for graph in STAGES[stage])


def seen_latents(stream: StreamConfig) -> tuple[int, ...]:
    """How many latents a chunk attends to, its own included, at each fill level of the cache.

    Each is one profile of the denoise engine. `ValueError` for a short first chunk: engines take
    chunks of one size.
    """
    if stream.first_chunk not in (None, stream.chunk):
        raise ValueError(
            f"stream.first_chunk is {stream.first_chunk}; engines take chunks of one size: leave "
            "it out, or use --backend eager or compiled"
        )
    seen = range(stream.chunk, stream.window + 1, stream.chunk)
    return tuple(sorted({*seen, stream.window}))

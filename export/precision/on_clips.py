"""Calibration on clips of a manifest: streamed through the renderer, and reported.

Each clip is a stream of its own, from its first chunk on, so that early fill levels of the cache
count as much as they do in serving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from c2r.exported.manifest import file_sha256
from c2r.exported.stages import eager_stages
from c2r.models.build import Networks
from export.precision.calibrate import Calibration, Format, LayerReport, calibrate, rounded
from export.precision.clips import CoarseClip, chunks_of
from export.stream import stream_chunks, text_of
from export.verify import Agreement, agreement

CHUNKS = 4
"""Of each clip, from its beginning."""


@dataclass(frozen=True)
class CalibrationRequest:
    """What to calibrate with. `exclude`: patterns of layers that stay as they are."""

    manifest: Path
    clips: tuple[CoarseClip, ...]
    format: Format = "fp8"
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipCalibration:
    """A calibration, the clips that it was made on, and what rounding does to their streams.

    `streams`: clean latents with every calibrated layer rounded, against exact ones, by clip.
    """

    calibration: Calibration
    manifest_sha256: str
    chunks: dict[str, int]
    streams: dict[str, Agreement]

    def as_json(self) -> dict[str, Any]:
        """Plain values for the folder's manifest."""
        return asdict(self)

    @property
    def scales(self) -> dict[str, float]:
        """Calibrated layer -> scale of its input."""
        return {layer.layer: layer.input_scale for layer in self.calibration.layers}

    def table(self) -> Table:
        """The error of each layer for a terminal."""
        form = self.calibration.format
        title = f"{form}, simulated: error of each linear layer's output"
        made = Table("layer", "input scale", "error", title=title)
        for layer in self.calibration.layers:
            made.add_row(layer.layer, f"{layer.input_scale:.3g}", f"{layer.error:.2%}")
        for name, reason in self.calibration.excluded.items():
            made.add_row(name, "kept", reason)
        return made


def calibration_of(kept: Mapping[str, Any]) -> Calibration:
    """The calibration inside what `ClipCalibration.as_json` gave to a manifest."""
    found = kept["calibration"]
    layers = tuple(LayerReport(**layer) for layer in found["layers"])
    return Calibration(found["format"], layers, dict(found["excluded"]))


def calibrate_on_clips(
    networks: Networks, request: CalibrationRequest, say: Callable[[str], None]
) -> ClipCalibration:
    """Stream the clips twice: exact, while every layer is watched, then with rounded layers."""
    exact: dict[str, Tensor] = {}

    def streams() -> None:
        for clip in request.clips:
            say(f"{clip.id}: streaming, layers watched")
            exact[clip.id] = _latents(networks, clip)

    found = calibrate(networks, streams, request.format, exclude=request.exclude)
    agreements = {}
    with rounded(networks, found):
        for clip in request.clips:
            say(f"{clip.id}: streaming, layers rounded to {request.format}")
            agreements[clip.id] = agreement(exact[clip.id], _latents(networks, clip))
    per_chunk = networks.preset.stream.chunk
    chunks = {name: latents.shape[1] // per_chunk for name, latents in exact.items()}
    return ClipCalibration(found, file_sha256(request.manifest), chunks, agreements)


def _latents(networks: Networks, clip: CoarseClip) -> Tensor:
    """Clean latents of a clip's stream, `[1, T, C, h, w]`."""
    return torch.cat(list(_clean(networks, clip)), dim=1)


def _clean(networks: Networks, clip: CoarseClip) -> Iterator[Tensor]:
    chunks = chunks_of(clip, networks.preset, networks.device, CHUNKS)
    text = text_of(networks, clip.prompt)
    for made in stream_chunks(networks, eager_stages(networks), chunks, text, seed=0):
        yield made.clean

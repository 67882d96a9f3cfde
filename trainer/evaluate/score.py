"""Every measure of every system on every clip, one clip in memory at a time.

Rows are the coarse input, the fine render and each folder of outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from c2r.models.dino import DinoEncoder
from trainer.data.manifest import Clip
from trainer.evaluate.derive import BOUNDS, COARSE, FINE
from trainer.evaluate.geometry import Camera, Geometry, read_film
from trainer.evaluate.metrics.artefacts import artefacts
from trainer.evaluate.metrics.distribution import fid, kid
from trainer.evaluate.metrics.drift import drift_of
from trainer.evaluate.metrics.edges import edge_f1
from trainer.evaluate.metrics.features import features_of
from trainer.evaluate.metrics.fidelity import psnr, ssim
from trainer.evaluate.metrics.flicker import flicker
from trainer.evaluate.metrics.learned import Learned
from trainer.evaluate.metrics.prompt import PromptClassifier, response
from trainer.evaluate.metrics.revisit import revisit_error
from trainer.evaluate.metrics.structure import gram_agreement, tokens
from trainer.evaluate.metrics.warp import warp_error
from trainer.evaluate.results import Measured, Rows, mean_of
from trainer.evaluate.videos import Expected, Pictures, as_frames, read_video


@dataclass(frozen=True)
class Tools:
    """The networks that measures need; `classifier` None leaves prompt response out."""

    dino: DinoEncoder
    extractor: nn.Module
    classifier: PromptClassifier | None = None
    learned: Learned = field(default_factory=Learned)


@dataclass(frozen=True)
class Asked:
    """What the outputs of a clip were asked to show."""

    caption: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Scene:
    """One clip: what is known of it, whoever rendered it."""

    clip: Clip
    coarse: Pictures
    fine: Pictures
    asked: Asked
    tools: Tools
    film: tuple[Geometry, Camera] | None

    @cached_property
    def coarse_tokens(self) -> Tensor:
        """DINO tokens of the coarse input."""
        return tokens(self.tools.dino, self.coarse)

    @cached_property
    def fine_tokens(self) -> Tensor:
        """DINO tokens of the fine render."""
        return tokens(self.tools.dino, self.fine)


Values = dict[str, float | None]


def measure(pictures: Pictures, scene: Scene) -> Values:
    """Every measure of one system's pictures `[F, H, W, 3]` of one clip; None: not measurable."""
    ours = tokens(scene.tools.dino, pictures)
    marks = artefacts(pictures, scene.coarse)
    values: Values = {
        "structure": gram_agreement(ours, scene.coarse_tokens),
        "structure_fine": gram_agreement(ours, scene.fine_tokens),
        "flicker": flicker(pictures),
        "drift": drift_of(pictures, scene.clip.fps),
        "flatness": marks.texture_flatness,
        "uniformity": marks.lighting_uniformity,
        "leakage": marks.edge_leakage,
        "psnr": psnr(pictures, scene.fine),
        "ssim": ssim(pictures, scene.fine),
    }
    return (
        values
        | _by_engine(pictures, scene)
        | _by_prompt(pictures, scene)
        | _judged(pictures, scene)
    )


def _by_engine(pictures: Pictures, scene: Scene) -> Values:
    if scene.film is None:
        return {}
    geometry, camera = scene.film
    return {
        "edges": edge_f1(pictures, geometry),
        "warp": warp_error(pictures, geometry),
        "revisit": revisit_error(pictures, geometry, camera),
    }


def _by_prompt(pictures: Pictures, scene: Scene) -> Values:
    if scene.tools.classifier is None:
        return {}
    found = response(scene.tools.classifier, pictures, scene.asked.attributes)
    if found is None:
        return {}
    both = (found.hour + found.weather) / 2
    return {"prompt": both, "hour": found.hour, "weather": found.weather}


def _judged(pictures: Pictures, scene: Scene) -> Values:
    learned, values = scene.tools.learned, Values()
    if learned.lpips is not None:
        values["lpips"] = learned.lpips(pictures, scene.fine)
    if learned.clip is not None:
        values["clip"] = learned.clip(pictures, scene.asked.caption)
    if learned.vlm is not None:
        values["vlm"] = learned.vlm(pictures)
    return values


@dataclass
class Gathered:
    """What one system has shown so far: values by measure and clip, vectors for set distances."""

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    vectors: list[Tensor] = field(default_factory=list)
    videos: list[Tensor] = field(default_factory=list)

    def add(self, clip: str, values: Values) -> None:
        """Keep a clip's values; those that could not be measured are not counted."""
        for name, value in values.items():
            kept = self.values.setdefault(name, {})
            if value is not None:
                kept[clip] = value


def score(
    data: Path,
    clips: Sequence[Clip],
    outputs: Mapping[str, Path],
    tools: Tools,
    *,
    frames: int | None = None,
    asked: Mapping[str, Asked] | None = None,
    reference: Tensor | None = None,
    on_clip: Callable[[int, int], None] = lambda done, of: None,
) -> Rows:
    """All rows. `frames`: at most so many of each clip. `asked`: by clip, in place of its own.

    `reference`: frame vectors `[N, d]` for KID and FID, by default those of the fine renders.
    `ValueError` for an output that is missing, of another size or length.
    """
    systems = {name: Gathered() for name in (COARSE, FINE, *outputs)}
    lengths: dict[str, int] = {}
    for done, clip in enumerate(clips):
        scene = read_scene(data, clip, tools, frames, (asked or {}).get(clip.id))
        lengths[clip.id] = len(scene.fine)
        for name, gathered in systems.items():
            pictures = _pictures(name, outputs, scene)
            gathered.add(clip.id, measure(pictures, scene))
            gathered.vectors.append(features_of(tools.extractor, as_frames(pictures)))
            if tools.learned.fvd is not None:
                gathered.videos.append(tools.learned.fvd(pictures))
        on_clip(done + 1, len(clips))
    return {name: _row(found, systems[FINE], reference, lengths) for name, found in systems.items()}


def read_scene(
    data: Path, clip: Clip, tools: Tools, frames: int | None = None, asked: Asked | None = None
) -> Scene:
    """A clip, its coarse twin and its geometry from disk. `ValueError` when one is not as said."""
    assert clip.control is not None, "clips without a coarse twin are left out before"
    expected = expected_of(clip, frames)
    film = None
    if clip.geometry is not None:
        folder = (data / clip.geometry).parent
        film = read_film(folder, expected.frames, clip.height, clip.width)
    return Scene(
        clip,
        read_video(data / clip.control, expected),
        read_video(data / clip.video, expected),
        asked or Asked(clip.caption, clip.attributes),
        tools,
        film,
    )


def expected_of(clip: Clip, frames: int | None) -> Expected:
    """What every video of a clip must be when at most `frames` of it are compared."""
    count = clip.frames if frames is None else min(frames, clip.frames)
    return Expected(count, clip.width, clip.height, clip.fps, exact=count == clip.frames)


def _pictures(name: str, outputs: Mapping[str, Path], scene: Scene) -> Pictures:
    if name in BOUNDS:
        return scene.coarse if name == COARSE else scene.fine
    clip, count = scene.clip, len(scene.fine)
    whole = Expected(count, clip.width, clip.height, clip.fps, exact=count == clip.frames)
    return read_video(outputs[name] / f"{clip.id}.mp4", whole)


def _row(
    found: Gathered, fine: Gathered, reference: Tensor | None, lengths: Mapping[str, int]
) -> dict[str, Measured]:
    vectors = torch.cat(found.vectors)
    real = torch.cat(fine.vectors) if reference is None else reference
    clips, frames = len(lengths), sum(lengths.values())
    distance, deviation = kid(real, vectors)
    row = {
        "kid": Measured(distance, clips, frames, deviation),
        "fid": Measured(fid(real, vectors), clips, frames),
    }
    for name, by_clip in found.values.items():
        row[name] = mean_of(by_clip, sum(lengths[clip] for clip in by_clip))
    if found.videos:
        row["fvd"] = _fvd(fine.videos, found.videos, frames)
    return row


def _fvd(fine: list[Tensor], videos: list[Tensor], frames: int) -> Measured:
    """None for a single clip, which has no spread."""
    value = fid(torch.cat(fine), torch.cat(videos)) if len(videos) > 1 else None
    return Measured(value, len(videos) if value is not None else 0, frames)

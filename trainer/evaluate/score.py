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
from trainer.evaluate.geometry import Camera, Geometry, read_geometry
from trainer.evaluate.metrics.appearance import (
    brightness_shift,
    histogram_error,
    sharpness_ratio,
)
from trainer.evaluate.metrics.artefacts import artefacts
from trainer.evaluate.metrics.drift import drift_of
from trainer.evaluate.metrics.features import features_of
from trainer.evaluate.metrics.learned import LearnedMetrics
from trainer.evaluate.metrics.prompt import PromptClassifier, response
from trainer.evaluate.metrics.reference import fid, kid, psnr, ssim
from trainer.evaluate.metrics.structure import edge_f1, gram_agreement, tokens
from trainer.evaluate.metrics.temporal import flicker, revisit_error, warp_error
from trainer.evaluate.results import Measured, Rows, mean_of
from trainer.evaluate.videos import Expected, Frames, as_tensor, read_video


@dataclass(frozen=True)
class MetricNetworks:
    """The networks that measure; `classifier` None leaves prompt response out."""

    dino: DinoEncoder
    extractor: nn.Module
    classifier: PromptClassifier | None = None
    learned: LearnedMetrics = field(default_factory=LearnedMetrics)


@dataclass(frozen=True)
class ClipPrompt:
    """The prompt that the outputs of a clip were rendered with: caption, and hour and weather."""

    caption: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class ReferenceClip:
    """One clip and what outputs of it are compared with.

    `engine`: the game engine's geometry and camera, None where the data has none.
    """

    clip: Clip
    coarse: Frames
    fine: Frames
    prompt: ClipPrompt
    networks: MetricNetworks
    engine: tuple[Geometry, Camera] | None

    @cached_property
    def coarse_tokens(self) -> Tensor:
        return tokens(self.networks.dino, self.coarse)

    @cached_property
    def fine_tokens(self) -> Tensor:
        return tokens(self.networks.dino, self.fine)


Values = dict[str, float | None]


def measure(frames: Frames, ref: ReferenceClip) -> Values:
    """Every measure of one system's frames `[F, H, W, 3]` of one clip; None: not measurable."""
    ours = tokens(ref.networks.dino, frames)
    marks = artefacts(frames, ref.coarse)
    values: Values = {
        "structure": gram_agreement(ours, ref.coarse_tokens),
        "structure_fine": gram_agreement(ours, ref.fine_tokens),
        "flicker": flicker(frames),
        "drift": drift_of(frames, ref.clip.fps),
        "flatness": marks.texture_flatness,
        "uniformity": marks.lighting_uniformity,
        "leakage": marks.edge_leakage,
        "psnr": psnr(frames, ref.fine),
        "ssim": ssim(frames, ref.fine),
        "shift": (shift := brightness_shift(frames, ref.fine)),
        "brightness": abs(shift),
        "histogram": histogram_error(frames, ref.fine),
        "sharpness": sharpness_ratio(frames, ref.fine),
    }
    return values | _by_engine(frames, ref) | _by_prompt(frames, ref) | _by_learned(frames, ref)


def _by_engine(frames: Frames, ref: ReferenceClip) -> Values:
    if ref.engine is None:
        return {}
    geometry, camera = ref.engine
    return {
        "edges": edge_f1(frames, geometry),
        "warp": warp_error(frames, geometry),
        "revisit": revisit_error(frames, geometry, camera),
    }


def _by_prompt(frames: Frames, ref: ReferenceClip) -> Values:
    if ref.networks.classifier is None:
        return {}
    answer = response(ref.networks.classifier, frames, ref.prompt.attributes)
    if answer is None:
        return {}
    both = (answer.hour + answer.weather) / 2
    return {"prompt": both, "hour": answer.hour, "weather": answer.weather}


def _by_learned(frames: Frames, ref: ReferenceClip) -> Values:
    learned, values = ref.networks.learned, Values()
    if learned.lpips is not None:
        values["lpips"] = learned.lpips(frames, ref.fine)
    if learned.clip is not None:
        values["clip"] = learned.clip(frames, ref.prompt.caption)
    if learned.vlm is not None:
        values["vlm"] = learned.vlm(frames)
    return values


@dataclass
class SystemScores:
    """One system so far: values by measure and clip, and vectors for the distances of sets."""

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    vectors: list[Tensor] = field(default_factory=list)
    pretrained: list[Tensor] = field(default_factory=list)
    videos: list[Tensor] = field(default_factory=list)

    def add(self, clip: str, values: Values) -> None:
        """Keep a clip's values, without those that could not be measured."""
        for name, value in values.items():
            kept = self.values.setdefault(name, {})
            if value is not None:
                kept[clip] = value


def score(
    data: Path,
    clips: Sequence[Clip],
    outputs: Mapping[str, Path],
    networks: MetricNetworks,
    *,
    frames: int | None = None,
    prompts: Mapping[str, ClipPrompt] | None = None,
    reference: Tensor | None = None,
    on_clip: Callable[[int, int], None] = lambda done, of: None,
) -> Rows:
    """All rows. `frames`: at most so many of each clip. `prompts`: by clip, in place of its own.

    `reference`: frame vectors `[N, d]` for KID and FID, by default those of the fine renders.
    `ValueError` for an output that is missing, of another size or length.
    """
    systems = {name: SystemScores() for name in (COARSE, FINE, *outputs)}
    lengths: dict[str, int] = {}
    for done, clip in enumerate(clips):
        ref = read_reference(data, clip, networks, frames, (prompts or {}).get(clip.id))
        lengths[clip.id] = len(ref.fine)
        for name, scores in systems.items():
            video = _video(name, outputs, ref)
            scores.add(clip.id, measure(video, ref))
            scores.vectors.append(features_of(networks.extractor, as_tensor(video)))
            if networks.learned.pretrained is not None:
                scores.pretrained.append(features_of(networks.learned.pretrained, as_tensor(video)))
            if networks.learned.fvd is not None:
                scores.videos.append(networks.learned.fvd(video))
        on_clip(done + 1, len(clips))
    fine = systems[FINE]
    return {name: _row(scores, fine, reference, lengths) for name, scores in systems.items()}


def read_reference(
    data: Path,
    clip: Clip,
    networks: MetricNetworks,
    frames: int | None = None,
    prompt: ClipPrompt | None = None,
) -> ReferenceClip:
    """Read a clip, its coarse input and its geometry; `ValueError` when one is not as stated."""
    assert clip.control is not None, "clips without a coarse counterpart are left out before"
    expected = expected_of(clip, frames)
    engine = None
    if clip.geometry is not None:
        folder = (data / clip.geometry).parent
        engine = read_geometry(folder, expected.frames, clip.height, clip.width)
    return ReferenceClip(
        clip,
        read_video(data / clip.control, expected),
        read_video(data / clip.video, expected),
        prompt or ClipPrompt(clip.caption, clip.attributes),
        networks,
        engine,
    )


def expected_of(clip: Clip, frames: int | None) -> Expected:
    """What every video of a clip must be when at most `frames` of it are compared."""
    count = clip.frames if frames is None else min(frames, clip.frames)
    return Expected(count, clip.width, clip.height, clip.fps, exact=count == clip.frames)


def _video(name: str, outputs: Mapping[str, Path], ref: ReferenceClip) -> Frames:
    if name in BOUNDS:
        return ref.coarse if name == COARSE else ref.fine
    clip, count = ref.clip, len(ref.fine)
    whole = Expected(count, clip.width, clip.height, clip.fps, exact=count == clip.frames)
    return read_video(outputs[name] / f"{clip.id}.mp4", whole)


def _row(
    scores: SystemScores, fine: SystemScores, reference: Tensor | None, lengths: Mapping[str, int]
) -> dict[str, Measured]:
    vectors = torch.cat(scores.vectors)
    real = torch.cat(fine.vectors) if reference is None else reference
    clips, frames = len(lengths), sum(lengths.values())
    distance, deviation = kid(real, vectors)
    row = {
        "kid": Measured(distance, clips, frames, deviation),
        "fid": Measured(fid(real, vectors), clips, frames),
    }
    if scores.pretrained:
        distance, deviation = kid(torch.cat(fine.pretrained), torch.cat(scores.pretrained))
        row["kid_pretrained"] = Measured(distance, clips, frames, deviation)
    for name, by_clip in scores.values.items():
        row[name] = mean_of(by_clip, sum(lengths[clip] for clip in by_clip))
    if scores.videos:
        row["fvd"] = _fvd(fine.videos, scores.videos, frames)
    return row


def _fvd(fine: list[Tensor], videos: list[Tensor], frames: int) -> Measured:
    """None for a single clip, which has no spread."""
    value = fid(torch.cat(fine), torch.cat(videos)) if len(videos) > 1 else None
    return Measured(value, len(videos) if value is not None else 0, frames)

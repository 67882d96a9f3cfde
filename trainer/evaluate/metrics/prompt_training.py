"""Training of the prompt classifier on the fine frames of the train split, kept by hash.

N frames.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from trainer.data.manifest import Clip
from trainer.evaluate.metrics.prompt import ATTRIBUTES, PromptClassifier, shrink
from trainer.evaluate.videos import Expected, as_tensor, even_places, read_video

RECIPE = 1
"""Raise when the network or its training changes, so that no old classifier is taken for it."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Training:
    """How the classifier is trained: on so many `frames` of each clip, evenly spread."""

    frames: int = 8
    epochs: int = 30
    batch: int = 32
    rate: float = 2e-3
    width: int = 32
    seed: int = 0


def usable(clips: Sequence[Clip]) -> list[Clip]:
    """Fine clips of the train split that name their hour and weather."""
    return [
        clip
        for clip in clips
        if clip.split == "train"
        and clip.source == "cg"
        and all(clip.attributes.get(name) for name in ATTRIBUTES)
    ]


def trained_classifier(
    data: Path,
    clips: Sequence[Clip],
    cache: Path,
    training: Training | None = None,
    *,
    on_epoch: Progress | None = None,
) -> PromptClassifier:
    """The classifier for these clips: from `cache` when it was trained before, else trained.

    `ValueError` when no clip of the train split names an hour and a weather, or all name the same.
    """
    training = training or Training()
    chosen = usable(clips)
    names = {name: sorted({str(clip.attributes[name]) for clip in chosen}) for name in ATTRIBUTES}
    if max(map(len, names.values())) < 2:
        raise ValueError(
            f"{data}: the train split has {len(chosen)} clips with hour and weather, of fewer than "
            "two kinds; prompt response needs more (leave it out with --no-prompt)"
        )
    path = cache / f"prompt-{recipe_hash(chosen, training)}.safetensors"
    classifier = PromptClassifier(names, training.width)
    if path.is_file():
        classifier.load_state_dict(load_file(path))
        return classifier.requires_grad_(False).eval()
    frames, wanted = _examples(data, chosen, names, training)
    fit(classifier, frames, wanted, training, on_epoch)
    _save(classifier, path, {"names": names, "clips": len(chosen), **asdict(training)})
    return classifier


def recipe_hash(clips: Sequence[Clip], training: Training) -> str:
    """16 hexadecimal digits of everything that the classifier follows from."""
    rows = sorted(
        (clip.hash, *(str(clip.attributes[name]) for name in ATTRIBUTES)) for clip in clips
    )
    text = json.dumps([RECIPE, asdict(training), rows])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _examples(
    data: Path, clips: Sequence[Clip], names: Mapping[str, list[str]], training: Training
) -> tuple[Tensor, dict[str, Tensor]]:
    """Small frames `[N, 3, rows, columns]` and the class `[N]` of each attribute."""
    examples: list[Tensor] = []
    wanted: dict[str, list[int]] = {name: [] for name in ATTRIBUTES}
    for clip in clips:
        expected = Expected(clip.frames, clip.width, clip.height, clip.fps)
        frames = read_video(data / clip.video, expected)
        examples.append(shrink(as_tensor(frames[even_places(len(frames), training.frames)])))
        for name in ATTRIBUTES:
            place = names[name].index(str(clip.attributes[name]))
            wanted[name] += [place] * len(examples[-1])
    return torch.cat(examples), {name: torch.tensor(rows) for name, rows in wanted.items()}


def fit(
    classifier: PromptClassifier,
    frames: Tensor,
    wanted: Mapping[str, Tensor],
    training: Training,
    on_epoch: Progress | None = None,
) -> None:
    """Train in place; afterwards frozen, in evaluation mode. The same input gives the same network.

    Losses are weighted so that rare names count as much as common ones.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        _reset(classifier)
        optimiser = torch.optim.AdamW(classifier.parameters(), training.rate, weight_decay=0.01)
        steps = training.epochs * -(-len(frames) // training.batch)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        weights = {name: _balance(rows) for name, rows in wanted.items()}
        classifier.train()
        for epoch in range(training.epochs):
            for places in torch.randperm(len(frames)).split(training.batch):
                logits = classifier(_varied(frames[places]))
                loss = _loss(logits, {name: rows[places] for name, rows in wanted.items()}, weights)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                falling.step()
            if on_epoch is not None:
                on_epoch(epoch + 1, training.epochs)
    classifier.requires_grad_(False).eval()


def _reset(classifier: PromptClassifier) -> None:
    """Draw the weights again from the current seed."""
    for module in classifier.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.GroupNorm | nn.LayerNorm):
            module.reset_parameters()


def _balance(rows: Tensor) -> Tensor:
    counts = torch.bincount(rows).clamp_min(1).float()
    return counts.mean() / counts


def _loss(
    logits: Mapping[str, Tensor], wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor]
) -> Tensor:
    return torch.stack(
        [
            functional.cross_entropy(logits[name], rows, weights[name], label_smoothing=0.05)
            for name, rows in wanted.items()
        ]
    ).sum()


def _varied(frames: Tensor) -> Tensor:
    """Mirror and blur at random: a renderer's frames are softer than Blender's."""
    if torch.rand(()) < 0.5:
        frames = frames.flip(3)
    if torch.rand(()) < 0.5:
        small = functional.avg_pool2d(frames, 2)
        frames = functional.interpolate(small, frames.shape[-2:], mode="bilinear")
    return (frames + 0.01 * torch.randn_like(frames)).clamp(0, 1)


def _save(classifier: PromptClassifier, path: Path, how: Mapping[str, object]) -> None:
    """Write the weights, whole or not at all, and beside them how they were trained."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    save_file(
        {name: tensor.contiguous() for name, tensor in classifier.state_dict().items()}, partial
    )
    path.with_suffix(".json").write_text(json.dumps(how, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)

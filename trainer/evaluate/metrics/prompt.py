"""Prompt response: how often a small classifier recognises the hour and weather of the prompt.

It is trained on fine frames only (`prompt_training.py`), so it recognises an hour or a weather as
the fine renderer shows it.

N frames, F frames of a clip, K names of an attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.evaluate.videos import Frames, as_tensor

ATTRIBUTES = ("hour", "weather")
SIZE = (40, 72)
"""Rows and columns of the network's input: hour and weather need no more."""
FRAMES_AT_ONCE = 64

Names = Mapping[str, Sequence[str]]
"""The names of each attribute, in the order of its outputs."""


class PromptClassifier(nn.Module):
    """Three strided convolutions, mean and deviation over the frame, one head per attribute."""

    def __init__(self, names: Names, width: int = 32) -> None:
        super().__init__()
        self.names = {attribute: tuple(names[attribute]) for attribute in ATTRIBUTES}
        widths = (3, width, 2 * width, 2 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(4, after), nn.GELU()]
        self.trunk = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(2 * widths[-1] + 6)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(2 * widths[-1] + 6, len(kinds)) for name, kinds in self.names.items()}
        )

    def features(self, frames: Tensor) -> Tensor:
        """Vectors `[N, 4 width + 6]` of frames `[N, 3, H, W]` (uint8, or float in [0, 1])."""
        small = shrink(frames)
        maps = self.trunk(2 * small - 1)
        # The colours too: group norm removes how bright a night is.
        parts = [x.flatten(2) for x in (maps, 4 * small)]
        pooled = [pool for x in parts for pool in (x.mean(2), x.std(2, unbiased=False))]
        return self.norm(torch.cat(pooled, dim=1))

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """Logits `[N, K]` by attribute."""
        vectors = self.features(frames)
        return {name: head(vectors) for name, head in self.heads.items()}


def shrink(frames: Tensor) -> Tensor:
    """Frames `[N, 3, H, W]` (uint8, or float in [0, 1]) as floats of the classifier's size."""
    pixels = frames.float() / 255 if frames.dtype == torch.uint8 else frames.float()
    if pixels.shape[-2:] == SIZE:
        return pixels
    return functional.interpolate(pixels, SIZE, mode="bilinear", antialias=True)


@torch.no_grad()
def recognised(classifier: PromptClassifier, frames: Frames) -> dict[str, Tensor]:
    """Probabilities `[F, K]` of each attribute for every frame `[F, H, W, 3]`."""
    device = next(classifier.parameters()).device
    parts = [classifier(part.to(device)) for part in as_tensor(frames).split(FRAMES_AT_ONCE)]
    return {
        name: torch.cat([part[name] for part in parts]).softmax(dim=1).cpu() for name in ATTRIBUTES
    }


def named(classifier: PromptClassifier, probabilities: Mapping[str, Tensor]) -> dict[str, str]:
    """What a stretch of frames shows: for each attribute the name of the largest mean."""
    return {
        name: classifier.names[name][int(rows.mean(dim=0).argmax())]
        for name, rows in probabilities.items()
    }


def frame_names(classifier: PromptClassifier, frames: Frames) -> dict[str, list[str]]:
    """What each frame `[F, H, W, 3]` shows: F names for each attribute."""
    return {
        name: [classifier.names[name][place] for place in rows.argmax(dim=1).tolist()]
        for name, rows in recognised(classifier, frames).items()
    }


@dataclass(frozen=True)
class Response:
    """Whether a clip shows the hour and the weather that were asked for: 1 or 0."""

    hour: float
    weather: float


def response(
    classifier: PromptClassifier, frames: Frames, asked: Mapping[str, str]
) -> Response | None:
    """The response of one clip `[F, H, W, 3]` to `asked` hour and weather; None if it names none.

    `ValueError` for a name that the classifier never saw.
    """
    if not all(asked.get(name) for name in ATTRIBUTES):
        return None
    for name in ATTRIBUTES:
        if asked[name] not in classifier.names[name]:
            known = ", ".join(classifier.names[name])
            raise ValueError(f"{name} {asked[name]!r} was in no training clip; there were: {known}")
    shown = named(classifier, recognised(classifier, frames))
    return Response(*(float(shown[name] == asked[name]) for name in ATTRIBUTES))

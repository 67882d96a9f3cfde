"""Aligned crops of a pair: of latents, and of coarse and fine frames at the output's size.

A latent covers `8 x scale` output pixels, so crops begin at latents. The loss looks at a smaller
crop inside, which begins at any pixel: borders, where convolutions see nothing beyond, count less,
and no network of the loss strides over the same pixels every time.

Shapes: B samples, F frames, T latents, C channels, h w latent rows and columns, H W output rows and
columns.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.models.configs import PIXELS_PER_LATENT, Preset
from trainer.sample_random import plain_random

AT_EDGES = 2
"""Places more at either edge, of the places where a crop may begin."""


@dataclass(frozen=True)
class Crop:
    """A crop of `rows` x `columns` latents at (`row`, `column`), of `step` output pixels each, and
    in it the part that the loss sees: (`top`, `left`) and `height` x `width` pixels, as offsets in
    the crop.
    """

    row: int
    column: int
    rows: int
    columns: int
    step: int
    top: int
    left: int
    height: int
    width: int

    def latents(self, x: Tensor) -> Tensor:
        """Of latents `[T, C, h, w]`."""
        return x[..., self.row : self.row + self.rows, self.column : self.column + self.columns]

    def pixels(self, x: Tensor) -> Tensor:
        """Of anything at the output's size, `[F, c, H, W]`."""
        top, left = self.row * self.step, self.column * self.step
        return x[..., top : top + self.rows * self.step, left : left + self.columns * self.step]

    def seen(self, x: Tensor) -> Tensor:
        """What the loss sees of something that was cropped by `pixels`."""
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]


def check_crop(size: int, scale: int) -> None:
    """`ValueError` unless crops of `size` output pixels a side, 0 for whole frames, are whole
    latents.
    """
    step = PIXELS_PER_LATENT * scale
    if size % step:
        near = max(2, round(size / step)) * step
        raise ValueError(
            f"crops of {size} pixels do not begin and end at latents of {step} output pixels; "
            f"make it {near}"
        )


def draw_crops(size: int, preset: Preset, seed: int, draws: Sequence[int]) -> list[Crop]:
    """Each sample's crop of about `size` output pixels a side; see `draw_crop`."""
    return [
        draw_crop(size, preset.latent_size, preset.output_scale, plain_random(seed, draw, "crop"))
        for draw in draws
    ]


def draw_crop(size: int, latent_size: tuple[int, int], scale: int, random_: random.Random) -> Crop:
    """A crop of about `size` output pixels a side, 0 for the whole frame; see `check_crop`.

    The part that is seen is a latent smaller. Where a crop ends with the frame so does what is
    seen, and crops there are more frequent: convolutions see nothing beyond a frame's edge, and
    have to learn it there. Of a whole frame one edge in four is seen.
    """
    check_crop(size, scale)
    step = PIXELS_PER_LATENT * scale
    (row, rows, top, height), (column, columns, left, width) = (
        _along(size // step, whole, step, random_) for whole in latent_size
    )
    return Crop(row, column, rows, columns, step, top, left, height, width)


def _along(wanted: int, whole: int, step: int, random_: random.Random) -> tuple[int, int, int, int]:
    """Along one axis: the first latent, how many, the first pixel seen and how many."""
    count = min(wanted or whole, whole)
    last = whole - count
    first = min(max(random_.randint(-AT_EDGES, last + AT_EDGES), 0), last)
    if count == 1:
        return first, count, 0, step
    if count == whole:
        begin = min(max(random_.randint(-step // 2, step + step // 2), 0), step)
        return first, count, begin, (count - 1) * step
    ends = {0: 0, last: step}
    return first, count, ends.get(first, random_.randint(0, step)), (count - 1) * step


def latents_of(crops: Sequence[Crop], latents: Tensor) -> Tensor:
    """Each sample's crop of latents `[B, T, C, h, w]`."""
    return _stacked([crop.latents(x) for crop, x in zip(crops, latents, strict=True)])


def pixels_of(crops: Sequence[Crop], clips: Tensor) -> Tensor:
    """Each sample's crop of clips `[B, F, c, H, W]` at the output's size."""
    return _stacked([crop.pixels(x) for crop, x in zip(crops, clips, strict=True)])


def seen_of(crops: Sequence[Crop], cropped: Tensor) -> Tensor:
    """What the loss sees of what `pixels_of` gave, or of a decoded crop."""
    return _stacked([crop.seen(x) for crop, x in zip(crops, cropped, strict=True)])


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([part.contiguous() for part in parts])

"""Pictures side by side: a row a clip, coarse | fine | outputs, with names above."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from c2r.clips import Image
from trainer.evaluate.videos import Pictures

GAP = 4
BAND = 16
INK, PAPER = (30, 30, 30), (250, 250, 250)
JPEG_QUALITY = 88


@dataclass(frozen=True, eq=False)
class Strip:
    """One clip: `moments` (frame numbers) of every system, in the order of the columns.

    `pictures`: system -> `[moments, H, W, 3]`.
    """

    clip: str
    caption: str
    moments: Sequence[int]
    pictures: Mapping[str, Pictures]


def sheet(strips: Sequence[Strip]) -> Image:
    """All strips' middle moments as one picture, a row a clip, a column a system.

    `ValueError` when there are none.
    """
    if not strips:
        raise ValueError("there is no clip to show")
    names = list(strips[0].pictures)
    height, width = strips[0].pictures[names[0]].shape[1:3]
    size = (len(names) * (width + GAP) + GAP, len(strips) * (height + GAP) + GAP + BAND)
    page = Pillow.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=11)
    for column, name in enumerate(names):
        left = GAP + column * (width + GAP)
        draw.text((left, 2), name, INK, font)
        for row, strip in enumerate(strips):
            shown = strip.pictures[name]
            picture = Pillow.fromarray(np.ascontiguousarray(shown[len(shown) // 2]))
            page.paste(picture, (left, BAND + row * (height + GAP)))
    return np.array(page)


def data_url(pictures: Pictures) -> str:
    """Pictures `[N, H, W, 3]` beside each other as a JPEG inside a URL."""
    file = BytesIO()
    Pillow.fromarray(np.concatenate(list(pictures), axis=1)).save(
        file, "JPEG", quality=JPEG_QUALITY
    )
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")

"""One PNG with pairs from a whole run, evenly spread, each with its frame number."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from c2r.wire.formats import Image
from engine_bridge.sinks.pairs import Pair, side_by_side

MARGIN = 8
CAPTION = 16
INK, PAPER = (30, 30, 30), (250, 250, 250)


class ContactSheet:
    """Collects `count` pairs, evenly spread over a run of unknown length, in bounded memory.

    Every `stride`-th pair is kept; at twice the count every other one is dropped and the stride
    doubles.
    """

    def __init__(self, count: int = 12) -> None:
        if count < 1:
            raise ValueError(f"a contact sheet of {count} pairs is empty; give at least 1")
        self.count = count
        self._stride, self._seen = 1, 0
        self._kept: list[Pair] = []

    def add(self, pair: Pair) -> None:
        if self._seen % self._stride == 0:
            self._kept.append(pair)
            if len(self._kept) == 2 * self.count:
                self._kept = self._kept[::2]
                self._stride *= 2
        self._seen += 1

    @property
    def pairs(self) -> list[Pair]:
        """The chosen pairs, in order."""
        chosen = np.linspace(0, len(self._kept) - 1, min(self.count, len(self._kept)))
        return [self._kept[round(float(index))] for index in chosen]

    def image(self) -> Image:
        """The sheet [H, W, 3]; about as wide as high. ValueError when no pair came."""
        pairs = self.pairs
        if not pairs:
            raise ValueError("no rendered frame came back; there is nothing for a contact sheet")
        height, width = pairs[0].coarse.shape[:2]
        cell = 2 * width + MARGIN, height + CAPTION + MARGIN
        columns = max(1, min(len(pairs), round(math.sqrt(len(pairs) * cell[1] / cell[0]))))
        rows = math.ceil(len(pairs) / columns)
        size = columns * cell[0] + MARGIN, rows * cell[1] + MARGIN
        sheet = Pillow.new("RGB", size, PAPER)
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
        for index, pair in enumerate(pairs):
            x = MARGIN + index % columns * cell[0]
            y = MARGIN + index // columns * cell[1]
            draw.text((x, y), f"frame {pair.frame_id}", INK, font)
            sheet.paste(
                Pillow.fromarray(side_by_side(pair.coarse, pair.rendered)), (x, y + CAPTION)
            )
        return np.array(sheet)

    def save(self, path: Path) -> None:
        """Write the sheet as PNG; creates the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(self.image()).save(path, format="PNG")

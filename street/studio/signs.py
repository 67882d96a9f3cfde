"""Shop signs as an atlas: lettering on coloured boards, all made with numpy.

Names are plain trades, so no sign shows a brand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SIGNS = (2, 10)
"""Columns and rows of the atlas."""
_TILE = (40, 256)
_NAMES = (
    "BAKERY", "BOOKS", "CAFE", "SHOES", "TAILOR", "FLOWERS", "HOTEL", "BAR", "RADIO", "OPTICIAN",
    "MARKET", "BARBER", "PHARMACY", "TEA ROOM", "CAMERAS", "HATS", "DINER", "BICYCLES", "TOYS",
    "COPY SHOP",
)  # fmt: skip
# Rows of five pixels from top to bottom, as numbers in base 32.
_FONT = {
    "A": "EHHVHHH", "B": "UHHUHHU", "C": "EHGGGHE", "D": "UHHHHHU", "E": "VGGUGGV", "F": "VGGUGGG",
    "H": "HHHVHHH", "I": "E44444E", "K": "HIKOKIH", "L": "GGGGGGV", "M": "HRLLHHH", "N": "HPPLJJH",
    "O": "EHHHHHE", "P": "UHHUGGG", "R": "UHHUKIH", "S": "FGGE11U", "T": "V444444", "U": "HHHHHHE",
    "W": "HHHLLRH", "X": "HHA4AHH", "Y": "HHA4444", "G": "EHGNHHF", " ": "0000000",
}  # fmt: skip


def sign_atlas(seed: int) -> Floats:
    """Linear albedo, and 1 in the fourth channel where letters glow: [400, 512, 4]."""
    (columns, rows), (height, width) = SIGNS, _TILE
    atlas = np.zeros((rows * height, columns * width, 4), np.float32)
    for tile, name in enumerate(_NAMES):
        row, column = divmod(tile, columns)
        rng = np.random.default_rng([seed, tile])
        atlas[row * height : (row + 1) * height, column * width : (column + 1) * width] = _sign(
            name, rng
        )
    return atlas


def _sign(name: str, rng: np.random.Generator) -> Floats:
    height, width = _TILE
    dark = rng.random() < 0.8
    hue = np.exp(rng.normal(0, 0.35, 3))
    board = (0.05 if dark else 0.5) * hue / hue.mean()
    letters = np.array([0.75, 0.7, 0.6]) if dark else np.array([0.06, 0.05, 0.05])
    sign = np.zeros((height, width, 4), np.float32)
    sign[..., :3] = board.clip(0.01, 0.8)
    edge = np.zeros((height, width), bool)
    edge[[1, 2, -3, -2]] = True
    sign[edge, :3] = letters * 0.6
    text = lettering(name).repeat(3, axis=0).repeat(3, axis=1)
    tall, wide = text.shape
    y, x = (height - tall) // 2, (width - wide) // 2
    sign[y : y + tall, x : x + wide][text] = [*letters, 1.0 if dark else 0.0]
    return sign


def lettering(name: str) -> NDArray[np.bool_]:
    """A word [7, 6 n] in capitals, row 0 at the bottom. Raises KeyError for a letter it lacks."""
    columns = []
    for letter in name:
        rows = [int(digit, 32) for digit in _FONT[letter]]
        bits = [[row >> (4 - k) & 1 for k in range(5)] + [0] for row in rows]
        columns.append(np.array(bits[::-1], bool))
    return np.concatenate(columns, axis=1)

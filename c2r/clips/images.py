"""A folder of images as a clip, one image per frame, in natural order (2 before 10)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from c2r.clips.fit import Image, check_shape, cover

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_DEEP = ("I", "F")


class ImageClip:
    """The images in `folder` as `[height, width, 3]`, scaled to cover and cropped.

    `ValueError` when there are none, or when a file is no image; `OSError` when it cannot be read.
    """

    def __init__(self, folder: Path, width: int, height: int) -> None:
        check_shape(width, height)
        self.width, self.height = width, height
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; give a folder of images")
        files = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        self.paths = sorted(files, key=_natural)
        if not self.paths:
            raise ValueError(f"{folder} holds no images ({', '.join(SUFFIXES)})")

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Image]:
        return (self._read(path) for path in self.paths)

    def _read(self, path: Path) -> Image:
        try:
            with Pillow.open(path) as file:
                return self._fit(ImageOps.exif_transpose(file), path)
        except (UnidentifiedImageError, SyntaxError, Pillow.DecompressionBombError) as error:
            advice = "remove it from the folder, or save it again as PNG"
            raise ValueError(f"{path} is no image that can be read ({error}); {advice}") from error
        except OSError as error:
            if error.errno is not None:
                raise  # the system's own message names the file
            advice = "copy it again; it is cut short or damaged"
            raise ValueError(f"{path} cannot be decoded ({error}); {advice}") from error

    def _fit(self, image: Pillow.Image, path: Path) -> Image:
        if image.mode[0] in _DEEP:
            raise ValueError(
                f"{path} has more than 8 bits a channel ({image.mode}); tone-map it to 8-bit sRGB"
            )
        left, top, width, height = cover(image.size, (self.width, self.height))
        # Cropped before it is scaled, so that nothing from outside the box bleeds in.
        middle = image.convert("RGB").crop((left, top, left + width, top + height))
        return np.array(middle.resize((self.width, self.height), Pillow.Resampling.LANCZOS))


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]

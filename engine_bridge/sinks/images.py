"""A folder of PNG files, named by frame id."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from c2r.wire.formats import Image
from engine_bridge.client.closing import Closing


class ImageFolderSink(Closing):
    """Writes `folder/frame_000012.png`; makes the folder. OSError when it cannot be written."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def write(self, rgb: Image, frame_id: int) -> None:
        """One picture, one file."""
        picture = Pillow.fromarray(np.ascontiguousarray(rgb))
        picture.save(self.folder / f"frame_{frame_id:06d}.png", compress_level=3)

    def close(self) -> None:
        """Every file is finished already."""

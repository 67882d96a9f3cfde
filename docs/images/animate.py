"""Makes the README's animation of a side-by-side video that `c2r demo` wrote.

python docs/images/animate.py out/demo.mp4 docs/images/demo.webp
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from c2r.clips import VideoClip

SIZE = (512, 144)


def main(video: Path, out: Path, fps: int = 12) -> None:
    """A looping WebP of `fps` frames a second; the README wants it below 4 MB."""
    first, *rest = (Image.fromarray(frame) for frame in VideoClip(video, *SIZE, fps))
    first.save(
        out, save_all=True, append_images=rest, duration=1000 // fps, loop=0, quality=60, method=6
    )
    print(f"{out}: {len(rest) + 1} frames, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

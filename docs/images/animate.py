"""Makes the README's animation from a side-by-side video: `python docs/images/animate.py IN OUT.webp`."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from c2r.clips import VideoClip

SIZE = (768, 216)


def main(video: Path, out: Path, fps: int = 12) -> None:
    """A looping WebP of `fps` frames a second, under 4 MB."""
    clip = VideoClip(video, fps=fps)
    frames = [Image.fromarray(frame).resize(SIZE, Image.Resampling.LANCZOS) for frame in clip]
    frames[0].save(
        out, save_all=True, append_images=frames[1:], duration=1000 // fps, loop=0, quality=60, method=6
    )
    print(f"{out}: {len(frames)} frames, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

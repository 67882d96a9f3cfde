"""A source of your own: anything that draws frames, streamed, recorded side by side.

c2r serve                                            # in one terminal
python examples/custom_source.py out/custom.mp4      # in another
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from c2r.wire import CoarseFrame
from engine_bridge import ClientOptions, RenderClient, monotonic_us, stream_source
from engine_bridge.sinks.files import VideoSink
from engine_bridge.sinks.pairs import Pair, side_by_side


class Corridor:
    """A camera that walks down a corridor: nested frames that grow, with exact depth."""

    width, height, fps = 256, 144, 16.0

    def __iter__(self) -> Iterator[CoarseFrame]:
        index = 0
        while True:
            yield self.frame(index)
            index += 1

    def close(self) -> None:
        """Nothing to give back."""

    def frame(self, index: int) -> CoarseFrame:
        """Walls of alternating colour every 4 metres; `depth` in metres at each pixel."""
        y, x = np.mgrid[: self.height, : self.width]
        across = np.maximum(abs(x - self.width / 2) / 128, abs(y - self.height / 2) / 72)
        depth = (2 / np.maximum(across, 0.02)).astype(np.float32)
        wall = ((depth + index * 0.25) // 4 % 2)[..., None]
        rgb = np.where(wall > 0, (170, 90, 70), (90, 95, 110)).astype(np.uint8)
        return CoarseFrame(index, monotonic_us(), rgb, depth=depth)


def main(out: Path, address: str = "127.0.0.1:50051") -> None:
    """Stream 33 frames; coarse and rendered side by side in `out`."""
    source = Corridor()
    options = ClientOptions(source.width, source.height, source.fps, prompt="a street at noon")
    out.parent.mkdir(parents=True, exist_ok=True)
    with RenderClient(address, options) as client, VideoSink(out, source.fps) as video:

        def keep(pair: Pair) -> None:
            video.write(side_by_side(pair.coarse, pair.rendered), pair.frame_id)

        report = stream_source(source, client, fps=source.fps, frames=33, on_pair=keep)
    print(f"{report.frames_rendered} of {report.frames_sent} frames rendered, in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

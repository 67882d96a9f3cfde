"""The smallest whole client: a moving box out, rendered frames back, into a folder of PNGs.

c2r serve                                  # in one terminal
python examples/minimal_client.py OUT      # in another
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from c2r.clips import write_image
from c2r.wire import CoarseFrame, RenderedFrame
from engine_bridge import ClientOptions, RenderClient, monotonic_us


def coarse(index: int) -> np.ndarray:
    """One coarse frame `[144, 256, 3]`: sky, street and a box that moves."""
    frame = np.full((144, 256, 3), (150, 190, 230), np.uint8)
    frame[72:] = 92
    frame[60:110, 4 * index : 4 * index + 40] = (200, 60, 40)
    return frame


def main(out: Path, address: str = "127.0.0.1:50051") -> None:
    """Send 21 frames; write those that come back."""
    options = ClientOptions(256, 144, fps=16, prompt="a street at noon, photorealistic")
    out.mkdir(parents=True, exist_ok=True)
    with RenderClient(address, options) as client:
        for index in range(21):
            client.wait_for_room()  # a game would not wait: there, the newest frame wins
            client.submit(CoarseFrame(index, monotonic_us(), coarse(index)))
    for reply in client.poll():
        if isinstance(reply, RenderedFrame):
            write_image(out / f"{reply.frame_id:05d}.png", reply.rgb)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

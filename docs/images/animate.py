"""The README's animation: the sample game through a running server, with a change of prompt.

    c2r serve
    python docs/images/animate.py docs/images/demo.webp

Frames wait for the renderer, so that none is dropped on a machine that is slower than real time.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

from PIL import Image

from engine_bridge import ClientOptions, RenderClient
from engine_bridge.sinks.pairs import PairMatcher, side_by_side
from engine_bridge.sources import open_game

NOON, NIGHT = (
    f"A city street at {hour} under a clear sky, tall brick buildings, dry asphalt, people "
    "walking, cars, photorealistic"
    for hour in ("noon", "night")
)
WIDTH, HEIGHT, FPS, FRAMES = 512, 288, 16, 16 * 12
SHOWN = 840, 236


def main(out: Path, address: str = "127.0.0.1:50051") -> None:
    """A looping WebP, coarse left and rendered right; the README wants it below 4 MB."""
    matcher, shown = PairMatcher(), []
    options = ClientOptions(WIDTH, HEIGHT, FPS, prompt=NOON, seed=0)
    with (
        open_game(WIDTH, HEIGHT, seed=0, fps=FPS, level="mid") as game,
        RenderClient(address, options) as client,
    ):
        client.wait_streaming()
        for index, frame in enumerate(islice(game, FRAMES)):
            if index == FRAMES // 2:
                client.set_control(prompt=NIGHT)
            client.wait_for_room()
            matcher.keep(frame)
            client.submit(frame)
            shown += [matcher.match(reply) for reply in client.poll()]
    shown += [matcher.match(reply) for reply in client.poll()]
    pairs = [side_by_side(pair.coarse, pair.rendered, gap=4) for pair in shown if pair is not None]
    first, *rest = (Image.fromarray(pair).resize(SHOWN) for pair in pairs[::2])
    first.save(
        out, save_all=True, append_images=rest, duration=2000 // FPS, loop=0, quality=70, method=6
    )
    print(f"{out}: {len(pairs)} frames of {FRAMES}, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

"""The sample game as a server wants it."""

from __future__ import annotations

import argparse

from c2r.wire import ServerInfo
from engine_bridge.sources import GameSource, open_game


def game_for(info: ServerInfo, chosen: argparse.Namespace, pipe: str = "auto") -> GameSource:
    """At the server's size and rate, with the side channels that it takes, of `--seed` and
    `--level`. Errors as of `open_game`.
    """
    return open_game(
        info.width,
        info.height,
        seed=chosen.seed,
        fps=info.fps,
        pipe=pipe,
        level=chosen.level,
        side_channels=info.side_channels,
    )

"""The game loop of `c2r play` in a window: draw, submit, show what has come back."""

from __future__ import annotations

import time

from engine_bridge.cli.play_keys import Knobs
from engine_bridge.client.presenter import Presenter
from engine_bridge.client.render_client import RenderClient
from engine_bridge.sources.game import GameSource


def play_in_window(
    source: GameSource, client: RenderClient, presenter: Presenter, knobs: Knobs, seconds: float
) -> None:
    """Play until the window is closed, Escape is pressed, or `seconds` have passed."""
    begun = due = time.perf_counter()
    step = 1 / source.fps
    while source.game.running and due - begun < seconds:
        _play_frame(source, client, presenter, knobs)
        # After a hitch the game goes on from now instead of hurrying after the clock.
        due = max(due + step, time.perf_counter() - step)
        time.sleep(max(0.0, due - time.perf_counter()))


def _play_frame(
    source: GameSource, client: RenderClient, presenter: Presenter, knobs: Knobs
) -> None:
    frame = source.step()
    client.submit(frame)
    presenter.capture(frame)
    for reply in client.poll():
        presenter.receive(reply)
    changes = knobs.turn(source.game.is_down)
    if changes:
        client.set_control(**changes)
    view = presenter.view()
    if view is None or view.picture is None or knobs.coarse:
        return  # the game has put its coarse frame there itself
    source.game.show(view.rgb)
    client.report_shown(view.picture, buffer_ms=presenter.buffer_ms)

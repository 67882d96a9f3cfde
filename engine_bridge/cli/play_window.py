"""`c2r play` in a window: its keys, and the game loop that draws, submits and shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engine_bridge.client.presenter import Presenter
from engine_bridge.client.render_client import RenderClient
from engine_bridge.sources import GameSource

STRENGTH_STEP = 0.1
MOST_STRENGTH = 2.0
WEAKER, STRONGER, COMPARE = "-", "=", "v"
HELP = "1-9: prompts; - and =: strength; v: coarse or rendered frames"


class KeySettings:
    """What the keys have set so far. `prompts`: for the keys 1 to 9; the first is current.

    `coarse`: the player wants to see the coarse frames.
    """

    def __init__(self, prompts: list[str], strength: float = 1.0) -> None:
        self.prompts, self.strength = prompts[:9], strength
        self.coarse = False
        self._held: set[str] = set()

    def poll(self, is_down: Callable[[str], bool]) -> dict[str, Any]:
        """What has changed since the last call, as arguments of `set_control`.

        A key counts once, when it goes down.
        """
        digits = [str(index + 1) for index in range(len(self.prompts))]
        down = {key for key in (*digits, WEAKER, STRONGER, COMPARE) if is_down(key)}
        pressed, self._held = down - self._held, down
        if COMPARE in pressed:
            self.coarse = not self.coarse
        changes: dict[str, Any] = {}
        for digit in sorted(pressed.intersection(digits)):
            changes["prompt"] = self.prompts[int(digit) - 1]
        step = STRENGTH_STEP * ((STRONGER in pressed) - (WEAKER in pressed))
        if step:
            self.strength = round(min(MOST_STRENGTH, max(0.0, self.strength + step)), 2)
            changes["strength"] = self.strength
        return changes


def play_in_window(
    source: GameSource,
    client: RenderClient,
    presenter: Presenter,
    keys: KeySettings,
    seconds: float,
) -> None:
    """Play until the window is closed, Escape is pressed, or `seconds` have passed."""
    started = due = time.perf_counter()
    step = 1 / source.fps
    while source.game.running and due - started < seconds:
        _play_frame(source, client, presenter, keys)
        # After a hitch continue from now: catching up would run the game too fast.
        due = max(due + step, time.perf_counter() - step)
        time.sleep(max(0.0, due - time.perf_counter()))


def _play_frame(
    source: GameSource, client: RenderClient, presenter: Presenter, keys: KeySettings
) -> None:
    frame = source.step()
    client.submit(frame)
    presenter.capture(frame)
    for reply in client.poll():
        presenter.receive(reply)
    changes = keys.poll(source.game.is_down)
    if changes:
        client.set_control(**changes)
    view = presenter.view()
    if view is None or view.rendered is None or keys.coarse:
        return  # the game has drawn its coarse frame into the window already
    source.game.show(view.rgb)
    client.report_shown(view.rendered, buffer_ms=presenter.buffer_ms)

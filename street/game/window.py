"""A window of the game: what its keys mean, and a frame stretched over the whole of it.

W A S D or the arrows walk, seen from the camera; Shift runs; Q and E turn the camera; R puts the
character back to its start; Escape ends the game.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from panda3d.core import (
    ButtonHandle,
    Camera,
    CardMaker,
    DataGraphTraverser,
    GraphicsOutput,
    KeyboardButton,
    MouseAndKeyboard,
    MouseWatcher,
    NodePath,
    OrthographicLens,
    Texture,
)

from street.city.crowd import Command

Action = Literal["ahead", "back", "left", "right", "run", "turn left", "turn right", "home", "quit"]

WALK = 1.6
RUN = 4.0
TURN_RATE = 1.6
"""Radians a second that the camera turns while its key is held."""


def _keys() -> dict[Action, tuple[ButtonHandle, ...]]:
    key = KeyboardButton.ascii_key
    return {
        "ahead": (key("w"), KeyboardButton.up()),
        "back": (key("s"), KeyboardButton.down()),
        "left": (key("a"), KeyboardButton.left()),
        "right": (key("d"), KeyboardButton.right()),
        "run": (KeyboardButton.shift(),),
        "turn left": (key("q"),),
        "turn right": (key("e"),),
        "home": (key("r"),),
        "quit": (KeyboardButton.escape(),),
    }


def walk_command(held: Set[Action], yaw: float) -> Command:
    """The velocity that the held keys ask for, with the camera looking along `yaw` radians."""
    ahead = ("ahead" in held) - ("back" in held)
    left = ("left" in held) - ("right" in held)
    length = np.hypot(ahead, left)
    if length == 0:
        return Command((0.0, 0.0))
    speed = (RUN if "run" in held else WALK) / length
    c, s = np.cos(yaw), np.sin(yaw)
    return Command((float(speed * (ahead * c - left * s)), float(speed * (ahead * s + left * c))))


def camera_turn(held: Set[Action], seconds: float) -> float:
    """Radians that the held keys turn the camera by in `seconds`."""
    return (("turn left" in held) - ("turn right" in held)) * TURN_RATE * seconds


class Keyboard:
    """The keys of one window."""

    def __init__(self, window: GraphicsOutput) -> None:
        self._devices = NodePath(MouseAndKeyboard(window, 0, "devices"))
        self._watcher = MouseWatcher("watcher")
        self._devices.attach_new_node(self._watcher)
        self._traverser = DataGraphTraverser()
        self._keys = _keys()

    def held(self) -> frozenset[Action]:
        """The actions whose keys are down now."""
        self._traverser.traverse(self._devices.node())
        down = self._watcher.is_button_down
        return frozenset(action for action, keys in self._keys.items() if any(map(down, keys)))

    def is_down(self, key: str) -> bool:
        """Whether the key of one ASCII character was down when `held` was last asked."""
        return bool(self._watcher.is_button_down(KeyboardButton.ascii_key(key)))


class Screen:
    """Shows the last image given to it, from the next rendered frame on."""

    def __init__(self, window: GraphicsOutput) -> None:
        self._texture = Texture("screen")
        maker = CardMaker("card")
        maker.set_frame(-1, 1, -1, 1)
        root = NodePath("screen")
        card = root.attach_new_node(maker.generate())
        card.set_texture(self._texture)
        card.set_depth_test(False)
        lens = OrthographicLens()
        lens.set_film_size(2, 2)
        lens.set_near_far(-1, 1)
        window.make_display_region().camera = root.attach_new_node(Camera("screen", lens))
        self._root = root

    def show(self, rgb: NDArray[np.uint8]) -> None:
        """Take an image [H, W, 3] of any size, row 0 at the top."""
        height, width = rgb.shape[:2]
        if (self._texture.y_size, self._texture.x_size) != (height, width):
            self._texture.setup_2d_texture(width, height, Texture.T_unsigned_byte, Texture.F_rgb8)
        # Panda3D keeps rows from the bottom and channels as BGR.
        self._texture.set_ram_image(np.ascontiguousarray(rgb[::-1, :, ::-1]).tobytes())

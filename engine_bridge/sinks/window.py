"""A window that shows frames (Panda3D)."""

from __future__ import annotations

from contextlib import AbstractContextManager

from c2r.wire.formats import Image


class WindowSink(AbstractContextManager["WindowSink"]):
    """Opens a window of width x height pixels; frames of any size fill it.

    OSError, with what to install, where no window can be opened.
    """

    def __init__(self, width: int, height: int) -> None:
        try:
            from street.game.display import open_display
            from street.game.window import Screen
        except ModuleNotFoundError as error:
            raise OSError(f"a window needs Panda3D ({error}): pip install panda3d") from error
        try:
            self._display = open_display("window", width, height, smooth=False)
        except RuntimeError as error:
            raise OSError(f"no window: {error}") from error
        assert self._display.window is not None
        self._screen = Screen(self._display.window)
        self._closed = False

    @property
    def is_open(self) -> bool:
        """False once the window was closed, by either side."""
        window = self._display.window
        return not self._closed and window is not None and bool(window.is_valid())

    def write(self, rgb: Image, frame_id: int) -> None:
        """Show a frame now; ignored once the window is closed."""
        if self.is_open:
            self._screen.show(rgb)
            self._display.engine.render_frame()

    def close(self) -> None:
        """Close the window; closing twice is no error."""
        if not self._closed:
            self._closed = True
            self._display.close()

    def __exit__(self, *_: object) -> None:
        self.close()

"""Opens something to render to: GL through EGL, a window, or Panda3D's software renderer.

It knows how to get buffers and how to say why there are none; it does not know the scene.
`GraphicsEngine` is used directly, without ShowBase, so that displays can follow one another in a
process.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import Literal

from panda3d.core import (
    FrameBufferProperties,
    GraphicsEngine,
    GraphicsOutput,
    GraphicsPipe,
    GraphicsPipeSelection,
    WindowProperties,
    load_prc_file_data,
)

PipeName = Literal["egl", "software", "window"]
INSTALL_GL = "install a GL driver (Debian: apt-get install libegl1 libgl1-mesa-dri)"
_HINTS: dict[PipeName, str] = {
    "egl": f"no GL through EGL here; {INSTALL_GL}, or use pipe='software'",
    "software": "Panda3D's software renderer did not start; reinstall the panda3d package",
    "window": "no window can be opened; a display is needed (DISPLAY, or xvfb-run) and GL "
    "(Debian: apt-get install libgl1 libgl1-mesa-dri), or use pipe='auto'",
}
SAMPLES = 4

log = logging.getLogger(__name__)

# Without an X server the default EGL display always fails and another one serves: no warning.
load_prc_file_data("c2r sample game", "notify-level-egldisplay error")


@dataclass(frozen=True, eq=False)
class Display:
    """Open outputs. `colour` is the colour buffer, `supersample` times larger each way than the
    frame; `geometry` holds depth and part numbers as two floats per pixel, None where it was not
    asked for or the renderer has no shaders; `window` is None when headless.
    """

    name: PipeName
    engine: GraphicsEngine
    colour: GraphicsOutput
    geometry: GraphicsOutput | None
    window: GraphicsOutput | None
    supersample: int = 1

    def close(self) -> None:
        self.engine.remove_all_windows()


def open_display(
    pipe: str, width: int, height: int, *, smooth: bool = True, geometry: bool = True
) -> Display:
    """Opens `egl`, `software` or `window`, or with `auto` EGL and, failing that, software.

    `smooth` asks for anti-aliasing: `SAMPLES` samples per pixel in GL, a buffer twice as large
    each way in software. `geometry` asks for depth and part numbers, which only
    GL has. Raises ValueError for another name and RuntimeError, with what to install, where the
    renderer asked for cannot start.
    """
    if pipe == "software":
        return _open_software(width, height, smooth)
    if pipe in ("egl", "window"):
        name: PipeName = "egl" if pipe == "egl" else "window"
        return _open_gl(name, (width, height), smooth, geometry)
    if pipe != "auto":
        raise ValueError(f"pipe {pipe!r} is unknown; use 'auto', 'egl', 'software' or 'window'")
    try:
        return _open_gl("egl", (width, height), smooth, geometry)
    except RuntimeError as reason:
        log.warning("rendering in software, without depth and motion: %s", reason)
        return _open_software(width, height, smooth)


@cache
def _pipe(name: PipeName) -> GraphicsPipe | None:
    """The process's one pipe of a kind; a failed try is remembered too."""
    selection = GraphicsPipeSelection.get_global_ptr()
    if name == "software":
        return selection.make_pipe("TinyOffscreenGraphicsPipe", "p3tinydisplay")
    return selection.make_module_pipe("p3headlessgl" if name == "egl" else "pandagl")


class _Outputs:
    """Makes the outputs of one display; all of them go with its engine."""

    def __init__(self, name: PipeName) -> None:
        pipe = _pipe(name)
        if pipe is None:
            raise RuntimeError(_HINTS[name])
        self.name, self._pipe = name, pipe
        self.engine = GraphicsEngine()

    def make(
        self,
        properties: WindowProperties,
        pixels: FrameBufferProperties,
        host: GraphicsOutput | None = None,
        *,
        window: bool = False,
    ) -> GraphicsOutput:
        """A buffer or a window, open; buffers with a host share its GL context."""
        kind = GraphicsPipe.BF_require_window if window else GraphicsPipe.BF_refuse_window
        flags = kind | GraphicsPipe.BF_fb_props_optional
        shared = () if host is None else (host.gsg, host)
        order = 10 if window else 0
        output = self.engine.make_output(
            self._pipe, self.name, order, pixels, properties, flags, *shared
        )
        self.engine.open_windows()
        if output is None or not output.is_valid():
            raise RuntimeError(_HINTS[self.name])
        return output


def _open_gl(name: PipeName, pixels: tuple[int, int], smooth: bool, geometry: bool) -> Display:
    outputs = _Outputs(name)
    size = WindowProperties.size(*pixels)
    try:
        if name == "window":
            shown = _eight_bit(0)
            shown.back_buffers = 1
            host = outputs.make(_window_properties(pixels), shown, window=True)
        else:
            # One pixel that nothing is drawn to: it holds the GL context that the buffers share.
            host = outputs.make(WindowProperties.size(1, 1), _eight_bit(0))
        colour = outputs.make(size, _eight_bit(SAMPLES if smooth else 0), host)
        floats = outputs.make(size, _two_floats(), host) if geometry else None
        if floats is not None and not _draws_floats(floats):
            raise RuntimeError(
                "this GL driver has no shaders or no float targets, which depth and motion need; "
                "update it, or do without by geometry=False"
            )
    except RuntimeError:
        outputs.engine.remove_all_windows()
        raise
    return Display(name, outputs.engine, colour, floats, host if name == "window" else None)


def _draws_floats(output: GraphicsOutput) -> bool:
    return output.gsg.supports_basic_shaders and output.get_fb_properties().float_color


def _open_software(width: int, height: int, smooth: bool) -> Display:
    outputs = _Outputs("software")
    factor = 2 if smooth else 1
    colour = outputs.make(WindowProperties.size(width * factor, height * factor), _eight_bit(0))
    return Display("software", outputs.engine, colour, None, None, factor)


def _window_properties(pixels: tuple[int, int]) -> WindowProperties:
    properties = WindowProperties.size(*pixels)
    properties.title = "C2R sample game"
    properties.fixed_size = True
    return properties


def _eight_bit(samples: int) -> FrameBufferProperties:
    """Eight bits per channel."""
    wanted = FrameBufferProperties()
    wanted.set_rgba_bits(8, 8, 8, 8)
    wanted.depth_bits = 24
    wanted.multisamples = samples
    return wanted


def _two_floats() -> FrameBufferProperties:
    """Depth in metres and part number."""
    wanted = FrameBufferProperties()
    wanted.float_color = True
    wanted.set_rgba_bits(32, 32, 0, 0)
    wanted.depth_bits = 24
    return wanted

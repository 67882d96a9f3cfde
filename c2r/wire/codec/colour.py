"""What a colour codec is: an encoder and a decoder for one direction of one session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from c2r.wire.formats import Image, PixelFormat


class ColourEncoder(Protocol):
    """Images of one size, in order."""

    @property
    def pixel_format(self) -> PixelFormat | None:
        """Layout of packed pixels; None where the payload itself says it (JPEG, H.264)."""
        ...

    def encode(self, rgb: Image, *, keyframe: bool = False) -> bytes:
        """[H, W, 3] uint8 -> payload; `keyframe`: it must decode without the ones before."""
        ...


class ColourDecoder(Protocol):
    """Payloads of one size, in order."""

    def decode(self, data: bytes, pixel_format: PixelFormat | None) -> Image:
        """Payload -> [H, W, 3] uint8, may be read-only; `WireError` when it is not that."""
        ...

    def lose(self) -> None:
        """A payload was skipped undecoded; only codecs with references between frames care."""
        ...


@dataclass(frozen=True)
class ColourQuality:
    """Settings of the lossy codecs.

    `jpeg` [1, 100]; `jpeg_chroma` "444" or "420"; `h264_crf` [0, 51], lower is better.
    """

    jpeg: int = 90
    jpeg_chroma: str = "420"
    h264_crf: int = 20


COARSE_QUALITY = ColourQuality(jpeg=95, jpeg_chroma="444", h264_crf=16)
"""Flat colours carry the labels of a coarse frame: full chroma keeps their edges sharp."""
RENDERED_QUALITY = ColourQuality()


@dataclass(frozen=True)
class ColourCoding:
    """Codes colour images alone. Makers take (width, height, fps, quality) and (width, height)."""

    encoder: Callable[[int, int, float, ColourQuality], ColourEncoder]
    decoder: Callable[[int, int], ColourDecoder]

"""Images and planes inside protobuf messages: which codec, how large, which row first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from c2r.wire.codec import (
    ColourQuality,
    make_decoder,
    make_encoder,
    pack_array,
    unpack_array,
)
from c2r.wire.enum_map import member_of, number_of
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec, Image, PixelFormat, RowOrder
from c2r.wire.handshake import Accepted
from c2r.wire.v1 import renderer_pb2 as pb


class ColourWriter:
    """Writes the colour images of one direction of one session, in order."""

    def __init__(self, codec: Codec, accepted: Accepted, quality: ColourQuality) -> None:
        self.codec = codec
        self.size = (accepted.width, accepted.height)
        self._encoder = make_encoder(codec, *self.size, accepted.fps, quality)

    def write(self, image: pb.ColourImage, rgb: Image, *, keyframe: bool) -> None:
        """Fill `image` from [H, W, 3] uint8 of the session's size."""
        height, width, _ = rgb.shape
        if (width, height) != self.size:
            raise _wrong_size((width, height), self.size)
        if self._encoder.pixel_format is not None:
            image.pixel_format = number_of(self._encoder.pixel_format)
        data = self._encoder.encode(rgb, keyframe=keyframe)
        _fill(image.payload, self.codec, data, width, height)


class ColourReader:
    """Reads the colour images of one direction of one session, in order."""

    def __init__(self, codec: Codec, accepted: Accepted) -> None:
        self.codec = codec
        self.size = (accepted.width, accepted.height)
        self._decoder = make_decoder(codec, *self.size)

    def read(self, image: pb.ColourImage) -> Image:
        """[H, W, 3] uint8, top row first, C-contiguous, may be read-only."""
        try:
            return self._read(image)
        except WireError:
            self._decoder.lose()
            raise

    def lose(self) -> None:
        """An image was skipped undecoded; in H.264 the next one must be an IDR frame."""
        self._decoder.lose()

    def _read(self, image: pb.ColourImage) -> Image:
        payload = image.payload
        _check_codec(payload, self.codec)
        size = (payload.width, payload.height)
        if size != self.size:
            raise _wrong_size(size, self.size)
        layout = None
        if image.pixel_format:
            layout = member_of(PixelFormat, image.pixel_format, "pixel_format")
        return _top_first(payload, self._decoder.decode(payload.data, layout))


def write_plane(payload: pb.Payload, codec: Codec, plane: NDArray[Any]) -> None:
    """Fill `payload` from [rows, columns, ...] values."""
    _fill(payload, codec, pack_array(codec, plane), plane.shape[1], plane.shape[0])


def read_plane(
    payload: pb.Payload, accepted: Accepted, dtype: DTypeLike, channels: tuple[int, ...] = ()
) -> NDArray[Any]:
    """[rows, columns, *channels] of `dtype`, top row first, C-contiguous, may be read-only."""
    _check_codec(payload, accepted.codecs.plane)
    accepted.limits.check_plane(payload.width, payload.height)
    shape = (payload.height, payload.width, *channels)
    plane = unpack_array(accepted.codecs.plane, payload.data, shape, dtype)
    return _top_first(payload, plane)


def _fill(payload: pb.Payload, codec: Codec, data: bytes, width: int, height: int) -> None:
    payload.codec = number_of(codec)
    payload.row_order = number_of(RowOrder.TOP_FIRST)
    payload.data = data
    payload.width, payload.height = width, height


def _check_codec(payload: pb.Payload, agreed: Codec) -> None:
    if payload.codec != number_of(agreed):
        message = f"is {payload.codec}; the session agreed {number_of(agreed)} ({agreed})"
        raise WireError(ErrorCode.UNSUPPORTED, message, "payload.codec")


def _top_first(payload: pb.Payload, rows: NDArray[Any]) -> NDArray[Any]:
    order = member_of(RowOrder, payload.row_order, "payload.row_order")
    return np.ascontiguousarray(rows[::-1]) if order is RowOrder.BOTTOM_FIRST else rows


def _wrong_size(found: tuple[int, int], agreed: tuple[int, int]) -> WireError:
    message = f"is {found[0]}x{found[1]}; the session agreed {agreed[0]}x{agreed[1]}"
    return WireError(ErrorCode.INVALID, f"{message}: resize it, or open a new session", "payload")

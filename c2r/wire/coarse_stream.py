"""Coarse frames between engine and renderer: one encoder and one decoder per session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from c2r.wire.checks import check_positive
from c2r.wire.codec.colour import COARSE_QUALITY, ColourQuality
from c2r.wire.convert import from_message
from c2r.wire.depth import Depth, DeviceDepth
from c2r.wire.enum_map import member_of, number_of
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import DepthFormat, SideChannel
from c2r.wire.frames import Camera, CoarseFrame, ResetReason
from c2r.wire.handshake import Accepted
from c2r.wire.payload import ColourReader, ColourWriter, read_plane, write_plane
from c2r.wire.v1 import renderer_pb2 as pb

_DTYPES = {DepthFormat.F16: np.float16, DepthFormat.F32: np.float32, DepthFormat.U16: np.uint16}
_U16_MAX = 65535
_ARRAYS = ("position", "right", "up", "forward", "view_to_clip", "clip_to_prev_clip")


class CoarseEncoder:
    """Frames of one session into requests, in the order they are sent.

    `depth_format`: F32 keeps every bit, F16 halves the bytes. Side channels that were not granted
    are left out. A frame must not be dropped once it is encoded: in H.264 the next refers to it.
    """

    def __init__(
        self,
        accepted: Accepted,
        *,
        depth_format: DepthFormat = DepthFormat.F32,
        quality: ColourQuality = COARSE_QUALITY,
    ) -> None:
        if depth_format is DepthFormat.U16:
            raise ValueError("metres do not fit u16 without a scale; use depth_format F32 or F16")
        self.accepted = accepted
        self.depth_format = depth_format
        self._colour = ColourWriter(accepted.codecs.coarse, accepted, quality)

    def encode(self, frame: CoarseFrame, *, keyframe: bool = False) -> pb.RenderStreamRequest:
        """One frame; `keyframe`: it must decode alone, as it does anyway on a reset."""
        request = pb.RenderStreamRequest()
        message = request.frame
        message.frame_id = frame.frame_id
        message.capture_time_us = frame.capture_time_us
        message.frame_delta_ms = frame.frame_delta_ms
        message.jitter_x, message.jitter_y = frame.jitter
        message.pre_exposure = frame.pre_exposure
        if frame.reset is not None:
            message.reset.reason = number_of(frame.reset)
        keyframe = keyframe or frame.reset is not None
        with _inside("colour"):
            self._colour.write(message.colour, frame.rgb, keyframe=keyframe)
        self._write_side_channels(message, frame)
        return request

    def _write_side_channels(self, message: pb.CoarseFrame, frame: CoarseFrame) -> None:
        granted, codec = self.accepted.side_channels, self.accepted.codecs.plane
        if frame.depth is not None and SideChannel.DEPTH in granted:
            message.depth.format = number_of(self.depth_format)
            with np.errstate(over="ignore"):  # too large for half precision becomes infinity
                depth = frame.depth.astype(_DTYPES[self.depth_format], copy=False)
            write_plane(message.depth.payload, codec, depth)
        if frame.motion is not None and SideChannel.MOTION in granted:
            write_plane(message.motion.payload, codec, frame.motion)
        if frame.camera is not None and SideChannel.CAMERA in granted:
            message.camera.fov_y = frame.camera.fov_y
            for name in _ARRAYS:
                getattr(message.camera, name).extend(getattr(frame.camera, name).ravel().tolist())


class CoarseDecoder:
    """Requests of one session back into frames, in the order they arrived.

    `decode` raises `WireError` for a bad frame, with a path inside the frame; the next frame may be
    good. `skip` is for a frame that is dropped undecoded.
    """

    def __init__(self, accepted: Accepted) -> None:
        self.accepted = accepted
        self._colour = ColourReader(accepted.codecs.coarse, accepted)
        self._last_id = -1

    def decode(self, message: pb.CoarseFrame) -> CoarseFrame:
        """One frame, every field checked; its id is above that of the last good one."""
        # Colour first: an H.264 decoder must see every payload, or it loses its references, even
        # when another field of the frame is refused.
        with _inside("colour"):
            rgb = self._colour.read(message.colour)
        if message.frame_id <= self._last_id:
            wording = f"is {message.frame_id} after {self._last_id}; ids must go up"
            raise WireError(ErrorCode.OUT_OF_ORDER, wording, "frame_id")
        for channel in SideChannel:
            if message.HasField(channel.value) and channel not in self.accepted.side_channels:
                wording = "was not granted; ask for it in open.side_channels, or leave it out"
                raise WireError(ErrorCode.UNSUPPORTED, wording, channel.value)
        frame = CoarseFrame(
            frame_id=message.frame_id,
            capture_time_us=message.capture_time_us,
            rgb=rgb,
            frame_delta_ms=message.frame_delta_ms,
            depth=self._depth(message.depth) if message.HasField("depth") else None,
            motion=self._motion(message.motion) if message.HasField("motion") else None,
            camera=_camera(message.camera) if message.HasField("camera") else None,
            jitter=(message.jitter_x, message.jitter_y),
            pre_exposure=message.pre_exposure if message.HasField("pre_exposure") else 1.0,
            reset=_reset(message),
        )
        self._last_id = frame.frame_id
        return frame

    def skip(self, message: pb.CoarseFrame) -> None:
        """A frame is dropped undecoded. Without this call H.264 would predict from a wrong frame.

        Free except in H.264, where the next frame must then be an IDR frame: decode first and drop
        afterwards, or ask for one (`Flow.keyframe_wanted`).
        """
        self._colour.lose()

    def _depth(self, message: pb.DepthMap) -> Depth:
        with _inside("depth"):
            layout = member_of(DepthFormat, message.format, "format")
            stored = read_plane(message.payload, self.accepted, _DTYPES[layout])
            if not message.HasField("device"):
                return _metres(stored, message)
            if message.HasField("meters_per_unit"):
                wording = "is set beside device; set device.view_space_to_meters alone"
                raise WireError(ErrorCode.INVALID, wording, "meters_per_unit")
            with _inside("device"):
                device = from_message(DeviceDepth, message.device)
            scale = _U16_MAX if layout is DepthFormat.U16 else 1
            return device.metres(stored.astype(np.float32) / np.float32(scale))

    def _motion(self, message: pb.MotionField) -> np.ndarray:
        with _inside("motion"):
            return read_plane(message.payload, self.accepted, np.float16, (2,))


def _metres(stored: np.ndarray, message: pb.DepthMap) -> Depth:
    scale = message.meters_per_unit if message.HasField("meters_per_unit") else 1.0
    check_positive(scale, "meters_per_unit")
    # A scale that overflows gives infinity or NaN; `CoarseFrame` refuses NaN.
    with np.errstate(over="ignore", invalid="ignore"):
        metres = stored.astype(np.float32) * np.float32(scale)
    if stored.dtype == np.uint16:
        metres[stored == _U16_MAX] = np.inf
    return metres


def _camera(message: pb.Camera) -> Camera:
    with _inside("camera"):
        arrays = {name: np.array(getattr(message, name), np.float64) for name in _ARRAYS}
        for name in ("view_to_clip", "clip_to_prev_clip"):
            if arrays[name].size == 16:
                arrays[name] = arrays[name].reshape(4, 4)
        return Camera(fov_y=message.fov_y, **arrays)


def _reset(message: pb.CoarseFrame) -> ResetReason | None:
    if not message.HasField("reset"):
        return None
    return member_of(ResetReason, message.reset.reason, "reset.reason")


@contextmanager
def _inside(name: str) -> Iterator[None]:
    """Prefix the field path of a `WireError` with `name`."""
    try:
        yield
    except WireError as error:
        raise error.inside(name) from error

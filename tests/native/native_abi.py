"""The C interface of the native client (`native/include/c2r_client.h`) for ctypes.

Loads the library and compares its version and the size of every structure; knows nothing of frames.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, c_char, c_char_p, c_double, c_int32, c_uint32, c_uint64, c_void_p
from pathlib import Path

ABI_VERSION = 1
VARIABLE = "C2R_NATIVE_LIBRARY"
"""Names the library's file where it is not in the build folder."""
_BUILD = Path(__file__).resolve().parents[2] / "build" / "native"
_FILES = {"win32": "c2r_client.dll", "darwin": "libc2r_client.dylib"}
_TEXT, _FIELD, _NAME = 512, 64, 128
_DROPS = 6


class _Struct(ctypes.Structure):
    """Begins with its size, which it sets itself."""

    def __init__(self) -> None:
        super().__init__()
        self.struct_size = ctypes.sizeof(self)


class Options(_Struct):
    """`c2r_options`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("tls", c_int32),
        ("address", c_char_p),
        ("root_ca", c_char_p),
        ("client_cert", c_char_p),
        ("client_key", c_char_p),
        ("server_name", c_char_p),
        ("token", c_char_p),
        ("own_tls", c_void_p),
        ("connect_s", c_double),
        ("silence_s", c_double),
        ("stuck_s", c_double),
        ("feedback_s", c_double),
        ("retry_first_s", c_double),
        ("retry_most_s", c_double),
        ("give_up_s", c_double),
        ("keepalive_s", c_double),
        ("keepalive_answer_s", c_double),
    )


class Session(_Struct):
    """`c2r_session`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("has_seed", c_int32),
        ("fps", c_double),
        ("prompt", c_char_p),
        ("negative_prompt", c_char_p),
        ("strength", c_double),
        ("seed", c_uint64),
        ("side_channels", c_uint32),
        ("coarse_codecs", c_uint32 * 4),
        ("picture_codecs", c_uint32 * 4),
        ("picture_pixels", c_uint32),
        ("picture_rows", c_uint32),
        ("reserved", c_uint32),
        ("client", c_char_p),
    )


class Image(ctypes.Structure):
    """`c2r_image`."""

    _fields_ = (
        ("data", c_void_p),
        ("width", c_uint32),
        ("height", c_uint32),
        ("row_bytes", c_uint32),
        ("rows", c_uint32),
    )


class CameraStruct(ctypes.Structure):
    """`c2r_camera`."""

    _fields_ = (
        ("position", c_double * 3),
        ("right", c_double * 3),
        ("up", c_double * 3),
        ("forward", c_double * 3),
        ("fov_y", c_double),
        ("view_to_clip", c_double * 16),
        ("clip_to_prev_clip", c_double * 16),
    )


class Frame(_Struct):
    """`c2r_frame`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("reset", c_int32),
        ("frame_id", c_uint64),
        ("capture_time_us", c_uint64),
        ("frame_delta_ms", c_double),
        ("colour", Image),
        ("pixels", c_uint32),
        ("depth_format", c_uint32),
        ("depth", Image),
        ("meters_per_unit", c_double),
        ("device_depth", c_int32),
        ("depth_inverted", c_int32),
        ("depth_infinite", c_int32),
        ("reserved", c_int32),
        ("near_plane", c_double),
        ("far_plane", c_double),
        ("view_space_to_meters", c_double),
        ("motion", Image),
        ("camera", POINTER(CameraStruct)),
        ("jitter_x", c_double),
        ("jitter_y", c_double),
        ("pre_exposure", c_double),
    )


STAGES = ("decode", "queue", "dino", "adapter", "denoise", "vae", "encode", "kv_write", "total")


class Stages(ctypes.Structure):
    """`c2r_stages`."""

    _fields_ = tuple((f"{name}_ms", c_double) for name in STAGES)


class Result(_Struct):
    """`c2r_result`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("outcome", c_int32),
        ("frame_id", c_uint64),
        ("capture_time_us", c_uint64),
        ("drop", c_int32),
        ("fault", c_int32),
        ("chunk_index", c_uint64),
        ("picture", c_void_p),
        ("width", c_uint32),
        ("height", c_uint32),
        ("row_bytes", c_uint32),
        ("pixels", c_uint32),
        ("stages", Stages),
        ("latency_ms", c_double),
        ("message", c_char * _TEXT),
        ("field", c_char * _FIELD),
    )


class Control(_Struct):
    """`c2r_control`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("blend_chunks", c_uint32),
        ("prompt", c_char_p),
        ("negative_prompt", c_char_p),
        ("has_strength", c_int32),
        ("has_seed", c_int32),
        ("strength", c_double),
        ("seed", c_uint64),
    )


class Event(_Struct):
    """`c2r_event`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("kind", c_int32),
        ("number", c_int32),
        ("refused", c_int32),
        ("control_id", c_uint64),
        ("frame_id", c_uint64),
        ("blend_chunks", c_uint32),
        ("reserved", c_uint32),
        ("text", c_char * _TEXT),
    )


class StatusStruct(_Struct):
    """`c2r_status`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("state", c_int32),
        ("error", c_int32),
        ("grpc_status", c_int32),
        ("queue_position", c_uint32),
        ("reserved", c_uint32),
        ("retry_in_s", c_double),
        ("text", c_char * _TEXT),
    )


class AcceptedStruct(_Struct):
    """`c2r_accepted`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("chunk_latents", c_uint32),
        ("first_chunk_frames", c_uint32),
        ("chunk_frames", c_uint32),
        ("max_in_flight_chunks", c_uint32),
        ("coarse_codec", c_uint32),
        ("plane_codec", c_uint32),
        ("picture_codec", c_uint32),
        ("side_channels", c_uint32),
        ("resumed", c_int32),
        ("fps", c_double),
        ("strength", c_double),
        ("resume_grace_s", c_double),
        ("seed", c_uint64),
        ("max_message_bytes", c_uint32),
        ("reserved", c_uint32),
        ("session_id", c_char * _NAME),
        ("server", c_char * _NAME),
    )


class StatsStruct(_Struct):
    """`c2r_stats`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("connections", c_uint32),
        ("submitted", c_uint64),
        ("sent", c_uint64),
        ("rendered", c_uint64),
        ("failed", c_uint64),
        ("stray", c_uint64),
        ("dropped", c_uint64 * _DROPS),
        ("bytes_sent", c_uint64),
        ("bytes_received", c_uint64),
        ("fps_in", c_double),
        ("fps_out", c_double),
        ("fps_steady", c_double),
        ("latency_p50_ms", c_double),
        ("latency_p90_ms", c_double),
        ("latency_p99_ms", c_double),
        ("decode_ms", c_double),
        ("first_picture_ms", c_double),
        ("stages", Stages),
    )


_STRUCTS: dict[int, type[ctypes.Structure]] = {
    1: Options,
    2: Session,
    3: Frame,
    4: Result,
    5: Control,
    6: Event,
    7: StatusStruct,
    8: AcceptedStruct,
    9: StatsStruct,
    10: Image,
    11: CameraStruct,
    12: Stages,
}
"""By their number in `c2r_struct`."""

_CALLS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "c2r_abi_version": (c_uint32, ()),
    "c2r_struct_size": (c_uint32, (c_int32,)),
    "c2r_version_text": (c_char_p, ()),
    "c2r_has_codec": (c_int32, (c_int32,)),
    "c2r_code_text": (c_char_p, (c_int32,)),
    "c2r_last_error": (c_char_p, ()),
    "c2r_now_us": (c_uint64, ()),
    "c2r_init_options": (None, (POINTER(Options),)),
    "c2r_init_session": (None, (POINTER(Session),)),
    "c2r_init_frame": (None, (POINTER(Frame),)),
    "c2r_init_control": (None, (POINTER(Control),)),
    "c2r_create": (c_int32, (POINTER(Options), POINTER(c_void_p))),
    "c2r_open": (c_int32, (c_void_p, POINTER(Session))),
    "c2r_submit": (c_int32, (c_void_p, POINTER(Frame))),
    "c2r_poll": (c_int32, (c_void_p, POINTER(Result))),
    "c2r_poll_event": (c_int32, (c_void_p, POINTER(Event))),
    "c2r_set_control": (c_int32, (c_void_p, POINTER(Control), POINTER(c_uint64))),
    "c2r_report_shown": (c_int32, (c_void_p, c_uint64, c_uint64, c_double)),
    "c2r_get_status": (c_int32, (c_void_p, POINTER(StatusStruct))),
    "c2r_get_accepted": (c_int32, (c_void_p, POINTER(AcceptedStruct))),
    "c2r_get_stats": (c_int32, (c_void_p, POINTER(StatsStruct))),
    "c2r_has_room": (c_int32, (c_void_p,)),
    "c2r_close": (c_int32, (c_void_p, c_int32, c_double)),
    "c2r_destroy": (None, (c_void_p,)),
}
"""What each call returns and takes."""


def library_path() -> Path | None:
    """The library's file: what `C2R_NATIVE_LIBRARY` names, else what `make native` built."""
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else _BUILD / _FILES.get(sys.platform, "libc2r_client.so")
    return path if path.is_file() else None


def load_library(path: Path | None = None) -> ctypes.CDLL:
    """The library, every call typed. `FileNotFoundError` without it, `OSError` for another one."""
    path = path or library_path()
    if path is None:
        raise FileNotFoundError(
            f"the native client is not built; run make native, or name its file in {VARIABLE}"
        )
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _CALLS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    _compare(library, path)
    return library


def _compare(library: ctypes.CDLL, path: Path) -> None:
    version = library.c2r_abi_version()
    if version != ABI_VERSION:
        raise OSError(f"{path} has interface {version}, this side {ABI_VERSION}; build it again")
    for number, struct in _STRUCTS.items():
        theirs, ours = library.c2r_struct_size(number), ctypes.sizeof(struct)
        if theirs != ours:
            name = struct.__name__
            raise OSError(f"{path}: {name} has {theirs} bytes, here {ours}; build it again")

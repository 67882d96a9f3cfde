"""The libraries behind the codecs. Each is optional: without it, its codec is not offered."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec

LIBRARIES: dict[Codec, tuple[str, str]] = {
    Codec.ZSTD: ("zstandard", "zstandard"),
    Codec.LZ4: ("lz4.block", "lz4"),
    Codec.JPEG: ("simplejpeg", "simplejpeg"),
    Codec.H264: ("av", "av"),
}
"""Module to import and package to install, for each codec that needs one."""


def has_library(codec: Codec) -> bool:
    """Whether the codec can be used here; imports nothing."""
    return codec not in LIBRARIES or find_spec(LIBRARIES[codec][1]) is not None


def library(codec: Codec) -> ModuleType:
    """The codec's library, imported now."""
    module, package = LIBRARIES[codec]
    try:
        return import_module(module)
    except ImportError as error:
        message = f"codec {codec} needs a package that is not installed: pip install {package}"
        raise WireError(ErrorCode.UNSUPPORTED, message) from error

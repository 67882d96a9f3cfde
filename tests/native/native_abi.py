"""The C interface of the native client for ctypes, read from its headers.

Structures, numbers and calls are parsed from engine_bridge/native/include; the size of every
structure is compared with the library's. Knows nothing of frames.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "engine_bridge" / "native" / "include"
VARIABLE = "C2R_NATIVE_LIBRARY"
"""Names the library's file where it is not in the build folder."""
_FILES = {"win32": "c2r_client.dll", "darwin": "libc2r_client.dylib"}
_HEADERS = "".join(
    re.sub(r"/\*.*?\*/", "", (INCLUDE / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    for name in ("c2r_types.h", "c2r_client.h")
)
NUMBERS = {name: int(value) for name, value in re.findall(r"\b(C2R_\w+) =? ?(-?\d+)", _HEADERS)}
"""Every enumerator, and `C2R_ABI_VERSION`."""

_TYPES: dict[str, Any] = {
    "char": ctypes.c_char,
    "double": ctypes.c_double,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "void": None,
}
"""By their names in C; the structures are added below."""


class Struct(ctypes.Structure):
    """A structure of the interface; sets its own `struct_size` where it has one."""

    def __init__(self) -> None:
        super().__init__()
        if hasattr(self, "struct_size"):
            self.struct_size = ctypes.sizeof(self)


def _pointer(base: str) -> Any:
    return ctypes.c_char_p if base == "char" else ctypes.c_void_p


def _fields(body: str) -> list[tuple[str, Any]]:
    """The fields of a structure, from the text between its braces."""
    fields: list[tuple[str, Any]] = []
    for declaration in filter(None, map(str.strip, body.split(";"))):
        if function := re.search(r"\(\*(\w+)\)\(", declaration):
            fields.append((function[1], ctypes.c_void_p))
            continue
        base, names = declaration.removeprefix("const ").split(maxsplit=1)
        for star, name, length in re.findall(r"(\*?)(\w+)(?:\[(\w+)\])?", names):
            kind = _pointer(base) if star else _TYPES[base]
            size = NUMBERS.get(length) or int(length or 0)
            fields.append((name, kind * size if size else kind))
    return fields


def _structs() -> dict[str, type[Struct]]:
    structs: dict[str, type[Struct]] = {}
    for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", _HEADERS, re.DOTALL):
        structs[name] = _TYPES[name] = type(name, (Struct,), {"_fields_": _fields(body)})
    return structs


STRUCTS = _structs()
"""By their names in C."""


def new(name: str) -> Any:
    """A zeroed structure `c2r_<name>` with its size set."""
    return STRUCTS[f"c2r_{name}"]()


def library_path() -> Path | None:
    """The library's file: what `C2R_NATIVE_LIBRARY` names, else what `make native` built."""
    named = os.environ.get(VARIABLE)
    built = ROOT / "build" / "native" / _FILES.get(sys.platform, "libc2r_client.so")
    path = Path(named) if named else built
    return path if path.is_file() else None


def load_library() -> ctypes.CDLL:
    """The library, every call typed. `FileNotFoundError` without it, `OSError` for another one."""
    path = library_path()
    if path is None:
        raise FileNotFoundError(
            f"the native client is not built; run make native, or name its file in {VARIABLE}"
        )
    library = ctypes.CDLL(str(path))
    for base, star, name, arguments in re.findall(
        r"C2R_API (?:const )?(\w+) (\*?)(c2r_\w+)\((.*?)\);", _HEADERS, re.DOTALL
    ):
        call = getattr(library, name)
        call.restype = _pointer(base) if star else _TYPES[base]
        call.argtypes = [
            ctypes.c_void_p if "*" in one else _TYPES[one.split()[0]]
            for one in arguments.split(",")
            if one != "void"
        ]
    _compare(library, path)
    return library


def _compare(library: ctypes.CDLL, path: Path) -> None:
    version, ours = library.c2r_abi_version(), NUMBERS["C2R_ABI_VERSION"]
    if version != ours:
        raise OSError(f"{path} has interface {version}, the headers {ours}; build it again")
    for name, struct in STRUCTS.items():
        theirs = library.c2r_struct_size(NUMBERS[name.replace("c2r_", "c2r_struct_").upper()])
        if theirs != ctypes.sizeof(struct):
            raise OSError(f"{path}: {name} has {theirs} bytes there; build it again")

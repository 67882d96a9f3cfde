"""The Unity plugin's tests need Mono, and some of them what `make native` builds."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.native.native_abi import library_path
from tests.unity.unity_rig import compiler

MONO = (
    "the Unity plugin's code was not compiled: install mono-mcs, mono-runtime, "
    "libmono-system4.0-cil and libmono-system-core4.0-cil"
)
NATIVE = "the Unity plugin was not run: the native client is not built (make native)"
WITHOUT_MONO = "test_unity_package"
WITHOUT_NATIVE = "test_unity_compile"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests for which something is missing, and say what."""
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents or item.path.stem == WITHOUT_MONO:
            continue
        if compiler() is None or not _has_libraries():
            item.add_marker(pytest.mark.skip(reason=MONO))
        elif item.path.stem != WITHOUT_NATIVE and library_path() is None:
            item.add_marker(pytest.mark.skip(reason=NATIVE))


def _has_libraries() -> bool:
    """Debian has Mono's class libraries, System and System.Core, in separate packages."""
    global _libraries
    if _libraries is None:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "one.cs")
            source.write_text(
                "using System.Linq; using System.Diagnostics; class One { static void Main() { } }"
            )
            command = [str(compiler()), f"-out:{folder}/one.exe", str(source)]
            _libraries = subprocess.run(command, capture_output=True).returncode == 0
    return _libraries


_libraries: bool | None = None

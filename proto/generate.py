"""Generates the Python stubs in `c2r/wire/v1` from the contract; `--check` only compares.

Runs on the standard library: it makes a virtual environment of its own in `build/`, because the
pinned generator wants an older protobuf than the program runs on. Stubs of grpcio-tools 1.71 run on
protobuf 5.29 and later; those of newer generators refuse 5.29.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path("c2r/wire/v1")
SOURCE = ROOT / "proto" / PACKAGE / "renderer.proto"
TOOLS = (
    "grpcio-tools==1.71.2",
    "grpcio==1.71.2",
    "protobuf==5.29.6",
    "mypy-protobuf==3.6.0",
)
NEWEST_PYTHON = (3, 13)
"""The last Python that the pinned tools have wheels for."""

INIT = '''"""Generated from proto/{source} by proto/generate.py; do not edit.

The protobuf messages and the gRPC service. `c2r.wire` turns them into dataclasses.
"""

PROTO_SHA256 = "{digest}"
'''


def source_digest() -> str:
    """SHA-256 of the contract's text, whatever its line endings."""
    return hashlib.sha256(SOURCE.read_text(encoding="utf-8").encode()).hexdigest()


def tools_python() -> Path:
    """The interpreter of the environment that holds the pinned tools; made when missing."""
    name = hashlib.sha256(" ".join((sys.version, *TOOLS)).encode()).hexdigest()[:12]
    folder = ROOT / "build" / f"proto-{name}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / "ready"
    if not ready.exists():
        if sys.version_info[:2] > NEWEST_PYTHON:
            newest = ".".join(map(str, NEWEST_PYTHON))
            raise SystemExit(
                f"the pinned {TOOLS[0]} needs Python {newest} or older: run this on it"
            )
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *TOOLS], check=True)
        ready.touch()
    return python


def generate(target: Path) -> None:
    """Write the whole package below `target` (a folder that stands for the repository's root)."""
    python = tools_python()
    outputs = ("python_out", "grpc_python_out", "mypy_out", "mypy_grpc_out")
    plugins = os.pathsep.join((str(python.parent), os.environ.get("PATH", "")))
    subprocess.run(
        [
            *(python, "-m", "grpc_tools.protoc", f"--proto_path={ROOT / 'proto'}"),
            *(f"--{output}={target}" for output in outputs),
            str(SOURCE),
        ],
        check=True,
        env={**os.environ, "PATH": plugins},
    )
    source = SOURCE.relative_to(ROOT / "proto").as_posix()
    init = INIT.format(source=source, digest=source_digest())
    (target / PACKAGE / "__init__.py").write_text(init, encoding="utf-8")


def stubs(root: Path) -> dict[str, str]:
    """Name and text of every stub below `root`, whatever its line endings."""
    files = sorted((root / PACKAGE).glob("*.py*"))
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def differences() -> list[str]:
    """Names of the committed stubs that a fresh generation changes, adds or lacks."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh, committed = stubs(Path(folder)), stubs(ROOT)
    return sorted(
        name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name)
    )


def main() -> int:
    """Generate, or compare; 1 when a comparison fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if not parser.parse_args().check:
        generate(ROOT)
        return 0
    stale = differences()
    if stale:
        print(f"{PACKAGE} is stale: {', '.join(stale)}. Run: make proto", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

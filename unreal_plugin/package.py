"""Writes the plugin as Unreal builds it: `make unreal`.

    python unreal_plugin/package.py --nanopb DIR [--output build/unreal/C2R]

The plugin in this folder lacks the native client's sources, which live in engine_bridge/native.
This copies the plugin, the client (`src/*`, `include/*`), the runtime of nanopb (seven files and a
licence from DIR, a checkout of https://github.com/nanopb/nanopb, tag 0.4.9.1), and the messages
that nanopb's generator makes of renderer.proto. HTTP/2, TLS and JPEG are the engine's own.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

PLUGIN = Path(__file__).resolve().parent
ROOT = PLUGIN.parent
NATIVE = ROOT / "engine_bridge" / "native"
PROTO = "c2r/wire/v1/renderer.proto"
NANOPB = (
    "pb.h",
    "pb_common.h",
    "pb_common.c",
    "pb_decode.h",
    "pb_decode.c",
    "pb_encode.h",
    "pb_encode.c",
    "LICENSE.txt",
)
"""What of nanopb is compiled, and its licence."""

LEFT_OUT = shutil.ignore_patterns("package.py", "__pycache__", "Binaries", "Intermediate")


def copy_client(module: Path) -> None:
    """The native client's sources and headers into the module C2RClient."""
    shutil.copytree(NATIVE / "src", module / "Private" / "Core")
    shutil.copytree(NATIVE / "include", module / "Public", dirs_exist_ok=True)


def copy_nanopb(nanopb: Path, module: Path) -> None:
    """nanopb's runtime; `ValueError` when the folder is not a checkout of it."""
    missing = [name for name in NANOPB if not (nanopb / name).is_file()]
    if missing:
        raise ValueError(
            f"{nanopb} is no checkout of nanopb: it lacks {', '.join(missing)} (Unreal compiles "
            f"the sources, so that installed headers are not enough). Run: git clone --depth 1 "
            f"--branch 0.4.9.1 https://github.com/nanopb/nanopb {nanopb}"
        )
    target = module / "Private" / "Nanopb"
    target.mkdir()
    for name in NANOPB:
        shutil.copy(nanopb / name, target)


def generator_of(nanopb: Path) -> list[str]:
    """The command of nanopb's generator: the checkout's own, so that both are of one version."""
    return [sys.executable, str(nanopb / "generator" / "nanopb_generator.py")]


def make_messages(generator: list[str], module: Path) -> None:
    """`renderer.pb.c` and `.h` from the contract; `ValueError` when the generator cannot run."""
    target = module / "Private" / "Messages"
    target.mkdir()
    options = NATIVE / "proto" / "renderer.options"
    command = [*generator, "--quiet", "-I", str(ROOT / "proto"), "-f", str(options)]
    done = subprocess.run([*command, "-D", str(target), PROTO])
    if done.returncode != 0:
        raise ValueError(
            f"nanopb's generator failed ({' '.join(generator)}). It needs protobuf for Python and "
            f"protoc: pip install grpcio-tools"
        )


def package(nanopb: Path, output: Path, generator: list[str] | None = None) -> Path:
    """Write the plugin to `output`, replacing an older copy; the descriptor's path."""
    if output.exists() and not (output / "C2R.uplugin").is_file():
        raise ValueError(f"{output} is not a copy of the plugin; choose another --output")
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(PLUGIN, output, ignore=LEFT_OUT)
    module = output / "Source" / "C2RClient"
    copy_client(module)
    copy_nanopb(nanopb, module)
    make_messages(generator or generator_of(nanopb), module)
    return output / "C2R.uplugin"


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when the plugin was written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nanopb", type=Path, required=True, help="checkout of nanopb")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "unreal" / "C2R")
    chosen = parser.parse_args(arguments)
    try:
        print(package(chosen.nanopb, chosen.output))
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

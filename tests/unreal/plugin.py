"""The plugin's files, stand-ins for the output of Unreal's header tool, and g++."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "unreal_plugin"
SOURCE = PLUGIN / "Source"
STUBS = Path(__file__).parent / "stubs"
NATIVE = ROOT / "engine_bridge" / "native"
MODULES = ("C2RClient", "C2RRuntime", "C2REditor")
STRICT = ["-std=c++20", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror"]
# Overrides name parameters that they do not use; Unreal does not enable that warning either.
STRICT.append("-Wno-unused-parameter")


def gxx() -> str | None:
    """The compiler, or None."""
    return shutil.which("g++")


def compile_only(source: Path, arguments: list[str], *, whole: bool = False) -> str:
    """Empty when it compiles, else what g++ says; `whole` also finds unused functions."""
    how = ["-c", "-o", os.devnull] if whole else ["-fsyntax-only"]
    command = ["g++", *STRICT, *how, *arguments, str(source)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stderr


def build_program(
    source: Path, folder: Path, includes: list[Path], link: Sequence[str] = ()
) -> Path:
    """Build a small program among hostile macros, with what to `link`; its path."""
    program = folder / source.stem
    paths = [f"-I{path}" for path in includes]
    command = ["g++", *STRICT, "-include", str(STUBS / "hostile.h"), *paths]
    command += [str(source), "-o", str(program), *link]
    subprocess.run(command, check=True, timeout=300)
    return program


def run_program(program: Path, text: str = "") -> str:
    """What a program prints; fails with it when the program fails."""
    done = subprocess.run([program], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Reflected:
    """A type that Unreal's header tool reads: name, base, and the line of its body macro."""

    name: str
    base: str | None
    line: int


_TYPE = re.compile(r"^(?:class|struct) (?:\w+_API )?(\w+)(?: : public (\w+))?$")


def reflected(header: Path) -> list[Reflected]:
    """The types of a header with GENERATED_BODY, in order."""
    types: list[Reflected] = []
    last: re.Match[str] | None = None
    for number, line in enumerate(header.read_text(encoding="utf-8").splitlines(), 1):
        match = _TYPE.match(line.strip())
        last = match or last
        if line.strip() == "GENERATED_BODY()":
            assert last is not None, f"{header.name}:{number}: a body without a type"
            types.append(Reflected(last[1], last[2], number))
    return types


def generated_text(header: Path) -> str:
    """What stands in for `<header>.generated.h`."""
    lines = ["#pragma once", "#undef CURRENT_FILE_ID", f"#define CURRENT_FILE_ID FID_{header.stem}"]
    for one in reflected(header):
        base = f"using Super = {one.base}; " if one.base else ""
        access = "private: " if one.base else "public: "
        body = f"public: {base}using ThisClass = {one.name}; static UClass* StaticClass(); {access}"
        lines.append(f"#define FID_{header.stem}_{one.line}_GENERATED_BODY {body}")
    return "\n".join(lines) + "\n"


def make_engine(folder: Path) -> Path:
    """A folder of headers by the engine's names, each forwarding to a stub, and generated ones."""
    table: dict[str, list[str]] = json.loads((STUBS / "headers.json").read_text(encoding="utf-8"))
    for stub, names in table.items():
        for name in names:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f'#pragma once\n#include "{STUBS / stub}"\n', encoding="utf-8")
    for header in SOURCE.rglob("*.h"):
        if reflected(header):
            generated = folder / f"{header.stem}.generated.h"
            generated.write_text(generated_text(header), encoding="utf-8")
    return folder


def module_flags(engine: Path, minor: int) -> list[str]:
    """Arguments for a source of the plugin in engine 5.`minor`."""
    flags = [f"-DENGINE_MINOR_VERSION={minor}", "-DC2R_STUB_ENGINE"]
    flags += ["-include", str(STUBS / "hostile.h"), f"-I{engine}", f"-I{NATIVE / 'include'}"]
    for module in MODULES:
        flags += [f"-I{SOURCE / module / part}" for part in ("Public", "Private")]
    return flags


def sources() -> list[Path]:
    """Every C++ source of the plugin itself."""
    return sorted(path for module in MODULES for path in (SOURCE / module).rglob("*.cpp"))

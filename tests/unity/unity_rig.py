"""What the Unity plugin's tests share: its assemblies built with mcs, and a game that plays them.

`mcs` compiles the package assembly by assembly against stubs of Unity (`stubs/`); `harness/` is a
program on Mono that plays Unity's loop with them and the real native library.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.native.native_abi import library_path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = ROOT / "unity_plugin"
BUILD = ROOT / "build" / "unity"
LIMIT_S = 60.0
"""Until the game must have ended after `quit`: reached only in a hang."""


@dataclass(frozen=True)
class Assembly:
    """One assembly: where its sources are, below the root, and what it stands on."""

    name: str
    sources: tuple[str, ...]
    needs: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    program: bool = False

    @property
    def file(self) -> str:
        return f"{self.name}.{'exe' if self.program else 'dll'}"

    def paths(self) -> list[Path]:
        """Its files; a pattern that finds none is a mistake here."""
        groups = [sorted(ROOT.glob(pattern)) for pattern in self.sources]
        assert all(groups), f"{self.name}: nothing matches one of {self.sources}"
        return [path for group in groups for path in group]


ENGINE = Assembly("UnityEngine", ("tests/unity/stubs/UnityEngine/*.cs",))
RUNTIME = Assembly(
    "C2R.Runtime",
    (
        "unity_plugin/Runtime/*.cs",
        "unity_plugin/Runtime/Component/*.cs",
        "unity_plugin/Runtime/Internal/*.cs",
        "unity_plugin/Runtime/Interop/*.cs",
    ),
    ("UnityEngine",),
)
HARNESS = Assembly(
    "C2R.Tests",
    (
        "tests/unity/harness/*.cs",
        "unity_plugin/Tests/Runtime/TableReader.cs",
        "unity_plugin/Tests/Runtime/Conformance.cs",
    ),
    ("UnityEngine", "C2R.Runtime"),
    program=True,
)


def compiler() -> str | None:
    """`mcs`, when both it and Mono are there."""
    return shutil.which("mcs") if shutil.which("mono") else None


def built(*assemblies: Assembly) -> Path:
    """A folder with these assemblies, in order. Warnings are errors, in the package's own."""
    folder = BUILD / _digest(assemblies)
    if folder.is_dir():
        return folder
    BUILD.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=BUILD))
    for assembly in assemblies:
        compile_assembly(assembly, making)
    try:
        making.rename(folder)
    except OSError:  # another worker was faster
        shutil.rmtree(making)
    return folder


def compile_assembly(assembly: Assembly, folder: Path) -> None:
    """One assembly into `folder`, where those it needs are already."""
    own = any(one.startswith("unity_plugin") for one in assembly.sources)
    command = [str(compiler()), "-unsafe", "-langversion:7", "-warn:4"]
    # 649: fields that only Unity's serialiser or the native library write.
    command += ["-nowarn:649", "-warnaserror"] if own else ["-warn:0"]
    command += [f"-target:{'exe' if assembly.program else 'library'}"]
    command += [f"-out:{folder / assembly.file}"]
    command += [f"-r:{folder / need}.dll" for need in assembly.needs]
    command += [f"-d:{name}" for name in assembly.defines]
    command += [str(path) for path in assembly.paths()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{assembly.name}: {done.stdout}{done.stderr}"


def _digest(assemblies: tuple[Assembly, ...]) -> str:
    digest = hashlib.sha256()
    for assembly in assemblies:
        digest.update(repr(assembly).encode())
        for path in assembly.paths():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class UnityGame:
    """The program of `harness/`: a command in, a dictionary out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, command: str, *words: object, **settings: object) -> dict[str, Any]:
        """Run a command; settings are `key=value` words."""
        spoken = [_escaped(str(word)) for word in words]
        spoken += [f"{key}={_escaped(str(value))}" for key, value in settings.items()]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join([command, *spoken]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the game ended at {command}: {self._process.poll()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def must(self, command: str, *words: object) -> dict[str, Any]:
        """A command that has to succeed; the game gives up after 60 s, which is a hang."""
        answer = self(command, *words)
        assert answer["done"], f"{command} {words}: {answer}"
        return answer


@contextmanager
def playing() -> Iterator[UnityGame]:
    """A running game, which has to end cleanly after the block."""
    folder, library = built(ENGINE, RUNTIME, HARNESS), library_path()
    assert library is not None
    process = subprocess.Popen(
        ["mono", str(folder / HARNESS.file), str(PACKAGE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"LD_LIBRARY_PATH": str(library.parent), "LC_ALL": "C.UTF-8"},
    )
    try:
        yield UnityGame(process)
        process.communicate("quit\n", timeout=LIMIT_S)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


def scene(index: int, width: int, height: int) -> np.ndarray:
    """What the game's camera draws, [H, W, 3] uint8 sRGB; `TestScene.Value` in C#."""
    y, x, c = np.ogrid[:height, :width, :3]
    return ((x * 3 + y * 5 + index * 7 + c * 85) & 255).astype(np.uint8)


def picture_hash(rgb: np.ndarray) -> str:
    """SHA-256, as the game gives it for a picture that it shows."""
    return hashlib.sha256(np.ascontiguousarray(rgb).tobytes()).hexdigest()


def _escaped(value: str) -> str:
    return value.replace("%", "%25").replace(" ", "%20")

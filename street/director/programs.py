"""The programs that make a scene's files, and how they are started, each in its own process.

Simulation and fine rendering run in the studio interpreter (Blender, JuPedSim), coarse rendering in
this one. A process per program keeps a crash of Blender, a hang or a leak of Panda3D from taking
the run along, and `stop` can end it at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import c2r

ROOT = Path(c2r.__file__).resolve().parents[1]
STUDIO = Path(".venv-studio") / "bin" / "python"
RECORD_TAKE = (sys.executable, "-m", "street.game.record_take")
TIMEOUT = 3600.0
"""Seconds after which a program that has not ended counts as hung."""
TAIL = 6
"""Lines of a failed program's output that its error quotes."""


class ProgramError(RuntimeError):
    """A program failed: its name, how it ended, and its last lines of output."""


class Stopped(RuntimeError):
    """The run was stopped while a program ran or before it was started."""


def studio_python(given: Path | None = None) -> Path:
    """The studio interpreter: `given`, else `C2R_STUDIO`, else the one of `make studio`.

    Raises ValueError where there is none.
    """
    path = given or Path(os.environ.get("C2R_STUDIO") or ROOT / STUDIO)
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise ValueError(
            f"there is no studio interpreter {path} (Blender and JuPedSim live in one of their "
            "own); run `make studio`, or name one with --studio or C2R_STUDIO"
        )
    return path.absolute()


@dataclass
class Programs:
    """How to start each program; `stop` ends those that run and keeps new ones from starting."""

    studio: Path
    record: tuple[str, ...] = RECORD_TAKE
    timeout: float = TIMEOUT
    _running: set[subprocess.Popen[str]] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)
    _stopped: bool = False

    def walk(self, request: Path, out: Path) -> None:
        """Simulate a request: people by JuPedSim, and cars (`street.studio.walk`)."""
        self._run("walk", self._in_studio("walk"), str(request), "--out", str(out))

    def coarse(self, take: Path, out: Path) -> None:
        """Record a take's folder: coarse.mp4, geometry.npz, camera.json."""
        self._run("record_take", self.record, str(take), "--out", str(out))

    def fine(self, take: Path, out: Path, *, samples: int, threads: int) -> None:
        """Render a take's folder (`street.studio.render_take`): fine/0000.png and on."""
        options = ("--samples", str(samples), "--threads", str(threads))
        self._run(
            "render_take", self._in_studio("render_take"), str(take), "--out", str(out), *options
        )

    def stop(self) -> None:
        """End every running program; later ones raise Stopped."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def _in_studio(self, name: str) -> tuple[str, ...]:
        return (str(self.studio), "-m", f"street.studio.{name}")

    def _run(self, name: str, command: tuple[str, ...], *arguments: str) -> None:
        # Started under the lock: `stop` either comes first or finds the process in `_running`.
        with self._lock:
            if self._stopped:
                raise Stopped(f"{name} was not started")
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=_environment(),
            )
            self._running.add(process)
        try:
            output, _ = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired as error:
            raise ProgramError(f"{name} did not end within {self.timeout:g} s") from error
        finally:
            process.kill()
            process.wait()
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            raise Stopped(f"{name} was ended")
        if process.returncode:
            raise ProgramError(f"{name} {_ending(process.returncode)}{_last_lines(output)}")


def _environment() -> dict[str, str]:
    """Ours, with the project to import first: the studio interpreter has it nowhere else."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _last_lines(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()][-TAIL:]
    return "".join(f"\n    {line}" for line in lines)

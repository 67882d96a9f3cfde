"""The interpreter that has Blender, and a small take to render."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import c2r
from street.city.layout import plan_city
from street.city.take import Atmosphere, Take, TakeHeader, save_take
from street.city.viewpoint import look_at
from street.city.world import World

ROOT = Path(c2r.__file__).resolve().parents[1]
SIZE = 64, 36
FOV_Y = float(np.radians(52.0))


class Studio:
    """Runs modules and scripts in the studio interpreter."""

    def __init__(self, python: Path) -> None:
        self._python = str(python)

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [self._python, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object) -> str:
        """Standard output; the test fails with standard error where the program does."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors[-3000:]
        return output

    def fine(self, take: Path, out: Path, *options: object) -> str:
        return self.run("-m", "street.studio.render_take", take, "--out", out, *options)


@pytest.fixture(scope="session")
def studio():
    python = Path(os.environ.get("C2R_STUDIO") or ROOT / ".venv-studio" / "bin" / "python")
    if not python.exists():
        pytest.skip(f"no studio interpreter at {python}: run `make studio` or set C2R_STUDIO")
    probe = subprocess.run([python, "-c", "import bpy"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"{python} cannot import bpy: {probe.stderr.strip().splitlines()[-1:]}")
    return Studio(python)


@pytest.fixture(scope="session")
def take():
    """Two frames from behind and above a driving car, at 64x36."""
    plan = plan_city(5, people=6, cars=4)
    world = World(plan)
    views, parts, shadows = [], [], []
    for frame in range(2):
        for _ in range(4):
            world.step(1 / 64)
        car = world.parts()[7 * len(plan.walkers)]
        eye = car[3, :3] - 9.0 * car[0, :3] + np.array([0.1 * frame, 0.0, 5.0])
        target = car[3, :3] + np.array([0.0, 0.0, 1.0])
        views.append(look_at(eye, target, fov_y=FOV_Y, aspect=SIZE[0] / SIZE[1]))
        parts.append(world.parts())
        shadows.append(world.shadows())
    header = TakeHeader(
        "test", 5, "mid", Atmosphere("night", "rain"), "", "dolly", *SIZE, 16.0, FOV_Y,
        0.4, 700.0, plan,
    )  # fmt: skip
    eyes, axes = np.array([v.position for v in views]), np.array([v.axes for v in views])
    return Take(header, np.array(parts), np.array(shadows), eyes, axes)


@pytest.fixture(scope="session")
def take_folder(take, tmp_path_factory):
    folder = tmp_path_factory.mktemp("take")
    save_take(take, folder)
    return folder


@pytest.fixture(scope="session")
def rendered(studio, take_folder, tmp_path_factory):
    """The folder of the fine frames with their geometry, and the output of the command."""
    out = tmp_path_factory.mktemp("rendered")
    output = studio.fine(take_folder, out, "--samples", 4, "--geometry")
    return out / "fine", output

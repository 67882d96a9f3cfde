"""A grounded renderer, clips, and phases built from them; their process group is closed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trainer.small_run import changes, make_clips, make_renderer
from trainer.dist.parallel import close_world, open_world
from trainer.loop import Loop, open_dataset
from trainer.phases import load_phase, phase_settings

STREAM: dict[str, Any] = {
    "shift": 2.0,
    "chunk": 2,
    "window": 4,
    "sink": 1,
    "timesteps": [1000.0, 500.0],
    "first_timesteps": [1000.0, 750.0, 500.0, 250.0],
}


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("distil")
    make_renderer(made / "renderer")
    make_clips(made / "clips", real=2, cg=2)
    return made


def settings(root, folder, phase: str, **more: Any) -> dict[str, Any]:
    """Of a run from the renderer; latents of a sample are three."""
    model = {"stream": STREAM} | more.pop("model", {})
    start = {"folder": str(root / "renderer")} | more.pop("start", {})
    made = changes(folder, root / "clips" / "manifest.jsonl", phase, start=start, **more)
    made["model"] = made["model"] | model
    return made


@pytest.fixture
def loop_of(root, tmp_path):
    """Makes loops of a phase, ready to take steps."""

    def make(phase: str, **more: Any) -> Loop:
        config = phase_settings(settings(root, tmp_path / "run", phase, **more))
        world = open_world(config.parallel, "cpu")
        built = load_phase(phase)(config, world)
        return Loop(config, built, world, open_dataset(config, built))

    yield make
    close_world()

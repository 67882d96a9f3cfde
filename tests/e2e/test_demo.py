"""`c2r demo` with the weights that come with the project: its pictures answer scene and prompt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from c2r.clips import Image, read_clip
from engine_bridge.cli.demo import PROMPT, main

WEIGHTS = Path(__file__).parents[2] / "assets" / "tiny"
FOG = "A city street at noon in thick fog, tall brick buildings, cars, people walking"
SECONDS = 4.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What two short runs of one walk leave, each with its prompt."""
    folders = {}
    for name, prompt in (("clear", PROMPT), ("fog", FOG)):
        folders[name] = tmp_path_factory.mktemp(name)
        where = ["--weights", str(WEIGHTS), "--output", str(folders[name]), "--apart"]
        assert main([*where, "--seconds", str(SECONDS), "--prompt", prompt]) == 0
    return folders


def film(folder: Path, name: str, width: int = 256) -> list[Image]:
    return list(read_clip(folder / f"{name}.mp4", width=width, height=144, fps=16.0))


def likeness(one: Image, other: Image) -> float:
    """Correlation of two pictures' lumas, in blocks of 4x4."""
    small = [
        picture.mean(axis=-1).reshape(36, 4, 64, 4).mean((1, 3)).ravel() for picture in (one, other)
    ]
    return float(np.corrcoef(*small)[0, 1])


def test_three_films_of_one_length(made: dict[str, Path]) -> None:
    pictures, coarse = film(made["clear"], "pictures"), film(made["clear"], "coarse")
    beside = film(made["clear"], "demo", 512)
    assert len(pictures) == len(coarse) == len(beside) > 16 * SECONDS / 2
    # Side by side: the coarse frame left, the picture right, but for what the codec loses.
    halves = np.stack([coarse[10], pictures[10]], axis=1).reshape(144, 512, 3)
    assert np.abs(halves.astype(float) - beside[10]).mean() < 8


def test_report_says_that_weights_were_given(made: dict[str, Path]) -> None:
    report = json.loads((made["clear"] / "demo.json").read_text(encoding="utf-8"))
    assert report["weights"] == "given"
    assert (report["width"], report["height"]) == (256, 144)
    assert (made["clear"] / "demo.png").stat().st_size > 0


def test_pictures_follow_the_coarse_scene(made: dict[str, Path]) -> None:
    """They are like their own coarse frame, more than like its mirror image."""
    pictures, coarse = film(made["clear"], "pictures"), film(made["clear"], "coarse")
    for place in (12, len(pictures) // 2, len(pictures) - 1):
        own = likeness(pictures[place], coarse[place])
        assert own > 0.4
        assert own > likeness(pictures[place], coarse[place][:, ::-1]) + 0.1


def test_fog_is_brighter_and_flatter_than_a_clear_noon(made: dict[str, Path]) -> None:
    clear, fog = (np.stack(film(made[name], "pictures")[12:]) for name in ("clear", "fog"))
    assert fog.mean() > 1.3 * clear.mean()
    assert fog.std() < 0.8 * clear.std()
    plain = [np.mean(film(made[name], "coarse")) for name in ("clear", "fog")]
    assert plain[0] == pytest.approx(plain[1], rel=0.05), "the coarse frames do not know"

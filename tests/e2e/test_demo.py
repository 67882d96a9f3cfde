"""`c2r demo` with the weights in the repository: its frames follow scene and prompt."""

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
WIDTH, HEIGHT = 512, 288


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What two short runs of one walk leave, each with its prompt."""
    folders = {}
    for name, prompt in (("clear", PROMPT), ("fog", FOG)):
        folders[name] = tmp_path_factory.mktemp(name)
        where = ["--weights", str(WEIGHTS), "--output", str(folders[name]), "--apart"]
        assert main([*where, "--seconds", str(SECONDS), "--prompt", prompt]) == 0
    return folders


def clip(folder: Path, name: str, width: int = WIDTH) -> list[Image]:
    return list(read_clip(folder / f"{name}.mp4", width=width, height=HEIGHT, fps=16.0))


def likeness(one: Image, other: Image) -> float:
    """Correlation of two frames' lumas, in blocks of 8x8."""
    small = [
        frame.mean(axis=-1).reshape(HEIGHT // 8, 8, WIDTH // 8, 8).mean((1, 3)).ravel()
        for frame in (one, other)
    ]
    return float(np.corrcoef(*small)[0, 1])


def test_three_videos_of_one_length(runs: dict[str, Path]) -> None:
    rendered, coarse = clip(runs["clear"], "pictures"), clip(runs["clear"], "coarse")
    beside = clip(runs["clear"], "demo", 2 * WIDTH)
    assert len(rendered) == len(coarse) == len(beside) > 16 * SECONDS / 2
    # Side by side: the coarse frame left, the rendered one right, up to what the codec loses.
    halves = np.stack([coarse[10], rendered[10]], axis=1).reshape(HEIGHT, 2 * WIDTH, 3)
    assert np.abs(halves.astype(float) - beside[10]).mean() < 8


def test_report_says_that_weights_were_given(runs: dict[str, Path]) -> None:
    report = json.loads((runs["clear"] / "demo.json").read_text(encoding="utf-8"))
    assert report["weights"] == "given"
    assert (report["width"], report["height"]) == (WIDTH, HEIGHT)
    assert (runs["clear"] / "demo.png").stat().st_size > 0


def test_frames_follow_the_coarse_scene(runs: dict[str, Path]) -> None:
    """They are like their own coarse frame, more than like its mirror image."""
    rendered, coarse = clip(runs["clear"], "pictures"), clip(runs["clear"], "coarse")
    for place in (12, len(rendered) // 2, len(rendered) - 1):
        own = likeness(rendered[place], coarse[place])
        assert own > 0.4
        assert own > likeness(rendered[place], coarse[place][:, ::-1]) + 0.1


def test_fog_is_brighter_than_a_clear_noon_and_hides_the_end_of_the_street(
    runs: dict[str, Path],
) -> None:
    clear, fog = (np.stack(clip(runs[name], "pictures")[12:]) for name in ("clear", "fog"))
    # Exposure is metered: the set's fog is about a tenth brighter than its clear noon.
    assert fog.mean() > 1.05 * clear.mean()
    street = np.s_[:, 90:150, 180:330]
    assert fog.mean(-1)[street].std() < 0.8 * clear.mean(-1)[street].std()
    edges = [np.abs(np.diff(frames.mean(-1), axis=2)).mean() for frames in (clear, fog)]
    assert edges[1] < 0.8 * edges[0]
    plain = [np.mean(clip(runs[name], "coarse")) for name in ("clear", "fog")]
    assert plain[0] == pytest.approx(plain[1], rel=0.05), "the coarse frames do not know"

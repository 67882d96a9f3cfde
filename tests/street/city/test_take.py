"""Takes on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from street.city.take import load_take, save_take
from tests.street.small_takes import small_take


def test_a_take_comes_back_as_it_was(tmp_path: Path) -> None:
    take = small_take(seed=3, frames=3, camera="pan")
    save_take(take, tmp_path)
    back = load_take(tmp_path)
    assert back.header == take.header
    assert len(back) == 3
    for name in ("parts", "shadows", "eye", "axes"):
        assert np.array_equal(getattr(back, name), getattr(take, name))
    assert np.array_equal(back.viewpoint(2).world_to_clip, take.viewpoint(2).world_to_clip)


def test_its_camera_has_the_axes_and_the_shape_of_the_picture() -> None:
    take = small_take(frames=2, size=(96, 48))
    view = take.viewpoint(1)
    assert view.aspect == 2.0
    assert np.allclose(view.axes @ view.axes.T, np.eye(3), atol=1e-12)
    target = view.position + 7 * view.forward
    place, depth = view.pixels(target, 96, 48)
    assert place == pytest.approx([48, 24])
    assert depth == pytest.approx(7)


@pytest.mark.parametrize("missing", ["take.json", "tracks.npz"])
def test_half_a_take_is_none(tmp_path: Path, missing: str) -> None:
    save_take(small_take(frames=1), tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ValueError, match=f"no whole take.*{missing}"):
        load_take(tmp_path)


def test_a_take_with_a_wrong_level_is_refused(tmp_path: Path) -> None:
    save_take(small_take(frames=1), tmp_path)
    text = json.loads((tmp_path / "take.json").read_text())
    (tmp_path / "take.json").write_text(json.dumps({**text, "level": "fine"}))
    with pytest.raises(ValueError, match=r"level[\s\S]*'blocks', 'humanoids' or 'mid'"):
        load_take(tmp_path)

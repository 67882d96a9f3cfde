"""The clips in `assets/street`, and the manifest of the whole set that they come from."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import c2r
from c2r.clips import VideoClip
from c2r.config import override, read_yaml
from street.city.clip_folder import COARSE_VIDEO, load_clip_folder
from street.director.programs import RECORD_TAKE
from trainer.data.manifest import read_manifest
from trainer.data.synthesize.scene_list import SetConfig, scene_list

ROOT = Path(c2r.__file__).resolve().parents[1]
STREET, WHOLE = ROOT / "assets" / "street", ROOT / "assets" / "small" / "manifest.jsonl"


@pytest.fixture(scope="module")
def whole():
    return read_manifest(WHOLE, check="none")


@pytest.fixture(scope="module")
def street():
    return read_manifest(STREET / "manifest.jsonl", check="all")


def frames_of(path, clip):
    return np.stack(list(VideoClip(path, clip.width, clip.height, clip.fps))).astype(float)


def without_coarse(clip):
    """The row as it is where no coarse clip is kept."""
    attributes = {name: value for name, value in clip.attributes.items() if name != "level"}
    return replace(clip, control=None, control_hash=None, attributes=attributes)


def test_the_kept_clips_are_whole_and_of_the_set(street, whole):
    known = {clip.id: replace(clip, geometry=None) for clip in whole}
    assert len(street) == 6
    for clip in street:
        row = known[clip.id]
        assert clip == (without_coarse(row) if clip.control is None else row)
    assert sum(clip.control is not None for clip in street) == 4


def test_the_whole_set_is_the_one_its_config_asks_for(whole):
    config = override(SetConfig(), read_yaml(ROOT / "trainer" / "configs" / "small_set.yaml"))
    asked = {(spec.id, spec.split, spec.seed, spec.paired) for spec in scene_list(config)}
    assert asked == {(c.id, c.split, c.seed, c.control is not None) for c in whole}
    assert {(c.frames, c.width, c.height) for c in whole} == {(49, 256, 144)}


def test_train_and_held_out_share_no_seed_and_all_hours_meet_all_weathers(whole):
    train = {clip.seed for clip in whole if clip.split == "train"}
    assert len(train) == 150
    assert train.isdisjoint(clip.seed for clip in whole if clip.split == "held_out")
    sky = {(c.attributes["hour"], c.attributes["weather"]) for c in whole if c.split == "train"}
    assert len(sky) == 20


@pytest.mark.parametrize("name", ["held_out-00000", "train-00013"])
def test_pairs_show_the_same_scene_at_the_same_time(street, name):
    """The coarse clip's light and dark lie more like its own fine clip's than like another's."""
    clip = next(c for c in street if c.id == name)
    other = next(c for c in street if c.control and c.id != name)
    coarse = frames_of(STREET / clip.control, clip).mean(3)
    fine, strange = (frames_of(STREET / c.video, c).mean(3) for c in (clip, other))
    steps = [np.abs(np.gradient(frames, axis=(1, 2))).sum(0).ravel() for frames in (coarse, fine)]
    wrong = np.abs(np.gradient(strange, axis=(1, 2))).sum(0).ravel()
    assert np.corrcoef(*steps)[0, 1] > 2 * np.corrcoef(steps[0], wrong)[0, 1]


def test_a_kept_take_gives_its_coarse_clip_again(street, tmp_path):
    """Recorded again from the take; another machine's OpenGL may round an edge otherwise."""
    pytest.importorskip("panda3d")
    clip = next(c for c in street if c.id == "train-00003")
    take = (STREET / clip.video).parent
    done = subprocess.run([*RECORD_TAKE, take, "--out", tmp_path], capture_output=True, text=True)
    if "OpenGL" in done.stderr and done.returncode:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    kept, again = (frames_of(p, clip) for p in (STREET / clip.control, tmp_path / COARSE_VIDEO))
    assert np.abs(kept - again).mean() < 0.5
    assert load_clip_folder(tmp_path) is not None

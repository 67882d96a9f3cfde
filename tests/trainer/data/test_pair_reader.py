"""Pairs at the output's size: windows that begin at latents, motion, and what is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from c2r.models.configs import GuideConfig, TinyVAEConfig
from c2r.models.presets import get_preset
from tests.trainer.small_run import HEIGHT, WIDTH, make_clip, write_video
from trainer.data.pair_reader import PairReader
from trainer.data.window import Window
from trainer.settings import DataConfig

SIZE = (2 * HEIGHT, 2 * WIDTH)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    clip = make_clip(folder, "pair", "cg", frames=13)
    for place, name in enumerate((clip.video, clip.control)):
        assert name is not None
        write_video(folder / name, place, 13, 2)
    random = np.random.default_rng(0)
    motion = random.normal(size=(13, *SIZE, 2)).astype(np.float16)
    np.savez(folder / "geometry.npz", motion=motion)
    width, height = SIZE[::-1]
    return folder, replace(clip, width=width, height=height, geometry="geometry.npz"), motion


def reader_of(folder, keep_gib=1.0):
    preset = get_preset("debug")
    assert isinstance(preset.vae, TinyVAEConfig)
    vae = replace(preset.vae, guide=GuideConfig(scale=2, widths=(8, 8, 8, 8)))
    return PairReader(folder, replace(preset, vae=vae), 5, DataConfig(keep_gib=keep_gib), 0)


def test_windows_begin_at_latents_and_have_their_own_frames_and_motion(pair):
    folder, clip, motion = pair
    reader, starts = reader_of(folder), set()
    whole = reader.whole(13)
    fine, coarse = whole.cut(folder / clip.video), whole.cut(folder / clip.control)
    for draw in range(12):
        sample = reader.read(clip, draw, control=True)
        window = slice(sample.start, sample.start + 5)
        assert (sample.frames.numpy() == fine[window]).all()
        assert (sample.control.numpy() == coarse[window]).all()
        assert (sample.motion.numpy() == motion[window].transpose(0, 3, 1, 2)).all()
        starts.add(sample.start)
    assert starts == {0, 4, 8}


def test_samples_draw_one_of_the_clips_wordings(pair):
    folder, clip, _ = pair
    worded = replace(clip, wordings=("a street", "a long street"))
    reader = reader_of(folder)
    read = [reader.read(worded, draw, control=True).caption for draw in range(12)]
    assert read == [worded.captions[worded.wording(0, draw)] for draw in range(12)]
    assert set(read) == set(worded.captions)


@pytest.mark.parametrize(("keep_gib", "cuts"), [(1.0, 2), (0.0, 6)])
def test_each_window_is_decoded_once_where_memory_is_given(pair, monkeypatch, keep_gib, cuts):
    folder, clip, _ = pair
    reader, seen = reader_of(folder, keep_gib), []
    cut = Window.cut

    def counted(self, path):
        seen.append(path)
        return cut(self, path)

    monkeypatch.setattr(Window, "cut", counted)
    for _ in range(3):
        reader.read(clip, 0, control=True)
    assert len(seen) == cuts


def test_motion_of_another_size_or_rate_is_unknown(pair):
    folder, clip, _ = pair
    np.savez(folder / "small.npz", motion=np.zeros((13, 4, 4, 2), np.float16))
    other = reader_of(folder)
    for changed in (replace(clip, geometry="small.npz"), replace(clip, geometry=None)):
        assert other.read(changed, 0, control=True).motion.isnan().all()
    assert other._motion(replace(clip, fps=32.0), 0).isnan().all()
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ValueError, match=r"broken\.npz cannot be read"):
        other.read(replace(clip, geometry="broken.npz"), 0, control=True)

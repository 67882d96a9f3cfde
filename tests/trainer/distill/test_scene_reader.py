"""Coarse clips made during training. Replacement programs make them, but for the last test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from street.director.programs import Programs, studio_python
from tests.trainer.fake_studio import Studio
from trainer.data import scene_reader as game_scenes
from trainer.data.loader import SampleLoader
from trainer.data.scene_reader import SceneReader, SceneSampler, scene_of
from trainer.loop import open_dataset
from trainer.phases import phase_settings
from trainer.settings import ScenesConfig, TrainConfig

SMALL = {"name": "tiny", "width": 48, "height": 32}


def config_of(folder: Path, **data: object) -> TrainConfig:
    scenes = {"frames": 5, "scenes": {"reuse": 2, "recent": 3}} | data
    return phase_settings({"folder": str(folder), "model": SMALL, "data": scenes, "phase": "dmd"})


def dataset_of(config: TrainConfig, programs: Programs) -> SampleLoader:
    assert config.data.scenes is not None
    sampler = SceneSampler(config.data.scenes, config.seed)
    return SampleLoader(
        SceneReader(config, programs), sampler, config.data, control=True, fine=False
    )


def test_samples_are_of_the_latest_scenes_and_follow_from_their_number():
    sampler, again = (SceneSampler(ScenesConfig(reuse=4, recent=8), 5) for _ in range(2))
    numbers = [sampler.clip(draw).index for draw in range(400)]
    assert numbers == [again.clip(draw).index for draw in range(400)]
    assert all(max(0, draw // 4 - 7) <= n <= draw // 4 for draw, n in enumerate(numbers))
    assert len(set(numbers)) > 80
    assert len({draw // 4 - n for draw, n in enumerate(numbers[40:], 40)}) == 8
    other = SceneSampler(ScenesConfig(reuse=4, recent=8), 6)
    assert [other.clip(draw).index for draw in range(400)] != numbers
    with pytest.raises(ValueError, match=r"other data\.scenes or seed"):
        other.check(sampler.state(8))


def test_scenes_to_train_on_have_even_seeds():
    """As the set's own do; those of held-out scenes are odd."""
    seeds = [scene_of(3, number).seed for number in range(200)]
    assert all(seed % 2 == 0 for seed in seeds)
    assert len(set(seeds)) == 200


def test_clips_are_made_once_kept_while_wanted_and_made_again(tmp_path: Path):
    studio, config = Studio(tmp_path / "studio"), config_of(tmp_path / "run")
    dataset = dataset_of(config, studio.programs())
    first = dataset.batch(range(2))
    assert first.control is not None
    assert first.control.shape == (2, 5, 3, 32, 48)
    assert first.sources == ("cg", "cg")
    assert all(caption for caption in first.captions)
    assert (first.frames, first.latents, first.text) == (None, None, None)
    assert studio.log() == ["walk", "record_take"]
    dataset.batch(range(40, 42))
    there = sorted(path.name for path in (tmp_path / "run/scenes").iterdir())
    assert "scene-000000" not in there, "far behind: removed"
    again = dataset.batch(range(2))
    assert again.captions == first.captions
    assert torch.equal(again.control, first.control)  # type: ignore[arg-type]


def test_a_scene_that_fails_is_reported_and_another_takes_its_place(tmp_path: Path, caplog):
    studio = Studio(tmp_path / "studio")
    studio.break_down("record-short", 1)
    dataset = dataset_of(config_of(tmp_path / "run"), studio.programs())
    assert dataset.sample(0).clip == "scene-000001"
    assert dataset.skipped == 1
    assert "clip scene-000000 skipped" in caplog.text


def test_a_student_learns_from_scenes_alone(loop_of, tmp_path: Path, monkeypatch):
    studio = Studio(tmp_path / "studio")
    monkeypatch.setattr(game_scenes, "studio_python", lambda: studio.python)
    monkeypatch.setattr(game_scenes, "Programs", lambda python: studio.programs())
    loop = loop_of("dmd", data={"scenes": {"reuse": 4, "recent": 2}}, steps=2)
    loop.run()
    assert loop.step == 2
    assert "record_take" in studio.log()


def test_phases_that_need_fine_video_refuse_scenes(loop_of):
    with pytest.raises(ValueError, match=r"data\.scenes belongs to phase dmd"):
        loop_of("consistency", data={"scenes": {}})
    with pytest.raises(ValueError, match=r"dmd\.gan compares with fine video"):
        loop_of("dmd", data={"scenes": {}}, dmd={"gan": {"weight": 1.0, "blocks": [0]}})


def test_without_a_studio_the_error_says_what_to_do(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("C2R_STUDIO", str(tmp_path / "nowhere"))
    phase = type("Phase", (), {"only_control": True, "name": "dmd"})
    with pytest.raises(ValueError, match="make studio"):
        open_dataset(config_of(tmp_path / "run"), phase)  # type: ignore[arg-type]


def test_a_real_scene(tmp_path: Path):
    """Simulated by JuPedSim and rendered by the game."""
    try:
        programs = Programs(studio_python())
    except ValueError as error:
        pytest.skip(str(error))
    sample = dataset_of(config_of(tmp_path / "run"), programs).sample(0)
    assert sample.control is not None
    assert sample.control.float().std() > 20
    assert "street" in sample.caption.lower() or len(sample.caption.split()) > 5

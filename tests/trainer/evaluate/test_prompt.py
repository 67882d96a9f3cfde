"""The prompt classifier: recognises prompts in scenes it never saw, is kept, and is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.trainer.evaluate import scenes
from trainer.data.manifest import read_manifest
from trainer.evaluate.metrics import prompt_training
from trainer.evaluate.metrics.features import weights_hash
from trainer.evaluate.metrics.prompt import frame_names, recognised, response
from trainer.evaluate.metrics.prompt_training import (
    Training,
    recipe_hash,
    trained_classifier,
    usable,
)

TRAINING = Training(frames=4, epochs=20, batch=16, width=16)


@pytest.fixture(scope="module")
def kept(data, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    clips = read_manifest(data / "manifest.jsonl")
    return trained_classifier(data, clips, cache, TRAINING), cache


def test_it_recognises_hours_and_weathers_of_other_scenes(kept):
    classifier, _ = kept
    for hour in scenes.BRIGHT:
        for weather in scenes.BLUE:
            for seed in (301, 302):
                frames = scenes.fine_frames(scenes.make_wall(seed), hour, weather)
                found = response(classifier, frames, {"hour": hour, "weather": weather})
                assert found is not None
                assert (found.hour, found.weather) == (1, 1), (hour, weather)


def test_a_prompt_that_is_not_shown_counts_as_wrong(kept):
    classifier, _ = kept
    frames = scenes.fine_frames(scenes.make_wall(303), "noon", "rain")
    found = response(classifier, frames, {"hour": "night", "weather": "rain"})
    assert found is not None
    assert (found.hour, found.weather) == (0, 1)
    assert response(classifier, frames, {"hour": "night"}) is None
    with pytest.raises(ValueError, match="in no training clip; there were: night, noon"):
        response(classifier, frames, {"hour": "dusk", "weather": "rain"})


def test_probabilities_and_names_of_every_frame(kept):
    classifier, _ = kept
    frames = scenes.fine_frames(scenes.make_wall(304), "night", "clear")
    rows = recognised(classifier, frames)
    assert rows["hour"].shape == (scenes.FRAMES, 2)
    assert torch.allclose(rows["weather"].sum(1), torch.ones(scenes.FRAMES))
    assert frame_names(classifier, frames)["hour"] == ["night"] * scenes.FRAMES


def test_it_is_trained_once_and_found_by_its_hash(kept, data, monkeypatch):
    classifier, cache = kept
    clips = read_manifest(data / "manifest.jsonl")
    monkeypatch.setattr(prompt_training, "fit", lambda *_: pytest.fail("trained again"))
    again = trained_classifier(data, clips, cache, TRAINING)
    assert weights_hash(again) == weights_hash(classifier)
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        trained_classifier(data, clips, cache, replace(TRAINING, seed=1))


def test_training_repeats_to_the_bit(kept, data, tmp_path):
    torch.rand(3)  # whatever else drew numbers before
    clips = read_manifest(data / "manifest.jsonl")
    again = trained_classifier(data, clips, tmp_path, TRAINING)
    assert weights_hash(again) == weights_hash(kept[0])


def test_only_fine_frames_of_the_train_split_are_learned_from(data):
    clips = read_manifest(data / "manifest.jsonl")
    assert {clip.split for clip in usable(clips)} == {"train"}
    before = recipe_hash(usable(clips), TRAINING)
    other = [replace(clip, hash="0" * 64) for clip in usable(clips)]
    assert recipe_hash(other, TRAINING) != before


def test_a_set_of_one_kind_is_refused(data, tmp_path):
    clips = [c for c in read_manifest(data / "manifest.jsonl") if c.split == "held_out"]
    with pytest.raises(ValueError, match="--no-prompt"):
        trained_classifier(data, clips, tmp_path, TRAINING)

"""Judges from local weights: stand-ins of known answers, and folders that are none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.trainer.evaluate.judges import Distance, Video, save_clip, save_script
from trainer.evaluate.metrics.learned import (
    ClipScore,
    Lpips,
    VideoFeatures,
    VlmJudge,
    clip_pixels,
    load_learned,
)


def frames(level: int, frames: int = 3) -> np.ndarray:
    return np.full((frames, 20, 30, 3), level, np.uint8)


def test_lpips_gets_signed_frames_and_is_averaged(tmp_path):
    judge = Lpips(save_script(Distance(), tmp_path / "lpips.pt"))
    assert judge(frames(255), frames(0)) == pytest.approx(2)
    assert judge(frames(7, 9), frames(7, 9)) == 0


def test_fvd_features_get_the_flags_that_the_file_knows(tmp_path):
    judge = VideoFeatures(save_script(Video(), tmp_path / "video.pt"))
    assert judge.flags == {"rescale": True, "return_features": True}
    assert torch.allclose(judge(frames(51)), torch.full((1, 9), 0.2))


@pytest.fixture
def clip_folder(tmp_path):
    return save_clip(tmp_path / "clip")


def test_clip_score_is_the_cosine(clip_folder):
    judge = ClipScore(clip_folder)
    shown = np.random.default_rng(1).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    words = judge.tokenizer("a street", return_tensors="pt")
    with torch.no_grad():
        vision = judge.model.vision_model(
            pixel_values=clip_pixels(torch.from_numpy(shown).permute(0, 3, 1, 2), 16)
        ).pooler_output
        text = judge.model.text_model(**words).pooler_output
        first = judge.model.visual_projection(vision)[0].numpy()
        second = judge.model.text_projection(text)[0].numpy()
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert judge(shown, "a street") == pytest.approx(max(0, 100 * float(cosine)), abs=1e-3)
    assert judge(shown, "a long street " * 50) >= 0  # cut to what the model reads


def test_clip_sees_the_middle_square():
    frames = torch.zeros(1, 3, 20, 40, dtype=torch.uint8)
    frames[..., 10:30] = 255
    assert clip_pixels(frames, 8)[0, 0].min() > 1.9  # white less the mean, over the deviation


class Model:
    """Answers with the digit that the mean of the picture asks for."""

    def __call__(self, picture: np.ndarray) -> SimpleNamespace:
        logits = torch.full((1, 4, 60), -50.0)
        logits[0, -1, 48 + 1 + round(float(picture.mean()) / 255 * 4)] = 50
        return SimpleNamespace(logits=logits)


class Processor:
    def __init__(self, wide: bool = False) -> None:
        self.tokenizer = SimpleNamespace(
            encode=lambda text, add_special_tokens: [ord(text)] * (2 if wide else 1)
        )

    def apply_chat_template(self, messages, **options):
        assert options["add_generation_prompt"]
        picture, question = messages[0]["content"]
        assert "footage" in question["text"]
        return {"picture": np.asarray(picture["image"])}


def test_the_vlms_answer_is_the_expected_digit():
    judge = VlmJudge(Model(), Processor(), "stand-in")
    assert judge(frames(0)) == pytest.approx(1)
    assert judge(frames(255)) == pytest.approx(5)
    assert judge(np.concatenate([frames(0, 1), frames(255, 1)])) == pytest.approx(3)
    with pytest.raises(ValueError, match="single tokens"):
        VlmJudge(Model(), Processor(wide=True), "stand-in")


def test_folders_that_are_none(tmp_path):
    with pytest.raises(ValueError, match=r"no CLIP folder.*config\.json"):
        load_learned(None, None, tmp_path, None)
    with pytest.raises(ValueError, match="no VLM folder"):
        load_learned(None, None, None, tmp_path)
    with pytest.raises(ValueError, match="there is no"):
        load_learned(tmp_path / "lpips.pt", None, None, None)
    assert load_learned(None, None, None, None).described == {}

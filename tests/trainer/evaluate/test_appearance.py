"""Measures that see what people see: light, colour, sharpness, and LPIPS' own arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from trainer.evaluate.metrics.appearance import (
    brightness_shift,
    histogram_error,
    sharpness_ratio,
)
from trainer.evaluate.metrics.features import features_of
from trainer.evaluate.metrics.learned import Lpips, load_learned
from trainer.evaluate.metrics.reference import kid
from trainer.networks.lpips import CONVOLUTIONS, AlexLpips

RNG = np.random.default_rng(5)
FINE = np.kron(RNG.integers(40, 250, (3, 6, 8, 3)), np.ones((1, 6, 8, 1), int)).astype(np.uint8)


def blurred(frames: np.ndarray) -> np.ndarray:
    return np.mean([np.roll(frames, shift, 2) for shift in range(-4, 5)], axis=0).astype(np.uint8)


def test_a_clip_equals_itself():
    assert brightness_shift(FINE, FINE) == 0
    assert histogram_error(FINE, FINE) == 0
    assert sharpness_ratio(FINE, FINE) == 1


def test_a_clip_half_as_bright_is_seen():
    mean = float((FINE @ np.array([0.299, 0.587, 0.114])).mean() / 255)
    assert brightness_shift(FINE // 2, FINE) == pytest.approx(-mean / 2, abs=0.01)
    assert histogram_error(FINE // 2, FINE) > 0.4


def test_exchanged_colours_are_seen_and_moved_ones_are_not():
    assert histogram_error(FINE[..., ::-1], FINE) > 0.05
    assert histogram_error(np.roll(FINE, 9, axis=2), FINE) == 0


def test_blur_lowers_sharpness_and_a_flat_reference_has_none():
    ratio = sharpness_ratio(blurred(FINE), FINE)
    assert ratio is not None
    assert 0.2 < ratio < 0.9
    assert sharpness_ratio(FINE, np.full_like(FINE, 90)) is None


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A file with the names and shapes of the published one, and random values."""
    random = torch.Generator().manual_seed(7)
    sizes = [(64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3)]
    state = {}
    for layer, (name, (out, into, side)) in enumerate(zip(CONVOLUTIONS, sizes, strict=True)):
        scale = (2 / (into * side * side)) ** 0.5
        state[f"{name}.weight"] = torch.randn(out, into, side, side, generator=random) * scale
        state[f"{name}.bias"] = torch.zeros(out)
        state[f"lin{layer}.model.1.weight"] = torch.rand(1, out, 1, 1, generator=random)
    path = tmp_path_factory.mktemp("lpips") / "alex_shift_tolerant.pth"
    torch.save(state, path)
    return path


def test_lpips_is_zero_for_equals_and_grows_with_blur(weights):
    lpips = Lpips(weights)
    assert lpips(FINE, FINE) == 0
    noisy = np.clip(FINE.astype(int) + RNG.integers(-6, 7, FINE.shape), 0, 255).astype(np.uint8)
    assert 0 < lpips(noisy, FINE) < lpips(255 - FINE, FINE)
    assert "ST-LPIPS AlexNet alex_shift_tolerant.pth" in lpips.described


def test_the_pretrained_kid_grows_as_frames_darken(weights):
    """Frames of random gratings, at 1, 0.8 and 0.5 of their brightness."""
    extractor = load_learned(weights, None, None, None).pretrained
    assert extractor is not None
    frames = torch.randint(0, 256, (24, 3, 24, 32), generator=torch.Generator().manual_seed(2))
    vectors = [features_of(extractor, (frames * share).byte()) for share in (1.0, 0.8, 0.5)]
    assert vectors[0].shape == (24, 2304)
    layer = AlexLpips(weights).features(frames.float() / 127.5 - 1)[1].flatten(2)
    torch.testing.assert_close(vectors[0][:, 128:320], layer.mean(-1), atol=1e-4, rtol=1e-4)
    near, darker, dark = (kid(vectors[0], other)[0] for other in vectors)
    assert near < darker < dark


def test_lpips_has_a_gradient(weights):
    frames = torch.rand(1, 3, 48, 64, requires_grad=True)
    AlexLpips(weights)(frames, torch.rand(1, 3, 48, 64)).sum().backward()
    assert frames.grad is not None
    assert frames.grad.abs().sum() > 0


def test_another_file_is_refused(tmp_path):
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"no tensor 'net\.slice1\.0\.weight'"):
        AlexLpips(tmp_path / "other.pth")


def test_missing_package_names_the_command(monkeypatch):
    monkeypatch.setattr("trainer.networks.lpips.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install --no-deps stlpips-pytorch"):
        Lpips(Path("alex"))

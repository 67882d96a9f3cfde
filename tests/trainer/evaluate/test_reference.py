"""KID and FID against plain formulas, extractors and their hashes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from c2r.models.configs import DinoConfig
from c2r.models.dino import build_dino
from tests.trainer.evaluate import scenes
from trainer.evaluate.metrics.features import (
    DinoStatistics,
    ScriptedFeatures,
    features_of,
    weights_hash,
)
from trainer.evaluate.metrics.reference import fid, kid
from trainer.evaluate.videos import as_tensor

DINO = DinoConfig(hidden=24, mlp=32, layers=1, heads=2)


def synthetic(seed: int, count: int, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 5, generator=generator) + shift


def plain_kid(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased MMD squared with the kernel (x y / d + 1)^3, as sums over pairs."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    n, m = len(x), len(y)
    xx, yy = kernel(x, x), kernel(y, y)
    same = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return same - 2 * kernel(x, y).mean()


def test_kid_is_the_unbiased_mmd():
    x, y = synthetic(1, 40), synthetic(2, 40, 0.5)
    value, deviation = kid(x, y)
    assert value == pytest.approx(plain_kid(x.double().numpy(), y.double().numpy()), rel=1e-6)
    assert deviation == 0


def test_kid_of_one_distribution_is_about_zero_and_grows_with_distance():
    real = synthetic(3, 400)
    values = [kid(real, synthetic(4, 400, shift))[0] for shift in (0.0, 0.3, 1.0)]
    assert abs(values[0]) < 0.03
    assert values[0] < values[1] < values[2]
    assert abs(kid(real, real)[0]) < 0.05


def test_sets_of_unequal_size_are_drawn_from_the_same_way_each_time():
    state = torch.random.get_rng_state()
    first, second = (kid(synthetic(5, 60), synthetic(6, 30, 0.4)) for _ in range(2))
    assert first == second
    assert first[1] > 0
    assert torch.equal(state, torch.random.get_rng_state())


def test_fid_is_the_frechet_distance_of_gaussians():
    x, y = synthetic(7, 300).double(), (1.5 * synthetic(8, 300) + 0.5).double()
    means = [z.mean(0).numpy() for z in (x, y)]
    first, second = (np.cov(z.numpy().T) for z in (x, y))
    values, vectors = np.linalg.eigh(first)
    root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ second @ root)).sum()
    wanted = np.sum((means[0] - means[1]) ** 2) + np.trace(first) + np.trace(second) - 2 * cross
    assert fid(x, y) == pytest.approx(wanted, rel=1e-6)
    assert fid(x, x) == pytest.approx(0, abs=1e-6)


def test_sets_that_cannot_be_compared():
    with pytest.raises(ValueError, match="at least 2"):
        kid(synthetic(1, 1), synthetic(2, 9))
    with pytest.raises(ValueError, match="wide"):
        fid(synthetic(1, 9), synthetic(2, 9)[:, :3])


def test_dino_statistics_tell_hours_apart():
    extractor = DinoStatistics(build_dino(DINO, (3, 4), seed=1), None).eval()
    walls = [scenes.make_wall(seed) for seed in range(6)]
    day, other_day, night = (
        torch.cat(
            [features_of(extractor, as_tensor(scenes.fine_frames(w, hour, "clear"))) for w in part]
        )
        for part, hour in ((walls[:3], "noon"), (walls[3:], "noon"), (walls[3:], "night"))
    )
    assert day.shape == (3 * scenes.FRAMES, 48)
    assert kid(day, night)[0] > 3 * abs(kid(day, other_day)[0])


def test_the_hash_is_that_of_the_weights():
    first, again, other = (build_dino(DINO, (3, 4), seed=seed) for seed in (1, 1, 2))
    assert weights_hash(first) == weights_hash(again) != weights_hash(other)
    assert len(weights_hash(first)) == 16


class ThirdsMean(torch.nn.Module):
    """A plain extractor: mean colour of each third of the picture."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(frames.float(), (1, 3)).flatten(1)


class Wrong(torch.nn.Module):
    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.float()


def test_any_torchscript_extractor(tmp_path):
    torch.jit.script(ThirdsMean()).save(str(tmp_path / "thirds.pt"))
    torch.jit.script(Wrong()).save(str(tmp_path / "wrong.pt"))
    frames = as_tensor(scenes.coarse_frames(scenes.make_wall(1)))
    found = features_of(ScriptedFeatures(tmp_path / "thirds.pt"), frames)
    assert torch.allclose(found, ThirdsMean()(frames), atol=1e-4)
    with pytest.raises(ValueError, match=r"\[N, d\]"):
        features_of(ScriptedFeatures(tmp_path / "wrong.pt"), frames)
    with pytest.raises(ValueError, match="there is no"):
        ScriptedFeatures(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(ValueError, match="no TorchScript"):
        ScriptedFeatures(tmp_path / "text.pt")

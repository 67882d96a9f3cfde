"""CFG and APG against their formulas, worked out here in float64 with numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from c2r.streaming.guidance import GuidanceConfig, Momentum, Predictions, apg, cfg

SHAPE = (2, 3, 4, 5, 6)


def random_arrays(seed: int, count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal(size=SHAPE) for _ in range(count)]


def predictions(arrays: list[np.ndarray]) -> Predictions:
    return Predictions(*(torch.from_numpy(array).float() for array in arrays))


def test_cfg():
    v00, vc0, vct = random_arrays(0, 3)
    got = cfg(predictions([v00, vc0, vct]), GuidanceConfig("cfg", 1.5, 4.0))
    expected = v00 + 1.5 * (vc0 - v00) + 4.0 * (vct - vc0)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-4)


def projected(difference: np.ndarray, reference: np.ndarray, eta: float, threshold: float | None):
    """Sample by sample: shorten, then keep the orthogonal part and eta of the parallel one."""
    made = []
    for one, base in zip(difference, reference, strict=True):
        length = np.sqrt((one**2).sum())
        if threshold is not None and length > threshold:
            one = one * threshold / length
        axis = base / np.sqrt((base**2).sum())
        along = (one * axis).sum() * axis
        made.append((one - along) + eta * along)
    return np.stack(made)


@pytest.mark.parametrize(
    ("eta", "momentum", "threshold"), [(0.0, -0.5, None), (0.3, -0.75, 2.0), (1.0, 0.0, None)]
)
def test_apg_over_three_steps(eta, momentum, threshold):
    config = GuidanceConfig("apg", 1.3, 7.0, eta, momentum, threshold)
    state, run_c, run_t = Momentum(), np.zeros(SHAPE), np.zeros(SHAPE)
    for step, level in enumerate((1.0, 0.8, 0.3)):
        x, v00, vc0, vct = random_arrays(step + 1, 4)
        got, state = apg(
            torch.from_numpy(x).float(), predictions([v00, vc0, vct]), level, state, config
        )
        x00, xc0, xct = (x - level * v for v in (v00, vc0, vct))
        run_c, run_t = (xc0 - x00) + momentum * run_c, (xct - xc0) + momentum * run_t
        guided = x00 + 1.3 * projected(run_c, xc0, eta, threshold)
        guided = guided + 7.0 * projected(run_t, xct, eta, threshold)
        expected = (x - guided) / level
        np.testing.assert_allclose(got.numpy(), expected, atol=2e-4, rtol=2e-4)


def test_apg_with_whole_parallel_and_no_momentum_is_cfg():
    x, *velocities = random_arrays(9, 4)
    config = GuidanceConfig("apg", 1.5, 4.0, eta=1.0, momentum=0.0)
    got, _ = apg(torch.from_numpy(x).float(), predictions(velocities), 0.6, Momentum(), config)
    torch.testing.assert_close(got, cfg(predictions(velocities), config), atol=1e-4, rtol=1e-4)


def test_unknown_kind():
    with pytest.raises(ValueError, match="'none', 'cfg' or 'apg'"):
        GuidanceConfig("pag")

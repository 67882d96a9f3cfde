"""CFG and APG against their formulas, worked out here in float64 with numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from c2r.streaming.guidance import GuidanceConfig, Momentum, Predictions, apg, cfg, rescaled

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
        guided = x00 + (xc0 - x00) + (1.3 - 1) * projected(run_c, xc0, eta, threshold)
        guided = guided + (xct - xc0) + (7.0 - 1) * projected(run_t, xct, eta, threshold)
        expected = (x - guided) / level
        np.testing.assert_allclose(got.numpy(), expected, atol=2e-4, rtol=2e-4)


def test_apg_at_scales_of_one_is_the_prediction_with_text_and_control():
    x, *velocities = random_arrays(8, 4)
    config = GuidanceConfig("apg", 1.0, 1.0, eta=0.3, momentum=-0.5, norm_threshold=1.0)
    state = Momentum()
    for level in (1.0, 0.4):
        given = predictions(velocities)
        got, state = apg(torch.from_numpy(x).float(), given, level, state, config)
        assert torch.equal(got, given.both)


def test_apg_with_whole_parallel_and_no_momentum_is_cfg():
    x, *velocities = random_arrays(9, 4)
    config = GuidanceConfig("apg", 1.5, 4.0, eta=1.0, momentum=0.0)
    got, _ = apg(torch.from_numpy(x).float(), predictions(velocities), 0.6, Momentum(), config)
    torch.testing.assert_close(got, cfg(predictions(velocities), config), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_rescaled_has_the_brightness_and_contrast_of_the_unguided_prediction(share):
    x, guided, both = random_arrays(4, 3)
    levels = np.array([0.9, 0.3]).reshape(2, 1, 1, 1, 1)
    float_x, float_guided, float_both, level = (
        torch.from_numpy(part).float() for part in (x, guided, both, levels)
    )
    got = rescaled(float_x, float_guided, float_both, level, share)
    clean, aim = x - levels * guided, x - levels * both
    for sample in range(2):
        for channel in range(SHAPE[2]):
            one, wanted = clean[sample, :, channel], aim[sample, :, channel]
            matched = (one - one.mean()) / one.std(ddof=1) * wanted.std(ddof=1) + wanted.mean()
            clean[sample, :, channel] = share * matched + (1 - share) * one
    np.testing.assert_allclose(got.numpy(), (x - clean) / levels, atol=2e-4, rtol=2e-4)


def test_what_is_clean_already_is_left_alone():
    x, guided, both = (torch.from_numpy(part).float() for part in random_arrays(6, 3))
    levels = torch.tensor([0.0, 0.4]).reshape(2, 1, 1, 1, 1)
    got = rescaled(x, guided, both, levels, 0.7)
    assert torch.equal(got[0], guided[0])
    torch.testing.assert_close(got[1:], rescaled(x[1:], guided[1:], both[1:], 0.4, 0.7))


def test_only_levels_of_the_interval_are_guided():
    config = GuidanceConfig("cfg", interval=(0.2, 0.6))
    assert [config.active(level) for level in (0.1, 0.2, 0.5, 0.6, 0.7)] == [
        False,
        *3 * [True],
        False,
    ]
    assert not GuidanceConfig("none").active(0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rescale": 1.5}, "rescale is 1.5; it must be 0 to 1"),
        ({"interval": (0.6, 0.2)}, "interval is 0.6 to 0.2; give two noise levels"),
        ({"interval": (0.0, 2.0)}, "interval is 0.0 to 2.0"),
        ({"norm_threshold": 0.0}, "norm_threshold is 0.0; give a length above 0, or null"),
        ({"kind": "cfg", "norm_threshold": 1.0}, "shortens the differences of apg, not of cfg"),
        ({"kind": "none", "rescale": 0.5}, "kind is none: leave it out"),
        ({"eta": float("nan")}, "eta is nan; give a finite number"),
        ({"text_scale": float("inf")}, "text_scale is inf; give a finite number"),
    ],
)
def test_limits_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        GuidanceConfig(**settings)


def test_unknown_kind():
    with pytest.raises(ValueError, match="'none', 'cfg' or 'apg'"):
        GuidanceConfig("pag")

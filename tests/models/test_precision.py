"""Half precision where it pays."""

from __future__ import annotations

from itertools import accumulate, chain, cycle

import pytest
import torch

from c2r.config import override
from c2r.kernels import race
from c2r.models import precision
from c2r.models.build import tune_for_cpu
from c2r.models.precision import multiplies_bfloat16
from c2r.models.presets import get_preset
from c2r.weights.renderer import seeded_networks


@pytest.mark.parametrize(
    ("bf16", "amx", "gain", "expected"),
    [
        (True, False, 4.0, True),
        (True, False, 0.5, False),
        (False, True, 8.0, True),
        (False, False, 4.0, False),
    ],
)
def test_which_devices_multiply_in_bfloat16(bf16, amx, gain, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(precision, "bfloat16_gain", lambda: gain)
    assert multiplies_bfloat16(torch.device("cpu")) == expected
    assert multiplies_bfloat16(torch.device("cuda"))


def test_the_gain_is_that_of_the_clock(monkeypatch):
    # float32 takes 3 s in every turn, bfloat16 2 s.
    readings = accumulate(chain([0], cycle([3, 10, 2, 10])))
    monkeypatch.setattr(race.time, "perf_counter", lambda: next(readings))
    precision.bfloat16_gain.cache_clear()
    assert precision.bfloat16_gain() == 1.5
    precision.bfloat16_gain.cache_clear()


@pytest.mark.parametrize("kind", ["adapter", "controlnet"])
def test_tuned_networks_give_nearly_the_same(kind):
    change = {"control": {"kind": kind}, "width": 64, "height": 48}
    preset = override(get_preset("tiny"), change)
    exact, tuned = (seeded_networks(preset, 0) for _ in range(2))
    assert tune_for_cpu(tuned) is tuned
    assert tuned.dit.dtype == tuned.vae.dtype == torch.bfloat16
    assert tuned.dit.time_embedding[0].weight.dtype == torch.float32
    assert list(tuned.dit.state_dict()) == list(exact.dit.state_dict())
    frames, found = torch.rand(1, 5, 3, 48, 64), []
    for networks in (exact, tuned):
        assert networks.control is not None
        tokens, _ = networks.control.tokens(networks.dino(frames))
        found.append(tokens.float())
    off = (found[1] - found[0]).norm() / found[0].norm()
    assert 1e-5 < off < (5e-3 if kind == "adapter" else 2e-2)

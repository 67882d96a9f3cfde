"""Dry runs: the 14B table against known sizes, refusals that name a setting, the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from c2r.__main__ import run
from trainer.dry_run import check_fits, planned
from trainer.phases import read_settings

CONFIGS = Path(__file__).resolve().parents[2] / "trainer" / "configs"


def config_of(name: str, *arguments: str):
    return read_settings(CONFIGS / f"{name}.yaml", ["--start.folder", "null", *arguments])


def test_14b_state_is_as_published():
    """About 225 to 250 GB for the whole DiT: the middle, give or take 15 %."""
    config = config_of("align_14b_8x80gb")
    found = planned(config)
    assert found.state_bytes / 1e9 == pytest.approx((225 + 250) / 2, rel=0.15)
    assert found.tokens_clip == 32_760
    assert found.tokens_step == 32 * 32_760
    memory = found.memory
    shares = memory.masters + memory.gradients + memory.adam
    assert shares * 8 == pytest.approx(found.state_bytes)
    check_fits(config, found)


def test_phase_2_trains_the_published_numbers_of_parameters():
    assert planned(config_of("ground_14b_8x80gb")).trained == pytest.approx(44e6, rel=0.02)
    assert planned(config_of("ground_1.3b")).trained == pytest.approx(9.4e6, rel=0.02)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*_*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_fits_what_it_names(path):
    if path.stem.startswith(("align", "ground", "joint")):
        config = config_of(path.stem)
        check_fits(config, planned(config))


def test_what_cannot_fit_is_refused_by_setting():
    whole = replace(config_of("align_14b_1x141gb"), lora=None)
    with pytest.raises(ValueError, match=r"parallel\.shard.*lora\.rank"):
        check_fits(whole, planned(whole))
    for setting, words in (
        ("--parallel.recompute=false", r"parallel\.recompute"),
        ("--micro_batch=8", "micro_batch"),
    ):
        config = config_of("ground_14b_1x141gb", setting, "--data.frames=81")
        with pytest.raises(ValueError, match=words):
            check_fits(config, planned(config))
    with pytest.raises(ValueError, match=r"parallel\.context 3 does not divide the 40 heads"):
        planned(config_of("align_14b_8x80gb", "--parallel.context=3", "--hardware.gpus=6"))


def test_the_command_prints_and_refuses(capsys):
    file = str(CONFIGS / "align_1.3b.yaml")
    assert run(["train", "--config", file, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "1,418,996,800" in shown
    assert "22.70 GB" in shown
    assert run(["train", "--config", file, "--dry-run", "--hardware.memory_gb", "24"]) == 2
    assert "hardware.memory_gb" in capsys.readouterr().err
    assert run(["train", "--config", file, "--optim.lrr", "3"]) == 2
    assert "unknown key 'optim.lrr'" in capsys.readouterr().err

"""The README's first training run: on what ships, it ends with a renderer."""

from __future__ import annotations

from pathlib import Path

from c2r.weights.renderer import read_renderer
from tests.trainer.small_run import losses
from trainer.command import train
from trainer.phases import read_settings

ROOT = Path(__file__).parents[2]
CONFIG = Path("trainer/configs/post_train_first.yaml")


def test_the_readme_trains_with_it():
    assert f"c2r train --config {CONFIG}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_of_the_shipped_renderers_shape():
    preset, _ = read_renderer(ROOT / "assets" / "tiny")
    assert read_settings(ROOT / CONFIG).model == preset


def test_it_ends_with_a_renderer(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    less = ["--steps", "1", "--log.sample_every", "0", "--folder", str(tmp_path)]
    train(read_settings(CONFIG, less))
    assert len(losses(tmp_path)) == 1
    preset, paths = read_renderer(tmp_path / "renderer")
    assert preset.output_size == (512, 288)
    assert paths.absent == ()

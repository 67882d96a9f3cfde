"""Flow matching: what is noised, what is to be learned, and what dropout takes away in a phase."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.trainer.small_run import changes, make_clips, make_renderer
from trainer.data.batch import collate
from trainer.data.loader import open_clips
from trainer.dist.parallel import close_world, open_world
from trainer.phases import load_phase, phase_settings
from trainer.phases.flow_matching import noised, sample_losses
from trainer.phases.settings import FlowConfig


def test_the_target_leads_from_noise_to_the_clean_latents():
    clean = torch.randn(3, 2, 4, 6, 8)
    made = noised(clean, (5, 6, 7), FlowConfig(shift=3.0), seed=1)
    level = made.levels[:, None, None, None, None]
    assert torch.allclose(made.x - level * made.target, clean, atol=1e-5)
    noise = made.x + (1 - level) * made.target
    assert torch.allclose(made.target, noise - clean, atol=1e-5)
    assert noise.mean().abs() < 0.1
    assert noise.std() == pytest.approx(1.0, abs=0.1)
    assert not noise[0].equal(noise[1])
    again = noised(clean[:1], (5,), FlowConfig(shift=3.0), seed=1)
    assert again.x[0].equal(made.x[0]), "by the sample's own number, whatever its batch"
    assert made.timesteps.equal(1000 * made.levels)


def test_the_loss_is_each_samples_mean_square():
    target = torch.zeros(2, 1, 2, 2, 2)
    found = sample_losses(torch.stack([torch.ones(1, 2, 2, 2), 3 * torch.ones(1, 2, 2, 2)]), target)
    assert found.tolist() == [1.0, 9.0]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("flow")
    make_renderer(made / "renderer")
    make_clips(made / "clips")
    return made


def phase_losses(root, phase: str, caption: str | None = None, **data: float) -> torch.Tensor:
    """The losses of four clips, all with `caption` where one is given."""
    start = {"folder": str(root / "renderer")}
    more = changes(root, root / "clips" / "manifest.jsonl", phase, start=start, data=data)
    config = phase_settings(more)
    world = open_world(config.parallel, "cpu")
    try:
        made = load_phase(config.phase)(config, world)
        opened = open_clips(config)
        samples = [
            opened.reader.read(clip, draw, control=made.needs_control)
            for draw, clip in enumerate(opened.clips[:4])
        ]
        batch = collate(samples)
        if caption is not None:
            batch = replace(batch, captions=(caption,) * 4)
        with torch.no_grad():
            return made.losses(batch, 0).samples
    finally:
        close_world()


def test_a_dropped_prompt_is_the_empty_one(root):
    kept = phase_losses(root, "align", text_dropout=0.0, joint_dropout=0.0)
    dropped = phase_losses(root, "align", text_dropout=1.0, joint_dropout=0.0)
    empty = phase_losses(root, "align", caption="", text_dropout=0.0, joint_dropout=0.0)
    assert torch.allclose(dropped, empty)
    assert not torch.allclose(kept, dropped, atol=1e-6)


def test_dropped_together_phase_2_sees_what_phase_1_sees(root):
    kept = phase_losses(root, "ground", text_dropout=0.0, joint_dropout=0.0)
    dropped = phase_losses(root, "ground", text_dropout=0.0, joint_dropout=1.0)
    plain = phase_losses(root, "align", text_dropout=1.0, joint_dropout=0.0)
    assert torch.allclose(dropped, plain, atol=1e-6)
    assert not torch.allclose(kept, dropped, atol=1e-6)

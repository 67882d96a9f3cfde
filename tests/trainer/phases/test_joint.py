"""Phase joint: DiT and control train together, its loss, and samples at pure noise."""

from __future__ import annotations

import pytest
import torch

from tests.trainer.small_run import changes, losses, make_clips, make_renderer
from trainer.command import train
from trainer.networks.start import Start
from trainer.phases import phase_settings
from trainer.phases.flow_matching import draw_levels, flow_losses, noised
from trainer.phases.settings import FlowConfig


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("joint")
    make_renderer(made / "renderer")
    make_clips(made / "clips", real=2, cg=2)
    return made


def settings(root, folder, **more):
    start = {"folder": str(root / "renderer")}
    manifest = root / "clips" / "manifest.jsonl"
    return phase_settings(changes(folder, manifest, "joint", start=start, **more))


def test_the_loss_of_clean_latents_is_their_error():
    torch.manual_seed(0)
    clean = torch.randn(3, 2, 4, 6, 8)
    noisy = noised(clean, (5, 6, 7), FlowConfig(), seed=1)
    velocity = torch.randn_like(clean)
    wrong = noisy.x - noisy.levels[:, None, None, None, None] * velocity - clean
    by_hand = torch.stack([row.square().mean() for row in wrong])
    found = flow_losses(velocity, noisy.target, noisy.levels, FlowConfig(loss="clean"))
    torch.testing.assert_close(found, by_hand, rtol=1e-4, atol=1e-5)
    by_latent = flow_losses(
        velocity, noisy.target, noisy.levels[:, None].expand(-1, 2), FlowConfig(loss="clean")
    )
    torch.testing.assert_close(by_latent, found)
    plain = flow_losses(velocity, noisy.target, noisy.levels, FlowConfig())
    squares = torch.stack([row.square().mean() for row in velocity - noisy.target])
    torch.testing.assert_close(plain, squares)


def test_a_share_of_the_samples_is_pure_noise_and_the_others_stay_as_they_are():
    draws = range(400)
    before = draw_levels(FlowConfig(shift=1.0), 0, draws)
    some = draw_levels(FlowConfig(shift=1.0, pure_noise=0.5), 0, draws)
    pure = some == 1
    assert 150 < pure.sum() < 250
    assert some[~pure].equal(before[~pure])
    assert draw_levels(FlowConfig(pure_noise=1.0), 0, draws).eq(1).all()


def test_dit_and_control_learn_the_rest_stays(root, tmp_path):
    flow = {"loss": "clean", "pure_noise": 0.5, "shift": 1.0}
    config = settings(root, tmp_path / "run", flow=flow, steps=30, batch=4, micro_batch=4)
    train(config)
    found = losses(tmp_path / "run")
    assert sum(found[-8:]) < 0.9 * sum(found[:8])
    after = Start(phase_settings({"start": {"folder": str(tmp_path / "run" / "renderer")}}))
    before = Start(phase_settings({"start": {"folder": str(root / "renderer")}}))
    dits = after.dit(), before.dit()
    assert all(not torch.equal(a, b) for a, b in zip(*(d.parameters() for d in dits), strict=True))
    steering = after.control(dits[0]), before.control(dits[1])
    pairs = zip(*(one.parameters() for one in steering), strict=True)
    assert all(not torch.equal(a, b) for a, b in pairs)
    vaes = (after.vae(), before.vae())
    assert all(torch.equal(a, b) for a, b in zip(*(v.parameters() for v in vaes), strict=True))


def test_it_needs_a_control_network(root, tmp_path):
    with pytest.raises(ValueError, match=r"phase joint .* model\.control\.kind is none"):
        train(settings(root, tmp_path, model={"control": {"kind": "none"}}))

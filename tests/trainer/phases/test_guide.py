"""Phase guide: what trains, what is decoded, aligned crops, its record, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from c2r.weights.renderer import load_networks, read_renderer
from tests.trainer.phases.conftest import FRAMES, MODEL, SCALE, settings
from tests.trainer.small_run import HEIGHT, WIDTH, losses
from trainer.command import train
from trainer.data.loader import Prefetcher
from trainer.dist.parallel import close_world, open_world
from trainer.distill.rollout_plan import RolloutPlan
from trainer.loop import Loop, open_dataset
from trainer.networks.start import Start
from trainer.phases import load_phase, phase_settings

SMALL = {"pixels": {"crop": 64, "looked_at": 1}, "judge": {"width": 8, "every": 2}}


def config_of(folder, pairs, student, **more):
    guide = SMALL | {"streamed": str(folder.parent / "streamed")} | more.pop("guide", {})
    return phase_settings(settings(folder, pairs, "guide", student, guide=guide, **more))


@pytest.fixture
def loop_of(pairs, student, tmp_path, open_loop):
    return lambda **more: open_loop(config_of(tmp_path / "run", pairs, student, **more))


def step(loop: Loop, count: int) -> None:
    ahead = Prefetcher(loop.dataset, loop.draws, start=0, depth=0, workers=1)
    for _ in range(count):
        loop.train_step(ahead)
        loop.step += 1


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_decoder_and_guide_learn_the_encoder_stays(loop_of, precision):
    loop = loop_of(precision=precision, steps=4)
    network = loop.phase.network
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    step(loop, 4)
    after = dict(network.named_parameters())
    still = {name for name in before if torch.equal(before[name], after[name].detach())}
    assert still == {name for name in before if name.startswith("encoder")}
    assert any(name.startswith("guide.") for name in after)


@pytest.mark.parametrize(
    "guide",
    [
        pytest.param(MODEL["vae"]["guide"], id="added"),
        pytest.param(
            {"scale": SCALE, "unshuffle": 4, "widths": [8, 8, 8], "form": "unet"}, id="unet"
        ),
    ],
)
def test_the_loss_falls_and_the_renderer_has_the_new_decoder(pairs, student, tmp_path, guide):
    log = {"sample_every": 20, "sample_clips": 1}
    model = MODEL | {"vae": {"guide": guide}}
    plain = {"judge": {"weight": 0.0}}
    folder = tmp_path / "run"
    config = config_of(folder, pairs, student, steps=40, guide=plain, log=log, model=model)
    train(config)
    found = losses(tmp_path / "run")
    assert sum(found[-8:]) < 0.9 * sum(found[:8])
    preset, paths = read_renderer(tmp_path / "run" / "renderer")
    assert preset.output_size == (SCALE * WIDTH, SCALE * HEIGHT)
    made = load_networks(preset, paths)
    assert made.random_parts == ()
    alone = Start(
        phase_settings(
            {
                "start": {"vae": str(tmp_path / "run" / "vae.safetensors")},
                "model": model,
            }
        )
    ).vae()
    pairs_of = zip(alone.state_dict().values(), made.vae.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs_of)
    assert list((tmp_path / "run" / "samples").glob("*.mp4"))


def test_a_stopped_run_goes_on_with_the_same_losses(pairs, student, tmp_path):
    train(config_of(tmp_path / "whole", pairs, student, steps=6))
    half = config_of(tmp_path / "half", pairs, student, steps=6, checkpoint={"every": 3})
    loop = None
    world = open_world(half.parallel, "cpu")
    try:
        phase = load_phase("guide")(half, world)
        loop = Loop(half, phase, world, open_dataset(half, phase))
        loop.config = replace(half, steps=3)  # the judge's turns are those of the whole run
        loop.run()
    finally:
        close_world()
    train(half)
    assert losses(tmp_path / "half") == losses(tmp_path / "whole")


def test_a_student_streams_each_clip_once(loop_of, monkeypatch):
    loop = loop_of(guide={"student_share": 1.0})
    phase = loop.phase
    batch = loop.dataset.batch([0, 1])
    calls = []
    roll = type(phase.streamed._student.denoiser).roll

    def counted(self, *arguments, **named):
        calls.append(1)
        return roll(self, *arguments, **named)

    monkeypatch.setattr(type(phase.streamed._student.denoiser), "roll", counted)
    first = phase.latents(batch)
    again = phase.latents(batch)
    assert len(calls) == len(set(batch.clips))
    assert first.equal(again)
    # By hand: the clip's coarse frames, averaged, through the student's own parts.
    clip = phase.clips[batch.clips[0]]
    assert batch.control is not None
    coarse = F.avg_pool2d(batch.control[0].float() / 255, SCALE)
    student = phase.streamed._student
    with torch.no_grad():
        expected = roll(
            student.denoiser,
            phase.streamed.start.preset,
            RolloutPlan(3, range(0)),
            [0],
            student.text.encode([clip.caption]),
            features=student.dino(coarse[None]),
            strength=torch.ones(1),
        )[0]
    torch.testing.assert_close(first[0], expected, atol=2e-2, rtol=1e-3)


def test_a_window_in_the_middle_has_the_streams_latents_of_its_frames(loop_of):
    loop = loop_of(data={"frames": 5}, guide={"student_share": 1.0})
    starts = set()
    for draw in range(8):
        batch = loop.dataset.batch([draw])
        found = loop.phase.latents(batch)
        assert found.shape[1] == 2
        whole = loop.phase.streamed.of(loop.phase.clips[batch.clips[0]], lambda: None)
        first = batch.starts[0] // 4
        assert found[0].equal(whole[first : first + 2])
        starts.add(batch.starts[0])
    assert starts == {0, 4}


def test_crops_of_everything_show_the_same_place(loop_of):
    """A decoder that repeats its latent's place, on frames that hold their own pixel's place."""
    loop = loop_of(guide={"student_share": 0.0, "dropout": 0.0})
    phase, batch = loop.phase, loop.dataset.batch([0, 1])
    height, width = SCALE * HEIGHT, SCALE * WIDTH
    rows = torch.arange(height)[:, None].expand(height, width)
    columns = torch.arange(width).expand(height, width)
    place = torch.stack([rows, columns, rows])[None, None].expand(2, FRAMES, -1, -1, -1)
    place = place.to(torch.uint8)
    step_ = 8 * SCALE
    motion = (place[:, :, :2].float() / 255).half()
    batch = replace(batch, frames=place, control=place, motion=motion)
    latents = (place[:, ::4, :, ::step_, ::step_].float() / 255).repeat(1, 1, 6, 1, 1)[:, :, :16]
    phase.latents = lambda batch: latents
    seen_by = []

    class Repeat:
        def decode(self, x, guide, strength):
            seen_by.append(strength)
            up = x[:, :, :3].repeat_interleave(step_, 3).repeat_interleave(step_, 4)
            return up.repeat_interleave(4, 1)[:, 3:]

    network = phase.network
    network.decode = Repeat().decode
    seen = phase.seen(batch)
    assert seen.fine.equal(seen.coarse)
    assert torch.allclose(seen.motion.float(), seen.fine[:, :, :2], atol=1e-3)
    inside = seen.fine - seen.output  # the place within a latent's own pixels
    assert inside.min() >= -1e-6
    assert inside.max() <= (step_ - 1) / 255 + 1e-6
    assert seen.fine.shape[-2:] == (64 - step_, 64 - step_)
    assert seen_by[0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"data": {"cg_ratio": 0.5}}, r"data\.cg_ratio to 1"),
        ({"model": {"vae": {"guide": None}}}, r"set model\.vae\.guide"),
        ({"guide": {"pixels": {"crop": 60}}}, "make it 64"),
        ({"guide": {"judge": {"every": 1}}}, r"judge\.every is 1"),
        ({"start": {"folder": None}}, r"name guide\.student"),
    ],
)
def test_settings_that_it_cannot_have(pairs, student, tmp_path, more, words):
    with pytest.raises(ValueError, match=words):
        train(config_of(tmp_path / "run", pairs, student, **more))

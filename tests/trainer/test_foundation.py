"""The phases that make the small renderer's own VAE, DINO and text encoder."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from c2r.models.configs import TinyVAEConfig
from c2r.models.pixels import averaged
from c2r.models.presets import get_preset
from c2r.models.text import build_text
from c2r.models.tiny_vae import TinyVAE
from tests.trainer.small_run import ROOT, changes, losses, make_clip, make_clips
from trainer.command import train
from trainer.data.manifest import write_manifest
from trainer.networks.start import Start, encoder_hash
from trainer.phases import phase_settings
from trainer.phases.autoencode import gradient_loss, initialise_linear, moment_loss
from trainer.phases.train_dino import spread_loss
from trainer.phases.train_text import (
    WORD_WEIGHT,
    WORDS,
    attend_to_previous_bytes,
    shortened,
    word_loss,
    word_places,
)

STREET = ROOT / "assets" / "street" / "manifest.jsonl"
WRITTEN = {"autoencode": "vae.safetensors", "train_dino": "dino", "train_text": "text"}
PART = {"autoencode": "vae", "train_dino": "dino", "train_text": "text"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Clips whose captions say different things."""
    folder = tmp_path_factory.mktemp("clips")
    make_clips(folder)
    skies = ("noon, clear", "night, rain", "dawn, fog", "sunset, snow")
    clips = [
        replace(make_clip(folder, f"clip{n}", "cg"), caption=f"a street, {sky}")
        for n, sky in enumerate(skies)
    ]
    write_manifest(folder / "manifest.jsonl", clips)
    return folder / "manifest.jsonl"


def settings(folder, manifest, phase, **more):
    crop = {"autoencode": {"crop": 32}} if phase == "autoencode" else {}
    more = {"data": {"cg_ratio": 1.0}, **crop, **more}
    return phase_settings(changes(folder, manifest, phase, **more))


@pytest.mark.parametrize("phase", list(WRITTEN))
def test_what_a_phase_writes_is_where_the_next_begins(tmp_path, manifest, phase):
    config = settings(tmp_path / "run", manifest, phase, steps=2)
    train(config)
    path = str(tmp_path / "run" / WRITTEN[phase])
    part = PART[phase]
    after = phase_settings(
        changes(tmp_path / "next", manifest, "align", start={part: path}, data={"cg_ratio": 0.5})
    )
    made, fresh = (getattr(Start(c), part)() for c in (after, config))
    if part == "vae":
        pairs = zip(made.parameters(), fresh.parameters(), strict=True)
    else:
        pairs = zip(made.model.parameters(), fresh.model.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)
    if part == "text":
        assert made.encode(["night, rain"]).shape == fresh.encode(["night, rain"]).shape


@pytest.mark.parametrize("phase", list(WRITTEN))
def test_a_stopped_run_goes_on_with_the_same_losses(tmp_path, manifest, phase):
    train(settings(tmp_path / "whole", manifest, phase, steps=4))
    log = {"sample_every": 1, "sample_clips": 1, "monitor_clips": 0}  # samples change nothing
    half = settings(tmp_path / "half", manifest, phase, steps=4, checkpoint={"every": 2}, log=log)
    train(replace(half, steps=2))
    train(half)
    assert losses(tmp_path / "half") == losses(tmp_path / "whole")


def test_the_vae_learns_to_repeat_what_it_sees(tmp_path):
    config = settings(
        tmp_path / "run", STREET, "autoencode", steps=50, optim={"lr": 5e-3}, data={"cg_ratio": 0.5}
    )
    train(config)
    found = losses(tmp_path / "run")
    assert sum(found[-10:]) < 0.95 * sum(found[:10])


def test_captions_find_their_clips(tmp_path, manifest):
    """Four clips, so that guessing has a loss of log 4."""
    config = settings(
        tmp_path / "run",
        manifest,
        "train_text",
        steps=45,
        batch=4,
        micro_batch=4,
        optim={"lr": 1e-2},
    )
    train(config)
    found = losses(tmp_path / "run")
    assert sum(found[-5:]) / 5 < 0.7 * (math.log(4) + WORD_WEIGHT * math.log(2))


def test_tokens_of_both_views_come_together(tmp_path, manifest):
    config = settings(tmp_path / "run", manifest, "train_dino", steps=25)
    train(config)
    found = losses(tmp_path / "run")
    assert sum(found[-5:]) < 0.9 * sum(found[:5])


def test_losses_are_those_of_their_formulas():
    torch.manual_seed(0)
    made, wanted = (torch.rand(2, 3, 3, 4, 5) for _ in range(2))
    by_hand = [
        sum(
            (a - b).abs().mean()
            for a, b in (
                (x[..., 1:] - x[..., :-1], y[..., 1:] - y[..., :-1]),
                (x[..., 1:, :] - x[..., :-1, :], y[..., 1:, :] - y[..., :-1, :]),
                (x[1:] - x[:-1], y[1:] - y[:-1]),
            )
        )
        for x, y in zip(made, wanted, strict=True)
    ]
    torch.testing.assert_close(gradient_loss(made, wanted), torch.stack(by_hand))
    latents = torch.randn(3, 2, 4, 5, 6, dtype=torch.float64)
    squares = latents.square().mean((0, 1, 3, 4))
    assert moment_loss(latents / squares.max().sqrt()) < 1e-9
    wide = latents / squares.sqrt()[:, None, None] * torch.tensor([0.5, 1, 1, 3])[:, None, None]
    torch.testing.assert_close(moment_loss(wide).item(), math.log(9) ** 2 / 4, rtol=1e-4, atol=0)
    torch.testing.assert_close(
        averaged(latents, 2)[1, 0, 2, 1, 2], latents[1, 0, 2, 2:4, 4:6].mean()
    )
    rows = torch.randn(64, 6, dtype=torch.float64)
    variance, covariance = spread_loss(rows)
    square = torch.cov(rows.T)
    torch.testing.assert_close(
        covariance, (square.square().sum() - square.diagonal().square().sum()) / 6
    )
    torch.testing.assert_close(variance, F.relu(1 - (rows.var(0) + 1e-4).sqrt()).mean())


def test_a_shortened_caption_keeps_whole_phrases_of_its_own():
    import random

    caption = "a street at night, rain, tall brick houses, a crowd"
    whole = caption.split(", ")
    drawn = {shortened(caption, random.Random(seed)) for seed in range(40)}
    assert len(drawn) > 5
    for text in drawn:
        phrases = text.split(", ")
        assert phrases == [phrase for phrase in whole if phrase in phrases]


@pytest.mark.parametrize(
    ("phase", "more", "said"),
    [
        ("autoencode", {"data": {"manifest": None, "cache": "somewhere"}}, "data.manifest"),
        ("train_text", {"micro_batch": 1}, "micro_batch 2"),
        ("train_dino", {"lora": {"rank": 4}}, r"lora\.rank belongs to phase align"),
    ],
)
def test_what_a_phase_cannot_do_is_said(tmp_path, manifest, phase, more, said):
    with pytest.raises(ValueError, match=said):
        train(settings(tmp_path / "run", manifest, phase, **more))


def test_a_vae_with_linear_paths_begins_at_the_best_linear_one():
    """Clips of as many components as it has channels come back whole, before it has learnt."""
    torch.manual_seed(3)
    config = get_preset("tiny").vae
    assert isinstance(config, TinyVAEConfig)
    config = replace(config, encoder_width=8, decoder_widths=(12, 8, 8))
    assert config.linear
    # Still within a latent, as the first one always is.
    parts = 0.05 * torch.randn(config.channels, 1, 3, 8, 8).expand(-1, 4, -1, -1, -1)
    blocks = torch.randn(8, 3, 8, 12, config.channels) @ parts.flatten(1) / 4  # [B, T, h, w, D]
    pixels = blocks.unflatten(4, (4, 3, 8, 8)).permute(0, 1, 4, 5, 2, 6, 3, 7)
    clips = 0.5 + pixels.reshape(8, 12, 3, 64, 96)[:, 3:]
    shown = (255 * clips).round().to(torch.uint8)
    vae = TinyVAE(config).eval()
    initialise_linear(vae, list(shown[:7]))
    with torch.no_grad():
        latents = vae.encode(shown[7:].float() / 255)
        made = vae.decode(latents)
    assert (made - clips[7:]).abs().max() < 0.02
    deviations = latents.std((0, 1, 3, 4))
    assert deviations[0] == pytest.approx(1.0, abs=0.3)
    assert deviations.argmax() < 3, "the largest component is the first"


@pytest.mark.parametrize("linear", [False, True])
def test_a_decoder_that_learns_alone_leaves_the_latents(tmp_path, manifest, linear: bool):
    model = {"vae": {"linear": linear}}
    train(settings(tmp_path / "first", manifest, "autoencode", steps=2, model=model))
    first = str(tmp_path / "first" / "vae.safetensors")
    config = settings(
        tmp_path / "run",
        manifest,
        "autoencode",
        steps=3,
        start={"vae": first},
        autoencode={"crop": 32, "learns": "decoder"},
        model=model,
    )
    train(config)
    before = Start(config).vae()
    last = replace(config.start, vae=str(tmp_path / "run" / "vae.safetensors"))
    after = Start(replace(config, start=last)).vae()
    assert encoder_hash(after) == encoder_hash(before)
    changed = {n for n, t in after.state_dict().items() if not t.equal(before.state_dict()[n])}
    assert changed
    assert all(name.startswith("decoder") for name in changed)


def test_every_byte_is_asked_for_the_words_that_tell_captions_apart():
    captions = ["a street at noon", "a street at night"]
    places = {word: word_places(word)[0] for word in ["a", "street", "at", "noon", "night"]}
    assert len(set(places.values())) == 5
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    scores = torch.zeros(2, 3, WORDS)
    torch.testing.assert_close(
        word_loss(scores, mask, captions), torch.full((2,), WORD_WEIGHT * math.log(2))
    )
    told = scores.clone()
    for row, word in enumerate(("noon", "night")):
        told[row, :, [places["noon"], places["night"]]] = -20.0
        told[row, :, places[word]] = 20.0
    assert word_loss(told, mask, captions).max() < 1e-6
    unseen = told.clone()
    unseen[0, 2] = -unseen[0, 2]  # does not count
    unseen[..., places["street"]] = -20.0  # both captions have it
    assert word_loss(unseen, mask, captions).max() < 1e-6
    wrong = told.clone()
    wrong[1, 0, places["night"]] = -20.0
    assert word_loss(wrong, mask, captions)[1] == pytest.approx(WORD_WEIGHT * 20 / 3 / 2, rel=1e-3)
    assert word_loss(scores, mask, captions[:1] * 2).tolist() == [0.0, 0.0]


def test_heads_begin_at_the_bytes_just_before():
    text = build_text(get_preset("tiny").text, seed=0)
    attend_to_previous_bytes(text)
    attention = text.model.encoder.block[0].layer[0].SelfAttention
    seen = attention.compute_bias(12, 12)[0].softmax(-1)
    for head, one in enumerate(seen):
        assert one[8].argmax() == 8 - (head + 1)
        assert one[8].max() > 0.9

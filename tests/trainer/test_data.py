"""Sampler, windows, jitter, caches and bad clips."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from c2r.clips import VideoWriter
from tests.trainer.small_run import (
    FPS,
    FRAMES,
    HEIGHT,
    WIDTH,
    changes,
    make_cache,
    make_clip,
    make_clips,
    make_renderer,
    write_video,
)
from trainer.data.batch import Batch
from trainer.data.jitter import Jitter, draw_jitter, jittered
from trainer.data.loader import Prefetcher, SampleLoader, UsableClips, open_clips
from trainer.data.manifest import Clip, write_manifest
from trainer.data.sampler import ClipSampler
from trainer.data.video_reader import VideoReader
from trainer.data.window import draw_window
from trainer.dist.parallel import close_world, open_world
from trainer.logs.loss_meter import Losses
from trainer.loop import Loop, open_dataset
from trainer.phases import phase_settings
from trainer.phases.flow_matching import draw_kept, draw_levels
from trainer.phases.ground import Ground
from trainer.phases.settings import FlowConfig
from trainer.settings import DataConfig, JitterConfig, TrainConfig


def clips_of(tmp_path, real=3, cg=2):
    """Rows whose files are never read."""
    first = make_clip(tmp_path, "one", "real")
    pair = make_clip(tmp_path, "two", "cg")
    rows = [replace(first, id=f"real{n}") for n in range(real)]
    return rows + [replace(pair, id=f"cg{n}") for n in range(cg)]


@pytest.mark.parametrize("ratio", [0.0, 0.2, 1.0])
def test_shares_by_source(tmp_path, ratio):
    sampler = ClipSampler(clips_of(tmp_path), ratio, batch=10, seed=3)
    drawn = [sampler.clip(n) for n in range(1000)]
    assert Counter(clip.source for clip in drawn)["cg"] == 1000 * ratio
    for start in range(0, 1000, 10):
        batch = Counter(clip.source for clip in drawn[start : start + 10])
        assert batch["cg"] == 10 * ratio
    if ratio == 0.2:
        places = {n % 10 for n, clip in enumerate(drawn) if clip.source == "cg"}
        assert places == set(range(10)), "no rank may get all pairs"


def test_every_clip_once_an_epoch_and_orders_differ(tmp_path):
    sampler = ClipSampler(clips_of(tmp_path, real=7), 0.0, batch=1, seed=3)
    epochs = [[sampler.clip(7 * e + n).id for n in range(7)] for e in range(4)]
    assert all(len(set(epoch)) == 7 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    other = ClipSampler(clips_of(tmp_path, real=7), 0.0, batch=1, seed=4)
    assert [other.clip(n).id for n in range(7)] != epochs[0]


def test_state_is_checked(tmp_path):
    clips = clips_of(tmp_path)
    sampler = ClipSampler(clips, 0.5, batch=4, seed=3)
    ClipSampler(clips, 0.5, batch=4, seed=3).check(sampler.state(8))
    with pytest.raises(ValueError, match="cg_ratio"):
        ClipSampler(clips, 0.2, batch=4, seed=3).check(sampler.state(8))
    with pytest.raises(ValueError, match=r"no cg clips.*set it to 0"):
        ClipSampler([clip for clip in clips if clip.source == "real"], 0.2, batch=4, seed=3)


def test_control_and_target_share_crop_and_timestamps(tmp_path):
    """A pair whose two videos are the same file: whatever is cut, the two must be equal."""
    write_video(tmp_path / "same.mp4", 1, frames=30, scale=3)
    row = make_clip(tmp_path, "pair", "cg", frames=30)
    clip = replace(row, video="same.mp4", control="same.mp4", width=3 * WIDTH, height=3 * HEIGHT)
    config = phase_settings(changes(tmp_path, None, "ground", data={"zoom": 2.0}))
    reader = VideoReader(tmp_path, config.model, FRAMES, config.data, seed=5)
    windows = {reader.window(clip, draw) for draw in range(8)}
    assert len({w.start for w in windows}) > 1
    assert len({(w.left, w.top) for w in windows}) > 1
    for draw in range(4):
        sample = reader.read(clip, draw, control=True)
        assert sample.frames is not None
        assert sample.control is not None
        assert sample.frames.shape == (FRAMES, 3, HEIGHT, WIDTH)
        assert sample.frames.equal(sample.control)
    first, second = (reader.read(clip, draw, control=False).frames for draw in (0, 1))
    assert first is not None
    assert second is not None
    assert not first.equal(second)


def test_windows_stay_inside(tmp_path):
    clip = replace(make_clip(tmp_path, "wide", "real", frames=30), width=100, height=50)
    preset = phase_settings(changes(tmp_path, None, "align")).model
    for seed in range(50):
        window = draw_window(clip, preset, FRAMES, 1.7, random.Random(seed))
        assert 0 <= window.start <= 30 - FRAMES
        assert 0 <= window.left <= window.scaled[0] - preset.width
        assert 0 <= window.top <= window.scaled[1] - preset.height


def test_jitter_is_one_for_the_whole_clip():
    frame = np.random.default_rng(1).integers(0, 255, (1, 3, 8, 8)).astype(np.uint8)
    clip = np.repeat(frame, 5, axis=0)
    turned = jittered(clip, Jitter(hue=0.3, saturation=1.2, value=0.9))
    assert (turned == turned[:1]).all()
    assert np.abs(turned.astype(int) - clip).mean() > 10
    same = jittered(clip, Jitter(0.0, 1.0, 1.0))
    assert np.abs(same.astype(int) - clip).max() <= 8, "only HSV's own rounding"
    grey = np.full((2, 3, 4, 4), 100, dtype=np.uint8)
    assert (jittered(grey, Jitter(0.4, 1.0, 0.5)) == 50).all(), "value scales, grey has no hue"
    drawn = [draw_jitter(JitterConfig(hue=0.1), random.Random(n)) for n in range(20)]
    assert max(abs(one.hue) for one in drawn) <= 0.1
    assert len({one.hue for one in drawn}) == 20


def test_real_clips_are_steered_by_themselves_and_pairs_by_their_coarse_render(tmp_path):
    manifest = make_clips(tmp_path / "clips", real=1, cg=1)
    config = phase_settings(changes(tmp_path, manifest, "ground"))
    opened = open_clips(config)
    by_source = {clip.source: clip for clip in opened.clips}
    real = opened.reader.read(by_source["real"], 0, control=True)
    assert real.frames is not None
    assert real.control is not None
    assert not real.control.equal(real.frames)
    grey = [x.float().mean(1) for x in (real.frames, real.control)]
    correlation = np.corrcoef(grey[0].flatten(), grey[1].flatten())[0, 1]
    assert correlation > 0.7, "the same frames in other colours"
    assert opened.reader.read(by_source["real"], 0, control=False).control is None
    pair = opened.reader.read(by_source["cg"], 0, control=True)
    render = replace(by_source["cg"], video=str(by_source["cg"].control))
    coarse = opened.reader.read(render, 0, control=False).frames
    assert coarse is not None
    assert pair.control is not None
    assert pair.control.equal(coarse)


@pytest.mark.parametrize("cached", [False, True])
def test_readers_draw_a_real_clips_colours_once(tmp_path, cached: bool):
    """A still clip stays still in its control; another sample of it has other colours."""
    clip = make_clip(tmp_path / "clips", "still", "real")
    random = np.random.default_rng(3)
    with VideoWriter(tmp_path / "clips" / clip.video, FPS) as writer:
        shown = np.kron(random.integers(60, 200, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        for _ in range(FRAMES):
            writer.write(shown)
    manifest = tmp_path / "clips" / "manifest.jsonl"
    write_manifest(manifest, [clip])
    settings = changes(tmp_path, manifest, "ground", data={"cg_ratio": 0.0})
    if cached:
        make_cache(tmp_path / "cache", make_renderer(tmp_path / "renderer"), manifest)
        settings["start"] = {"folder": str(tmp_path / "renderer")}
        settings["data"] = {"cache": str(tmp_path / "cache"), "cg_ratio": 0.0}
    opened = open_clips(phase_settings(settings))
    drawn = [opened.reader.read(opened.clips[0], draw, control=True).control for draw in range(4)]
    for control in drawn:
        assert control is not None
        apart = (control.float() - control[:1].float()).abs()
        assert apart.mean() < 2, "but for the codec's noise, every frame has the same colours"
    means = [control.float().mean((0, 2, 3)) for control in drawn if control is not None]
    assert min((a - b).abs().max() for a, b in combinations(means, 2)) > 0.5


def test_dropout_shares_and_levels():
    kept = draw_kept(DataConfig(text_dropout=0.1, joint_dropout=0.2), 1, range(4000))
    assert abs(1 - kept.text.mean().item() - 0.3) < 0.03
    assert abs(1 - kept.control.mean().item() - 0.2) < 0.03
    assert not ((kept.text == 1) & (kept.control == 0)).any(), "control is never dropped alone"
    for kind in ("uniform", "logit_normal"):
        plain = draw_levels(FlowConfig(shift=1.0, levels=kind), 1, range(2000))
        shifted = draw_levels(FlowConfig(shift=5.0, levels=kind), 1, range(2000))
        assert plain.min() > 0
        assert shifted.max() <= 1
        assert abs(plain.median().item() - 0.5) < 0.04
        assert abs(shifted.median().item() - 5 / 6) < 0.02, "5 x 0.5 / (1 + 4 x 0.5)"


def test_a_short_clip_is_left_out_with_a_report(tmp_path, caplog):
    clips = [make_clip(tmp_path, "long", "real"), make_clip(tmp_path, "short", "real", frames=5)]
    write_manifest(tmp_path / "manifest.jsonl", clips)
    settings = changes(tmp_path, tmp_path / "manifest.jsonl", "align", data={"cg_ratio": 0.0})
    assert [clip.id for clip in open_clips(phase_settings(settings)).clips] == ["long"]
    assert "clip short: it has 5 frames at 16 fps, data.frames asks for 9" in caplog.text
    settings["data"]["bad_clips"] = "error"
    with pytest.raises(ValueError, match="clip short"):
        open_clips(phase_settings(settings))
    write_manifest(tmp_path / "manifest.jsonl", clips[1:])
    settings["data"]["bad_clips"] = "skip"
    with pytest.raises(ValueError, match="no train clip that this run can use: clip short"):
        open_clips(phase_settings(settings))


def opened_dataset(
    opened: UsableClips, config: TrainConfig, *, control: bool
) -> SampleLoader[Clip]:
    sampler = ClipSampler(opened.clips, config.data.cg_ratio, config.batch, config.seed)
    return SampleLoader(opened.reader, sampler, config.data, control=control)


@pytest.mark.parametrize("fault", ["vanished", "corrupt", "cut short"])
def test_a_bad_video_in_mid_run_is_skipped_with_a_report(tmp_path, caplog, fault):
    manifest = make_clips(tmp_path / "clips", real=2, cg=0)
    settings = changes(tmp_path, manifest, "align", data={"cg_ratio": 0.0, "most_skips": 2})
    opened = open_clips(phase_settings(settings))
    bad = manifest.parent / "real0.mp4"
    if fault == "vanished":
        bad.unlink()
    elif fault == "corrupt":
        bad.write_bytes(random.Random(1).randbytes(3000))
    else:
        write_video(bad, 1, frames=5)
    dataset = opened_dataset(opened, phase_settings(settings), control=False)
    batches = [dataset.batch(range(start, start + 2)) for start in (0, 2)]
    assert all(batch.clips == ("real1", "real1") for batch in batches)
    assert dataset.skipped >= 2
    assert "clip real0 skipped (1 so far)" in caplog.text
    assert "real0.mp4" in caplog.text
    with pytest.raises(ValueError, match=r"more than data\.most_skips allows"):
        dataset.batch(range(4, 40))
    settings["data"]["bad_clips"] = "error"
    strict = opened_dataset(opened, phase_settings(settings), control=False)
    with pytest.raises(ValueError, match="clip real0 cannot be read"):
        strict.batch(range(4))


@pytest.mark.parametrize("source", ["real", "cg"])
def test_a_caches_video_that_vanishes_is_skipped_and_its_source_keeps_its_share(
    tmp_path, caplog, source: str
):
    make_renderer(tmp_path / "renderer")
    manifest = make_clips(tmp_path / "clips", real=2, cg=2)
    cache = make_cache(tmp_path / "cache", tmp_path / "renderer", manifest)
    settings = changes(tmp_path, None, "ground", batch=5)
    settings["start"] = {"folder": str(tmp_path / "renderer")}
    settings["data"] = {"cache": str(cache), "cg_ratio": 0.2, "most_skips": 50}
    config = phase_settings(settings | {"micro_batch": 5})
    opened = open_clips(config)
    (cache / ("real0.mp4" if source == "real" else "cg0-coarse.mp4")).unlink()
    dataset = opened_dataset(opened, config, control=True)
    batches = [dataset.batch(range(start, start + 5)) for start in range(0, 40, 5)]
    assert all(batch.sources.count("cg") == 1 for batch in batches), "one of five is a pair"
    assert all(f"{source}0" not in batch.clips for batch in batches)
    assert f"clip {source}0 skipped (1 so far)" in caplog.text


def test_a_cache_with_too_few_latents_is_left_out_with_a_report(tmp_path, caplog):
    make_renderer(tmp_path / "renderer")
    cache = make_cache(tmp_path / "cache", tmp_path / "renderer", make_clips(tmp_path / "clips"))
    shard = load_file(cache / "shard-0000.safetensors")
    shard["real1/latents"] = shard["real1/latents"][:1].clone()
    save_file(shard, cache / "shard-0000.safetensors")
    settings = changes(tmp_path, None, "align")
    settings["start"] = {"folder": str(tmp_path / "renderer")}
    settings["data"] = {"cache": str(cache), "cg_ratio": 0.5}
    assert "real1" not in [clip.id for clip in open_clips(phase_settings(settings)).clips]
    assert "clip real1: it has 1 latents, a sample takes 3" in caplog.text


@pytest.mark.parametrize(("ratio", "pairs"), [(0.0, 0), (0.2, 1), (1.0, 5)])
def test_phase_2_draws_the_shares_asked_for(tmp_path, ratio: float, pairs: int):
    """What the phase is handed in a whole run, and not what the sampler promises."""
    make_renderer(tmp_path / "renderer")
    manifest = make_clips(tmp_path / "clips")
    start = {"folder": str(tmp_path / "renderer")}
    more = {"data": {"cg_ratio": ratio}, "batch": 5, "micro_batch": 5, "steps": 2}
    seen: list[tuple[str, ...]] = []

    class Watching(Ground):
        def losses(self, batch: Batch, step: int) -> Losses:
            seen.append(batch.sources)
            return super().losses(batch, step)

    config = phase_settings(changes(tmp_path / "run", manifest, "ground", start=start, **more))
    world = open_world(config.parallel, config.device)
    try:
        phase = Watching(config, world)
        Loop(config, phase, world, open_dataset(config, phase)).run()
    finally:
        close_world()
    assert [sources.count("cg") for sources in seen] == [pairs, pairs]
    assert all(len(sources) == 5 for sources in seen)


def test_batches_ahead_are_those_of_now_and_errors_arrive(tmp_path):
    manifest = make_clips(tmp_path / "clips", real=2, cg=1)
    config = phase_settings(changes(tmp_path, manifest, "ground"))
    dataset = opened_dataset(open_clips(config), config, control=True)

    def draws(n):
        return range(2 * n, 2 * n + 2)

    plain = [dataset.batch(draws(n)) for n in range(3, 6)]
    ahead = Prefetcher(dataset, draws, start=3, depth=2, workers=2)
    for expected in plain:
        got = ahead.take()
        assert got.clips == expected.clips
        assert got.control is not None
        assert expected.control is not None
        assert got.control.equal(expected.control)
    for path in manifest.parent.glob("*.mp4"):
        path.unlink()
    ahead.close()
    last = Prefetcher(dataset, draws, start=40, depth=2, workers=2)
    with pytest.raises(ValueError, match="could not be read"):
        last.take()
    last.close()


def test_a_cache_gives_what_its_clips_encode_to(tmp_path):
    renderer = make_renderer(tmp_path / "renderer")
    manifest = make_clips(tmp_path / "clips", real=1, cg=1)
    cache = make_cache(tmp_path / "cache", renderer, manifest)
    data = {"manifest": None, "cache": str(cache)}
    config = phase_settings(changes(tmp_path, None, "ground", data=data))
    opened = open_clips(config)
    for clip in opened.clips:
        sample = opened.reader.read(clip, 0, control=True)
        assert sample.latents is not None
        assert sample.text is not None
        assert sample.latents.shape == (3, 16, HEIGHT // 8, WIDTH // 8)
        assert sample.text.shape == (64, 32)
        assert sample.control is not None
        assert sample.control.shape == (FRAMES, 3, HEIGHT, WIDTH)
    (cache / "shard-0000.safetensors").unlink()
    with pytest.raises(ValueError, match="it is in no shard"):
        open_clips(config)


def test_one_kind_of_data(tmp_path):
    with pytest.raises(ValueError, match=r"data\.manifest \(videos\) and data\.cache"):
        open_clips(phase_settings(changes(tmp_path, None, "align", data={"manifest": None})))

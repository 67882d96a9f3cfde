"""Resuming exactly, stopping at NaN, and what a run leaves behind."""

from __future__ import annotations

import json
import math
import shutil
import signal
import time
from dataclasses import replace

import pytest
import torch
from torch.distributed.checkpoint import filesystem

from tests.trainer.small_run import (
    changes,
    losses,
    make_cache,
    make_clips,
    make_renderer,
    start_process,
    write_config,
)
from trainer.checkpoint import Checkpoints
from trainer.command import train
from trainer.logs import artefact_monitor
from trainer.logs.run_log import kept_lines
from trainer.loop import NotFiniteError
from trainer.phases import phase_settings
from trainer.phases.flow_phase import FlowPhase


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A renderer, clips and a cache of them."""
    made = tmp_path_factory.mktemp("loop")
    make_renderer(made / "renderer")
    make_cache(made / "cache", made / "renderer", make_clips(made / "clips"))
    return made


def settings(root, name, phase="ground", **more):
    base = {"start": {"folder": str(root / "renderer")}}
    return changes(root / name, root / "clips" / "manifest.jsonl", phase, **(base | more))


def test_killed_in_mid_run_it_goes_on_exactly(root):
    """kill -9 between checkpoints; losses are then those of the uninterrupted run, exactly."""
    more = {"steps": 400, "checkpoint": {"every": 4}, "precision": "bf16", "batch": 2}
    killed = settings(root, "killed", **more)
    process = start_process(write_config(root / "killed.yaml", killed))
    record = root / "killed" / "metrics.jsonl"
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if record.is_file() and record.read_text().count("\n") >= 7:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[1]
    assert process.returncode == -signal.SIGKILL, said
    done = len(kept_lines(record, 10**9))
    steps = max(int(path.name[5:]) for path in (root / "killed" / "checkpoints").glob("step-*"))
    assert 4 <= steps < done
    more["steps"] = done + 3
    train(phase_settings(settings(root, "killed", **more)))
    train(phase_settings(settings(root, "whole", **more)))
    assert losses(root / "killed") == losses(root / "whole")
    for name in ("dit", "control"):
        files = [root / run / "renderer" / f"{name}.safetensors" for run in ("killed", "whole")]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_leaves_a_checkpoint_of_the_step_that_ran(root, number):
    """Exit code 0, and the losses that follow are those of the uninterrupted run, exactly."""
    name = f"stopped-{number.name}"
    more = {"steps": 400, "checkpoint": {"every": 1000}, "batch": 2, "log": {"sample_every": 0}}
    process = start_process(write_config(root / f"{name}.yaml", settings(root, name, **more)))
    record = root / name / "metrics.jsonl"
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if record.is_file() and record.read_text().count("\n") >= 3:
            break
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate()[1]
    assert process.returncode == 0, said
    assert f"stopped by {number.name} after step" in " ".join(said.split())
    assert not (root / name / "renderer").exists()
    (kept,) = (root / name / "checkpoints").glob("step-*")
    done = int(kept.name[5:])
    assert len(kept_lines(record, 10**9)) == done
    more["steps"] = done + 2
    train(phase_settings(settings(root, name, **more)))
    train(phase_settings(settings(root, f"whole-{number.name}", **more)))
    assert losses(root / name) == losses(root / f"whole-{number.name}")


def test_a_run_with_other_data_is_not_resumed(root):
    train(phase_settings(settings(root, "once", steps=1)))
    again = settings(root, "once", steps=2, data={"cg_ratio": 1.0})
    with pytest.raises(ValueError, match=r"data\.cg_ratio"):
        train(phase_settings(again))


def damage(checkpoint):
    for shard in checkpoint.glob("*.distcp"):
        shard.write_bytes(b"")


def test_a_damaged_checkpoint_gives_way_to_the_one_before(root, caplog):
    more = {"checkpoint": {"every": 2}}
    train(phase_settings(settings(root, "damaged", steps=4, **more)))
    folder = root / "damaged" / "checkpoints"
    damage(folder / "step-00000004")
    train(phase_settings(settings(root, "damaged", steps=5, **more)))
    assert "step-00000004 cannot be read" in caplog.text
    assert len(losses(root / "damaged")) == 5
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["damaged-step-00000004", "step-00000004", "step-00000005"]


def test_a_run_none_of_whose_checkpoints_can_be_read_says_so_every_time(root):
    train(phase_settings(settings(root, "lost", steps=1)))
    damage(root / "lost" / "checkpoints" / "step-00000001")
    for _ in range(2):
        with pytest.raises(ValueError, match="none of the checkpoints"):
            train(phase_settings(settings(root, "lost", steps=2)))


def test_a_checkpoint_that_fails_in_writing_leaves_the_one_before(root, monkeypatch):
    more = {"checkpoint": {"every": 2}, "precision": "bf16"}
    write, written = filesystem.FileSystemWriter.write_data, []

    def failing(self, plan, planner):
        written.append(plan)
        if len(written) == 2:
            raise OSError("the disk is full")
        return write(self, plan, planner)

    monkeypatch.setattr(filesystem.FileSystemWriter, "write_data", failing)
    with pytest.raises(OSError, match="step-00000004 could not be written: the disk is full"):
        train(phase_settings(settings(root, "full", steps=6, **more)))
    monkeypatch.undo()
    folder = root / "full" / "checkpoints"
    assert [path.name for path in folder.glob("step-*")] == ["step-00000002"]
    train(phase_settings(settings(root, "full", steps=6, **more)))
    train(phase_settings(settings(root, "roomy", steps=6, **more)))
    assert losses(root / "full") == losses(root / "roomy")


def test_checkpoints_are_whole_or_not_there(root, tmp_path):
    config = phase_settings(settings(root, "kept", steps=6, checkpoint={"every": 1, "keep": 2}))
    train(config)
    folder = config.folder / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000005", "step-00000006"]
    (folder / ".step-00000007").mkdir()
    shutil.rmtree(config.folder / "renderer")
    train(config)
    assert not (folder / ".step-00000007").exists(), "a half-written one is cleared away"
    assert (config.folder / "renderer" / "preset.yaml").is_file()


def test_not_finite_stops_and_saves_the_batch(root, monkeypatch):
    plain = FlowPhase.losses

    def broken(self, batch, step):
        found = plain(self, batch, step)
        if step < 2:
            return found
        return type(found)(found.total * math.nan, found.samples, found.levels, found.sources)

    monkeypatch.setattr(FlowPhase, "losses", broken)
    config = phase_settings(settings(root, "nan", steps=5, checkpoint={"every": 2}))
    with pytest.raises(NotFiniteError, match=r"step 2: .*lower optim\.lr"):
        train(config)
    saved = torch.load(config.folder / "not-finite-step-2-rank-0.pt")
    assert len(saved) == 2, "two micro-batches"
    assert len(saved[0]["clips"]) == 2
    monkeypatch.undo()
    train(config)
    assert len(losses(config.folder)) == 5


def test_caches_give_what_videos_give_and_samples_are_written(root):
    log = {
        "sample_every": 2,
        "tensorboard": True,
        "sampler": {"steps": 2, "guidance": {"kind": "cfg", "text_scale": 2.0}},
    }
    cached = settings(root, "cached", steps=2, log=log)
    cached["data"] = {"cache": str(root / "cache"), "cg_ratio": 0.5}
    train(phase_settings(cached))
    train(phase_settings(settings(root, "videos", steps=2)))
    # The caches' float16 is the only difference.
    assert losses(root / "cached") == pytest.approx(losses(root / "videos"), abs=2e-3)
    assert len(list((root / "cached" / "samples").glob("*.mp4"))) == 2
    assert list((root / "cached" / "tensorboard").glob("events*"))
    rows = [json.loads(row) for row in (root / "cached" / "metrics.jsonl").read_text().splitlines()]
    assert {"look/flatness", "look/leakage"} <= set(rows[-1])
    assert {"loss/real", "loss/cg", "tokens_per_second", "memory_gb"} <= set(rows[0])
    bands = [name for row in rows for name in row if name.startswith("loss/t")]
    assert bands


def test_samples_that_look_like_graphics_are_reported(root, caplog, monkeypatch):
    guides = []
    plain = artefact_monitor.measure_artefacts

    def watched(frames, guide=None):
        guides.append(guide)
        # Two clips of real video, then samples flatter than they.
        return replace(plain(frames, guide), flatness=0.0 if len(guides) <= 2 else 0.9)

    monkeypatch.setattr("trainer.logs.sample_videos.measure_artefacts", watched)
    log = {"sample_every": 2, "monitor_clips": 2, "sample_clips": 1, "sampler": {"steps": 1}}
    train(phase_settings(settings(root, "graphics", steps=2, log=log)))
    assert "step 2: samples look like graphics: flatness 0.900 (real 0.000)" in caplog.text
    assert "lower data.cg_ratio" in caplog.text
    assert all(guide is not None for guide in guides), "real clips have guides as samples have"


def test_a_cache_of_another_renderer_is_refused_by_field(root, tmp_path):
    shutil.copytree(root / "cache", tmp_path / "cache")
    for field, value in (("vae", "0" * 64), ("width", 96)):
        found = json.loads((root / "cache" / "cache.json").read_text())
        (tmp_path / "cache" / "cache.json").write_text(json.dumps(found | {field: value}))
        other = settings(root, "refused")
        other["data"] = {"cache": str(tmp_path / "cache"), "cg_ratio": 0.5}
        with pytest.raises(ValueError, match=f"does not fit this run: {field} is"):
            train(phase_settings(other))


def test_checkpoint_folder_without_any(tmp_path, root):
    config = phase_settings(settings(root, "none"))
    from trainer.dist.parallel import close_world, open_world

    world = open_world(config.parallel, "cpu")
    try:
        assert Checkpoints(tmp_path, config.checkpoint, world).load({}) is None
    finally:
        close_world()

"""The phases from end to end on a tiny set: what they leave, resuming, starting, refusing."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from c2r.models.dit import DiT
from c2r.weights.renderer import load_networks, read_renderer
from runtime.pipeline.pipeline import Pipeline
from tests.trainer.distill.conftest import STREAM, settings
from tests.trainer.small_run import HEIGHT, WIDTH, losses, make_cache, make_renderer
from trainer.command import train
from trainer.data.loader import Prefetcher
from trainer.distill.compatibility import latent_agreement
from trainer.distill.student_init import StudentStart, evenly_spaced
from trainer.phases import phase_settings
from trainer.phases.dmd import Dmd
from trainer.phases.taught_phase import places_on_path

SMALL = {"dim": 32, "ffn_dim": 48, "heads": 2, "layers": 2}


@pytest.mark.parametrize(
    ("phase", "more"),
    [
        ("autoregress", {"log": {"sampler": {"steps": 2}}}),
        ("consistency", {"distil": {"guidance": {"text_scale": 3.0}}}),
        ("regress", {"distil": {"steps": 8}}),
        ("dmd", {"dmd": {"critic_updates": 1, "longest": 7}}),
    ],
)
def test_three_steps_give_a_renderer_that_streams(root, tmp_path, phase, more):
    """In bf16, from a cache, a student of other widths than its teacher, with samples."""
    cache = tmp_path / "cache"
    make_cache(cache, root / "renderer", root / "clips" / "manifest.jsonl")
    more["log"] = {"sample_every": 3} | more.pop("log", {})
    model = {"dit": SMALL}
    made = settings(root, tmp_path / "run", phase, precision="bf16", model=model, **more)
    made["data"] = {"cache": str(cache), "cg_ratio": 0.5}
    train(phase_settings(made))
    found = losses(tmp_path / "run")
    assert len(found) == 3
    assert all(np.isfinite(found))
    assert len(list((tmp_path / "run" / "samples").glob("*.mp4"))) == 2
    preset, paths = read_renderer(tmp_path / "run" / "renderer")
    assert (preset.dit.dim, preset.dit.layers) == (32, 2)
    assert preset.stream.timesteps == (1000.0, 500.0)
    networks = load_networks(preset, paths)
    assert networks.random_parts == ()
    pipeline = Pipeline(networks)
    state = pipeline.open(1)
    frames = np.zeros((pipeline.frames_wanted(state), HEIGHT, WIDTH, 3), np.uint8)
    rendered = pipeline.render(state, frames, pipeline.text(pipeline.prompt("a street")))
    assert rendered.frames.shape == frames.shape
    record = json.loads((tmp_path / "run" / "renderer" / "provenance.json").read_text())
    assert (record["phase"], record["steps"], record["chunk"]) == (phase, 3, 2)
    assert record["metrics"]["loss"] == pytest.approx(np.mean(found))
    assert record["teacher"] == (None if phase == "autoregress" else str(root / "renderer"))


def test_a_chain_of_phases_remembers_itself(root, tmp_path):
    train(phase_settings(settings(root, tmp_path / "first", "autoregress", steps=1)))
    then = settings(
        root,
        tmp_path / "then",
        "dmd",
        steps=1,
        start={"folder": str(tmp_path / "first" / "renderer")},
        distil={"teacher": str(root / "renderer")},
    )
    train(phase_settings(then))
    record = json.loads((tmp_path / "then" / "renderer" / "provenance.json").read_text())
    assert record["before"]["phase"] == "autoregress"
    assert record["teacher"] == str(root / "renderer")
    files = [tmp_path / name / "renderer" / "dit.safetensors" for name in ("first", "then")]
    first, later = (load_file(file) for file in files)
    assert all(torch.equal(first[name], later[name]) for name in first), "the critic's turn"


def test_resumed_it_goes_on_exactly(root, tmp_path):
    """Three parts in turn, growing rollouts, an EMA that begins late."""
    dmd = {
        "critic_updates": 2,
        "critic_lr": 1e-3,
        "longest": 9,
        "grow_until": 6,
        "from_start": 0.2,
        "gan": {"weight": 0.1, "blocks": [1]},
    }
    every = {"checkpoint": {"every": 5}, "precision": "bf16", "batch": 2}
    whole = settings(root, tmp_path / "whole", "dmd", steps=9, dmd=dmd, **every)
    whole["optim"] |= {"ema": 0.9, "ema_from": 1}
    train(phase_settings(whole))
    for steps in (5, 9):
        train(phase_settings(whole | {"folder": str(tmp_path / "again"), "steps": steps}))
    assert losses(tmp_path / "again") == losses(tmp_path / "whole")
    for name in ("dit", "control"):
        file = f"renderer/{name}.safetensors"
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_ema_follows_from_its_update_on(loop_of):
    loop = loop_of("autoregress", optim={"ema": 0.9, "ema_from": 2}, steps=4)
    optimiser = loop.optimisers["student"]
    ahead = Prefetcher(loop.dataset, loop.draws, start=0, depth=0, workers=1)
    same = []
    for _ in range(4):
        loop.train_step(ahead)
        loop.step += 1
        pairs = [(optimiser.ema[n], p) for n, p in optimiser.parameters.items()]
        same.append(all(torch.equal(a, b) for a, b in pairs))
    assert same == [True, True, False, False]


def test_a_student_takes_what_fits(root, tmp_path, caplog):
    def start(**dit):
        made = settings(root, tmp_path, "autoregress", model={"dit": dit})
        return StudentStart(phase_settings(made))

    _, paths = read_renderer(root / "renderer")
    teacher = load_file(str(paths.dit))
    same, fewer, other = start(), start(layers=2), start(**SMALL)
    assert torch.equal(same.dit().state_dict()["head.head.weight"], teacher["head.head.weight"])
    thin = fewer.dit().state_dict()
    for own, source in ((0, 0), (1, 2)):
        name = "self_attn.q.weight"
        assert torch.equal(thin[f"blocks.{own}.{name}"], teacher[f"blocks.{source}.{name}"])
    assert fewer.paths["control"] is not None
    assert (other.paths["dit"], other.paths["control"]) == (None, None)
    assert other.paths["vae"] is not None
    fresh = other.dit()
    assert isinstance(fresh, DiT)
    assert not fresh.head.head.weight.any(), "as for training"
    assert "RANDOM WEIGHTS: dit" in caplog.text
    assert evenly_spaced(8, 12)[0] == 0
    assert evenly_spaced(8, 12)[-1] == 11
    assert evenly_spaced(3, 8) == (0, 4, 7)


def shaken(folder, file: str):
    """Another network in that file."""
    weights = load_file(folder / file)
    generator = torch.Generator().manual_seed(9)
    changed = {n: t + torch.randn(t.shape, generator=generator) for n, t in weights.items()}
    save_file(changed, folder / file, {"format": "pt"})


@pytest.mark.parametrize("phase", ["consistency", "regress", "dmd"])
@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("vae.safetensors", r"different VAEs.*start\.vae .*other"),
        ("text/model.safetensors", r"different text encoders.*start\.text .*other"),
    ],
)
def test_other_spaces_are_refused_with_the_fix(root, tmp_path, loop_of, phase, file, words):
    other = tmp_path / "other"
    shutil.copytree(root / "renderer", other)
    shaken(other, file)
    with pytest.raises(ValueError, match=words):
        loop_of(phase, distil={"teacher": str(other)})


def test_the_critic_is_checked_too(root, tmp_path, loop_of):
    other = tmp_path / "other"
    shutil.copytree(root / "renderer", other)
    shaken(other, "text/model.safetensors")
    with pytest.raises(ValueError, match="different text encoders"):
        loop_of("dmd", dmd={"critic": str(other)})


@pytest.mark.parametrize(
    ("phase", "more", "words"),
    [
        ("dmd", {"model": {"width": 96}}, r"model\.width and model\.height is \(64, 48\)"),
        ("dmd", {"model": {"fps": 24}}, r"model\.fps is 16 in teacher and 24"),
        ("autoregress", {"model": {"control": {"kind": "none"}}}, "grounded renderer"),
        ("dmd", {"lora": {"rank": 2}}, r"lora\.rank belongs to phase align"),
        ("regress", {"distil": {"steps": 6}}, "multiple of 4"),
        ("dmd", {"distil": {"guidance": {"kind": "apg"}}}, r"distil\.guidance\.kind"),
        ("dmd", {"distil": {"teacher": "/nowhere"}}, "not a renderer's folder"),
        ("dmd", {"start": {"folder": None}}, r"distil\.teacher"),
    ],
)
def test_settings_that_a_phase_cannot_have(loop_of, phase, more, words):
    with pytest.raises(ValueError, match=words):
        loop_of(phase, **more)


def test_context_parallelism_is_refused(root, tmp_path):
    config = phase_settings(settings(root, tmp_path, "dmd", parallel={"context": 2}))
    with pytest.raises(ValueError, match=r"set parallel\.context to 1"):
        Dmd.check(config)


def test_a_teacher_without_control_is_refused(tmp_path, loop_of):
    make_renderer(tmp_path / "plain", control=False)
    with pytest.raises(ValueError, match="has no control; ground it first"):
        loop_of("dmd", distil={"teacher": str(tmp_path / "plain")})


def test_latents_of_one_clip_are_compared(root, loop_of):
    phase = loop_of("autoregress").phase
    vae = phase.start.vae()
    other = phase.start.vae()
    assert latent_agreement(vae, other) == pytest.approx(1)
    plain = other.encode
    for moved in (lambda x: 2 * plain(x), lambda x: plain(x) + plain(x).std()):
        other.encode = moved
        assert latent_agreement(vae, other) < 0.5, "of another scale or mean is no agreement"


def test_a_folder_belongs_to_one_phase(root, tmp_path):
    """Else the next phase would take up the last one's checkpoint, and train no step."""
    train(phase_settings(settings(root, tmp_path / "run", "autoregress", steps=1)))
    weights = tmp_path / "run" / "renderer" / "dit.safetensors"
    before = weights.read_bytes()
    with pytest.raises(ValueError, match=r"a run of phase autoregress; give phase regress another"):
        train(phase_settings(settings(root, tmp_path / "run", "regress", distil={"steps": 8})))
    assert weights.read_bytes() == before


def test_paths_meet_the_students_levels():
    stream = phase_settings({"model": {"stream": STREAM}}).model.stream
    assert places_on_path(stream, 8) == (0, 2, 4, 6)
    assert places_on_path(stream, 48) == (0, 12, 24, 36)

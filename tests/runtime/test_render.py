"""The command `c2r render`, both modes, at a small preset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from c2r.__main__ import run
from c2r.clips import read_clip, write_image
from c2r.models.control import ControlInput
from c2r.streaming.guidance import GuidanceConfig
from c2r.streaming.noise import latent_noise
from c2r.streaming.sampler import SamplerConfig
from c2r.weights.renderer import seeded_networks
from c2r.wire.events import EndRequest
from runtime.cli import render
from runtime.cli.render import stream_clip
from runtime.cli.render_output import check_output
from runtime.pipeline.offline import render_offline
from runtime.pipeline.pipeline import Pipeline, pad_frames
from tests.runtime import bare_client, serving
from tests.runtime.test_pipeline import DEBUG, coarse

DEBUG_ARGUMENTS = ["--preset", "debug", "--random-weights"]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(seeded_networks(DEBUG, seed=1))


@pytest.fixture
def folder(tmp_path):
    for index, frame in enumerate(coarse(7)):
        write_image(tmp_path / "in" / f"{index}.png", frame)
    return tmp_path / "in"


def test_a_last_chunk_is_filled_and_cut(pipeline):
    settings: dict[str, Any] = {"prompt": "noon", "strength": 1.0, "seed": 3}
    whole = np.concatenate(list(stream_clip(pipeline, coarse(13), **settings)))
    cut = np.concatenate(list(stream_clip(pipeline, coarse(13)[:7], **settings)))
    assert len(cut) == 7
    assert np.array_equal(cut[:5], whole[:5]), "the first chunk knows nothing of the end"


def test_stream_to_pngs(folder, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--input", str(folder), "--output", str(out), "--prompt", "noon", "--seed", "3"]
    assert run(["render", *arguments, *DEBUG_ARGUMENTS]) == 0
    frames = list(read_clip(out, width=64, height=48, fps=16))
    assert len(frames) == 7
    assert "RANDOM WEIGHTS" in capsys.readouterr().err
    assert run(["render", *arguments, *DEBUG_ARGUMENTS]) == 0
    again = list(read_clip(out, width=64, height=48, fps=16))
    assert np.array_equal(frames, again), "the same seed gave other pictures"


def test_offline_to_video(folder, tmp_path):
    arguments = ["--input", str(folder), "--output", str(tmp_path / "out.mp4"), "--mode", "offline"]
    extra = ["--steps", "2", "--beside", "--frames", "6"]
    assert run(["render", *arguments, *extra, *DEBUG_ARGUMENTS]) == 0
    frames = list(read_clip(tmp_path / "out.mp4", width=128, height=48, fps=16))
    assert len(frames) == 6


def test_guidance_leads_away_from_the_presets_negative_prompt(pipeline):
    config = SamplerConfig(2, 5.0, GuidanceConfig("cfg", text_scale=4.0))
    given: Any = {"prompt": "noon", "seed": 2, "config": config}
    preset = replace(pipeline.preset, negative_prompt="fog")
    other = Pipeline(replace(pipeline.networks, preset=preset))
    asked = render_offline(pipeline, coarse(5), negative_prompt="fog", **given)
    assert np.array_equal(render_offline(other, coarse(5), **given), asked)
    assert not np.array_equal(render_offline(other, coarse(5), negative_prompt="", **given), asked)


def test_short_clips_are_padded_to_the_trained_length(pipeline):
    config = SamplerConfig(2, 5.0, GuidanceConfig("none"))
    given: Any = {"prompt": "noon", "seed": 2, "config": config}
    assert pipeline.preset.frames == 9
    padded = render_offline(pipeline, coarse(5), trained_length=True, **given)
    by_hand = render_offline(pipeline, pad_frames(coarse(5), 9), **given)
    assert np.array_equal(padded, by_hand[:5])
    assert not np.array_equal(padded, render_offline(pipeline, coarse(5), **given))
    longer = render_offline(pipeline, coarse(11), trained_length=True, **given)
    assert np.array_equal(longer, render_offline(pipeline, coarse(11), **given))


def test_offline_equals_its_parts(pipeline):
    """Guidance of one pass: the sampler over DINO and control of the whole clip, decoded."""
    config = SamplerConfig(2, 5.0, GuidanceConfig("none"))
    frames = coarse(5)
    got = render_offline(pipeline, frames, prompt="noon", seed=2, config=config)
    assert got.shape == frames.shape
    networks = pipeline.networks
    assert networks.control is not None
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)[None]
    with torch.no_grad():
        tokens, _ = networks.control.tokens(networks.dino(pixels))
        control = ControlInput(networks.control, tokens, DEBUG.grid, torch.ones(1))
        text = pipeline.text(pipeline.prompt("noon"))
        x = latent_noise([2], 0, 2, 0, (16, *DEBUG.latent_size))
        for level, following in ((1.0, 5 / 6), (5 / 6, 0.0)):
            timestep = torch.tensor([1000 * level])
            x = x + (following - level) * networks.dit(x, timestep, text, control=control)
        pictures = (networks.vae.decode(x)[0] * 255).round().permute(0, 2, 3, 1).numpy()
    assert np.abs(got - pictures).max() <= 1, "beyond the rounding of 8 bits"
    padded = render_offline(pipeline, frames[:4], prompt="noon", seed=2, config=config)
    assert len(padded) == 4
    other = render_offline(pipeline, frames, prompt="noon", seed=3, config=config)
    assert not np.array_equal(got, other)
    free = render_offline(pipeline, frames, prompt="noon", seed=2, config=config, strength=0.0)
    assert not np.array_equal(got, free)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--output", "x.avi"], "give a .mp4 file"),
        (["--frames", "0"], "at least one"),
        (["--strength", "-1"], "--strength: is -1"),
        (["--strength", "1e30"], "must be finite and in [0, 2]"),
        (["--strength", "nan"], "--strength"),
        (["--device", "tpu"], "is no device"),
        (["--promt", "x"], "unknown option --promt; did you mean --prompt?"),
        (["--width", "70"], "not a multiple of 16"),
        (["--weights", "absent"], "leave --random-weights out"),
        (["--input", "absent"], "there is no clip"),
        (["--steps", "3"], "--steps: it belongs to --mode offline"),
        (["--negative-prompt", "x"], "--negative-prompt: it belongs to --mode offline"),
        (
            ["--mode", "offline", "--stream.chunk", "1"],
            "--stream.chunk: --mode offline",
        ),
        (["--mode", "offline", "--backend", "eager"], "--backend: --mode offline runs"),
        (["--mode", "offline", "--guidance", "none", "--text-scale", "3"], "choose apg or cfg"),
        (["--control.kind", "none", "--strength", "0.5"], "control.kind is none"),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, capsys, extra, message):
    given = {"--input": str(folder), "--output": str(tmp_path / "out")}
    arguments = [word for pair in given.items() for word in pair]
    assert run(["render", *arguments, *DEBUG_ARGUMENTS, *extra]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("spelling", ["in", "in/../in", "link"])
def test_the_input_is_not_overwritten(folder, tmp_path, capsys, spelling):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "link").symlink_to(folder)
    output = str(tmp_path / spelling)
    arguments = ["--input", str(folder), "--output", output]
    assert run(["render", *arguments, *DEBUG_ARGUMENTS]) == 2
    assert "is the input too" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_input_video_is_not_overwritten(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"a clip")
    with pytest.raises(ValueError, match="is the input too"):
        check_output(clip, tmp_path / "sub" / ".." / "clip.mp4")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("taken/out", "nothing can be written there"),
        ("taken/out.mp4", "nothing can be written there"),
        ("taken", "is a file already; give a folder"),
        ("folder.mp4", "is a folder already; give a .mp4 file"),
    ],
)
def test_an_output_that_cannot_be_written_is_said_before_rendering(
    folder, tmp_path, capsys, monkeypatch, output, message
):
    (tmp_path / "taken").write_bytes(b"a file")
    (tmp_path / "folder.mp4").mkdir()

    def load(*given: Any) -> Any:
        raise AssertionError("nothing is loaded before the output is tried")

    monkeypatch.setattr(render, "load_pipeline", load)
    arguments = ["--input", str(folder), "--output", str(tmp_path / output)]
    assert run(["render", *arguments, *DEBUG_ARGUMENTS]) == 2
    assert message in capsys.readouterr().err


def test_the_server_gives_the_same_pictures_bit_for_bit():
    """`render --mode stream` and a raw session of the same seed, prompt and input."""
    clip = serving.images(serving.FIRST + serving.LATER + 3)
    settings: dict[str, Any] = {"prompt": "noon", "strength": 1.0, "seed": 5}
    expected = np.concatenate(list(stream_clip(serving.pipeline(), clip, **settings)))

    async def test() -> None:
        async with serving.serving() as server, bare_client.session(server) as client:
            await client.send(*serving.frames(len(clip)), EndRequest())
            await client.over()
            pictures = client.frames()
            assert sorted(pictures) == list(range(len(clip)))
            for index, picture in enumerate(expected):
                assert np.array_equal(pictures[index], picture), f"frame {index} differs"

    serving.run(test())

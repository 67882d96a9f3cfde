"""`c2r eval` from the command line: rows, files, resuming, and everything that is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from c2r.clips import read_clip
from tests.trainer.curate.tiny_vlm import save_llava
from tests.trainer.evaluate import scenes
from tests.trainer.evaluate.judges import Distance, Video, save_clip, save_script
from trainer.data.manifest import read_manifest
from trainer.evaluate import command, rendering
from trainer.evaluate.command import main
from trainer.evaluate.rendering import Rendering, render


@pytest.fixture(scope="module")
def outputs(data, tmp_path_factory):
    """A perfect system and one that only shows the coarse input, darker."""
    root = tmp_path_factory.mktemp("outputs")
    for clip in read_manifest(data / "manifest.jsonl"):
        if clip.split != "held_out":
            continue
        for name in ("perfect", "dark"):
            (root / name).mkdir(exist_ok=True)
        shutil.copy(data / clip.video, root / "perfect" / f"{clip.id}.mp4")
        frames = list(
            read_clip(data / str(clip.control), width=clip.width, height=clip.height, fps=clip.fps)
        )
        scenes.write_video(root / "dark" / f"{clip.id}.mp4", np.stack(frames) // 2)
    return root


def arguments(data, renderer, out, *more: object) -> list[str]:
    fixed = ["--data", data, "--features", renderer / "dino", "--out", out]
    return [str(word) for word in (*fixed, *more)]


def report(out) -> dict:
    return json.loads((out / "report.json").read_text())


def values_of(found: dict) -> dict[str, float]:
    """The report's values by row and measure, without those that could not be measured."""
    return {
        f"{name}: {key}": cell["value"]
        for name, row in found["rows"].items()
        for key, cell in row.items()
        if cell["value"] is not None
    }


@pytest.fixture(scope="module")
def evaluated(data, renderer, outputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluated")
    folders = [f"perfect={outputs / 'perfect'}", f"dark={outputs / 'dark'}"]
    more = ("--outputs", *folders, "--teacher", "perfect")
    assert main(arguments(data, renderer, out, *more)) == 0
    return out


def test_rows_and_bounds(evaluated):
    rows = report(evaluated)["rows"]
    assert list(rows) == ["coarse", "fine", "perfect", "dark"]
    values = {name: {key: cell["value"] for key, cell in row.items()} for name, row in rows.items()}
    assert values["perfect"] == values["fine"]
    assert values["coarse"]["structure"] == pytest.approx(1, abs=1e-6)
    assert values["fine"]["structure_fine"] == pytest.approx(1, abs=1e-6)
    assert values["fine"]["psnr"] is None
    assert values["fine"]["ssim"] == pytest.approx(1, abs=1e-6)
    assert abs(values["fine"]["kid"]) < abs(values["coarse"]["kid"])
    assert values["dark"]["psnr"] < 30
    assert values["fine"]["prompt"] == 1
    assert values["coarse"]["edges"] == pytest.approx(1, abs=0.02)
    assert values["coarse"]["leakage"] > values["fine"]["leakage"]
    assert all(np.isfinite(v) for row in values.values() for v in row.values() if v is not None)


def test_every_value_has_its_count_and_every_network_its_hash(evaluated):
    found = report(evaluated)
    for row in found["rows"].values():
        assert (row["kid"]["clips"], row["kid"]["frames"]) == (2, 2 * scenes.FRAMES)
        assert set(row["warp"]["by_clip"]) == {"held_out-200", "held_out-201"}
    assert {"kid", "fid", "structure", "prompt"} <= found["extractors"].keys()
    assert all(len(text.split()[-1]) == 16 for text in found["extractors"].values())
    assert found["settings"]["measured_clips"] == ["held_out-200", "held_out-201"]
    assert any(reason.startswith("lpips") for reason in found["left_out"])
    derived = found["derived"]
    assert derived["perfect"]["kept_kid"] == pytest.approx(1)
    assert derived["coarse"]["kid_to_coarse"] == pytest.approx(1)
    assert derived["fine"]["warp_to_fine"] == pytest.approx(1)


def test_judges_with_local_weights_have_columns_and_hashes(data, renderer, outputs, tmp_path):
    judges = {
        "lpips": save_script(Distance(), tmp_path / "lpips.pt"),
        "fvd": save_script(Video(), tmp_path / "video.pt"),
        "clip": save_clip(tmp_path / "clip"),
        "vlm": save_llava(tmp_path / "vlm"),
    }
    given = [word for name, path in judges.items() for word in (f"--{name}", path)]
    folders = ["--outputs", *(f"{name}={outputs / name}" for name in ("perfect", "dark"))]
    assert main(arguments(data, renderer, tmp_path / "out", "--no-prompt", *folders, *given)) == 0
    found = report(tmp_path / "out")
    rows = found["rows"]
    assert rows["perfect"]["lpips"]["value"] == 0
    assert rows["dark"]["lpips"]["value"] > 0.1
    assert rows["perfect"]["fvd"]["value"] == pytest.approx(0, abs=1e-4)
    assert rows["dark"]["fvd"]["value"] > 1e-4
    for name in judges:
        assert rows["dark"][name]["clips"] == 2
        assert len(found["extractors"][name].split()[-1]) == 16
        assert not any(reason.startswith(name) for reason in found["left_out"])
    assert 0 <= rows["dark"]["clip"]["value"] <= 100
    assert 1 <= rows["dark"]["vlm"]["value"] <= 5


def test_the_page_stands_alone(evaluated):
    page = (evaluated / "page.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2 * 4  # clips x systems
    assert "http" not in page
    assert "linear CKA" in page
    assert "held_out-201" in page
    assert "| perfect |" in (evaluated / "tables.md").read_text()
    assert (evaluated / "strips.png").stat().st_size > 1000


def test_the_command_is_in_the_table(data, renderer, tmp_path, capsys):
    from c2r.__main__ import run

    code = run(["eval", *arguments(data, renderer, tmp_path, "--clips", 0)])
    assert code == 2
    assert "c2r eval: --clips 0" in capsys.readouterr().err


def broken(outputs, tmp_path, what: str):
    folder = tmp_path / what
    shutil.copytree(outputs / "perfect", folder)
    path = folder / "held_out-201.mp4"
    frames = scenes.fine_frames(scenes.make_wall(1), "noon", "clear")
    path.unlink()
    if what == "short":
        scenes.write_video(path, frames[:5])
    elif what == "long":
        scenes.write_video(path, np.concatenate([frames, frames]))
    elif what == "small":
        scenes.write_video(path, frames[:, :32, :32])
    elif what == "text":
        path.write_text("no video")
    return folder


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "there is no video .*held_out-201.mp4"),
        ("short", "has 5 frames at 16 fps, wanted 9"),
        ("long", "has more than the 9 frames"),
        ("small", "is 32x32, wanted 64x48"),
        ("text", "is no video"),
    ],
)
def test_outputs_that_are_not_the_clips(data, renderer, outputs, tmp_path, what, message):
    folder = broken(outputs, tmp_path, what)
    with pytest.raises(ValueError, match=message):
        main(arguments(data, renderer, tmp_path / "out", "--outputs", folder, "--no-prompt"))
    assert not (tmp_path / "out" / "report.json").exists()


def test_fewer_frames_can_be_compared(data, renderer, outputs, tmp_path):
    folder = broken(outputs, tmp_path, "short")
    more = ("--outputs", folder, "--no-prompt", "--frames", 5)
    main(arguments(data, renderer, tmp_path / "out", *more))
    found = report(tmp_path / "out")
    assert found["rows"]["short"]["kid"]["frames"] == 10
    assert "prompt" not in found["rows"]["short"]
    assert "prompt response: --no-prompt" in found["left_out"]


def test_kid_against_a_folder_of_videos(data, renderer, tmp_path):
    for seed in (1, 2):
        shown = scenes.fine_frames(scenes.make_wall(seed), "night", "clear")
        scenes.write_video(tmp_path / "real" / f"{seed}.mp4", shown)
    more = ("--reference", tmp_path / "real", "--no-prompt", "--clips", 1)
    main(arguments(data, renderer, tmp_path / "out", *more))
    assert report(tmp_path / "out")["rows"]["fine"]["kid"]["value"] != pytest.approx(0, abs=1e-4)
    with pytest.raises(ValueError, match="holds no videos"):
        main(arguments(data, renderer, tmp_path, "--reference", tmp_path / "none", "--no-prompt"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to measure"),
        (["--outputs", "a"], "nothing to measure"),
        (["--drift", "x.mp4", "--outputs", "a"], "give --data"),
        (["--data", "none"], "cannot read the manifest"),
        (["--data", "none", "--frames", "0"], "--frames 0"),
        (["--data", "none", "--switch", "3:hour=night"], "give one"),
        (["--data", "none", "--device", "warp"], "is no device"),
        (["--data", "none", "--frame", "3"], "did you mean --frames"),
        (["--data", "none", "--stream.window", "9"], "--mode stream"),
    ],
)
def test_choices_that_do_not_work(words, message):
    with pytest.raises(ValueError, match=message):
        main(words)


def test_no_dino_and_broken_geometry_are_refused(data, renderer, tmp_path):
    with pytest.raises(ValueError, match="--features"):
        main(["--data", str(data), "--no-prompt", "--out", str(tmp_path)])
    copy = tmp_path / "set"
    shutil.copytree(data, copy)
    (copy / "clips" / "held_out-200" / "geometry.npz").write_bytes(b"no arrays")
    with pytest.raises(ValueError, match="held_out-200"):
        main(arguments(copy, renderer, tmp_path, "--no-prompt"))


FAST = ("--steps", 2, "--no-prompt", "--guidance", "cfg", "--text-scale", 2)


def test_rendering_offline_by_strength_and_again_without_rendering(
    data, renderer, tmp_path, monkeypatch
):
    words = arguments(
        data, renderer, tmp_path, "--weights", f"net={renderer}", "--strength", 0, 1, *FAST
    )
    assert main(words) == 0
    found = report(tmp_path)
    assert list(found["rows"]) == ["coarse", "fine", "net at 0", "net at 1"]
    response = found["strengths"]["net"]
    assert set(response["structure"]) == {"0", "1"}
    rising = response["structure"]["1"] > response["structure"]["0"]
    assert response["monotone"] == rising
    lost = tmp_path / "renders" / "net-at-1" / "held_out-201.mp4"
    lost.unlink()
    rendered = []
    real = rendering.render

    def noted(networks, coarse, prompt, how):
        rendered.append(prompt)
        return real(networks, coarse, prompt, how)

    monkeypatch.setattr(rendering, "render", noted)
    assert main(words) == 0
    assert rendered == ["a wall at night, rain"]
    assert lost.is_file()
    again, before = values_of(report(tmp_path)), values_of(found)
    assert again == pytest.approx(before, rel=1e-2, abs=1e-2)  # rendered again, not to the bit


def test_renders_with_other_settings_are_not_mixed(data, renderer, tmp_path):
    start = ("--weights", f"net={renderer}", "--clips", 1, *FAST)
    main(arguments(data, renderer, tmp_path, *start))
    with pytest.raises(ValueError, match=r"other settings \(seed differ\)"):
        main(arguments(data, renderer, tmp_path, *start, "--seed", 5))
    folder = tmp_path / "renders" / "net"
    (folder / "how.json").unlink()
    with pytest.raises(ValueError, match=r"holds videos but no how\.json"):
        main(arguments(data, renderer, tmp_path, *start))


def test_a_student_can_be_asked_for_other_steps(data, renderer, tmp_path):
    """Each with its own frames; steps that the stream cannot have are refused."""
    start = ("--weights", f"net={renderer}", "--clips", 1, "--mode", "stream", "--no-prompt")
    made = {}
    for steps in ("[1000]", "[1000, 500]"):
        main(arguments(data, renderer, tmp_path / steps, *start, "--stream.timesteps", steps))
        folder = tmp_path / steps / "renders" / "net"
        made[steps] = (folder / "held_out-200.mp4").read_bytes()
        how = json.loads((folder / "how.json").read_text())
        assert how["stream"]["timesteps"] == json.loads(steps)
    assert made["[1000]"] != made["[1000, 500]"]
    with pytest.raises(ValueError, match="timesteps is empty"):
        main(arguments(data, renderer, tmp_path, *start, "--stream.timesteps", "[]"))


def test_a_renderer_of_another_size_is_refused(data, renderer, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(renderer, other)
    text = (
        (other / "preset.yaml")
        .read_text()
        .replace("width: 64\nheight: 48", "width: 32\nheight: 48")
    )
    assert "width: 32" in text
    (other / "preset.yaml").write_text(text)
    with pytest.raises(ValueError, match="is 64x48, the renderer makes 32x48"):
        main(arguments(data, renderer, tmp_path, "--weights", other, *FAST))


def test_rendering_is_that_of_the_command_render(networks):
    """The same frames as the runtime's own offline and streaming code."""
    from c2r.streaming.guidance import GuidanceConfig
    from c2r.streaming.sampler import SamplerConfig
    from runtime.cli.render import stream_clip
    from runtime.pipeline.offline import render_offline
    from runtime.pipeline.pipeline import Pipeline

    coarse = scenes.coarse_frames(scenes.make_wall(3))[:8]  # fills neither latents nor chunks
    guidance = GuidanceConfig(kind="apg", text_scale=3.0)
    pipeline = Pipeline(networks)
    offline = Rendering(steps=2, guidance=guidance, strength=0.7, seed=3)
    config = SamplerConfig(2, networks.preset.stream.shift, guidance)
    wanted = render_offline(pipeline, coarse, prompt="a wall", strength=0.7, seed=3, config=config)
    np.testing.assert_array_equal(render(networks, coarse, "a wall", offline), wanted)
    stream = Rendering(mode="stream", strength=0.7, seed=3)
    parts = list(stream_clip(pipeline, coarse, prompt="a wall", strength=0.7, seed=3))
    found = render(networks, coarse, "a wall", stream)
    np.testing.assert_array_equal(found, np.concatenate(parts))
    bare = render(networks, coarse, "a wall", Rendering(mode="stream", control=False, seed=3))
    assert bare.shape == coarse.shape
    assert not np.array_equal(bare, found)


def test_the_random_state_of_the_process_is_left_alone(data, renderer, tmp_path):
    state = torch.random.get_rng_state()
    command.main(arguments(data, renderer, tmp_path, "--clips", 1, "--no-prompt"))
    assert torch.equal(torch.random.get_rng_state(), state)

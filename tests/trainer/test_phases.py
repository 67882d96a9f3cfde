"""What trains in each phase, what stays, what is in memory, and the renderer that comes out."""

from __future__ import annotations

import pytest
import torch

from c2r.weights.renderer import load_networks, read_renderer
from tests.trainer.small_run import changes, make_clips, make_renderer
from trainer.data.loader import Prefetcher
from trainer.dist.parallel import close_world, open_world
from trainer.loop import Loop, open_dataset
from trainer.networks.denoiser import Denoiser
from trainer.networks.renderer import trained_networks
from trainer.phases import load_phase, phase_settings
from trainer.phases.flow_phase import FlowPhase

ADAPTER = {
    "control.dino_patch_adapter.temporal_downsample.convs.0.weight",
    "control.dino_patch_adapter.temporal_downsample.convs.1.weight",
    "control.dino_patch_adapter.ln.weight",
    "control.dino_patch_adapter.ln.bias",
    "control.dino_patch_adapter.mlp.0.weight",
    "control.dino_patch_adapter.mlp.0.bias",
    "control.dino_patch_adapter.mlp.2.weight",
    "control.dino_patch_adapter.mlp.2.bias",
    "control.dino_fusion_bridge.ln.weight",
    "control.dino_fusion_bridge.ln.bias",
    "control.dino_fusion_bridge.fc1.weight",
    "control.dino_fusion_bridge.fc1.bias",
    "control.dino_fusion_bridge.fc2.weight",
    "control.dino_fusion_bridge.fc2.bias",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("phases")
    make_renderer(made / "renderer")
    make_renderer(made / "plain", control=False)
    make_clips(made / "clips", real=2, cg=2)
    return made


@pytest.fixture
def loop_of(root, tmp_path):
    """Makes loops; their process group is closed afterwards."""

    def make(phase, renderer="renderer", **more):
        start = {"folder": str(root / renderer)}
        settings = changes(
            tmp_path / "run", root / "clips" / "manifest.jsonl", phase, start=start, **more
        )
        config = phase_settings(settings)
        world = open_world(config.parallel, "cpu")
        built = load_phase(phase)(config, world)
        return Loop(config, built, world, open_dataset(config, built))

    yield make
    close_world()


def steps(loop: Loop, count: int) -> tuple[dict, dict]:
    """The denoiser's weights before and after some steps."""
    assert isinstance(loop.phase, FlowPhase)
    denoiser = loop.phase.denoiser
    before = {name: p.detach().clone() for name, p in denoiser.named_parameters()}
    ahead = Prefetcher(loop.dataset, loop.draws, start=0, depth=0, workers=1)
    for _ in range(count):
        loop.train_step(ahead)
        loop.step += 1
    return before, dict(denoiser.named_parameters())


def changed(before, after) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name].detach())}


def names_of(loop: Loop) -> set[str]:
    denoiser = loop.phase.parts["renderer"]
    assert isinstance(denoiser, Denoiser)
    return {name for name, _ in denoiser.named_parameters()}


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_align_trains_the_whole_dit_and_has_no_control(loop_of, precision):
    loop = loop_of("align", precision=precision)
    assert loop.phase.encoders.dino is None
    assert loop.phase.denoiser.control is None
    assert loop.dataset.batch([0]).control is None
    before, after = steps(loop, 2)
    assert changed(before, after) == names_of(loop)
    assert all(p.dtype == torch.float32 for p in after.values()), "masters"


def test_align_with_lora_trains_the_updates_alone(loop_of):
    loop = loop_of("align", lora={"rank": 2, "alpha": 4})
    before, after = steps(loop, 3)
    layers: tuple[str, ...] = (
        "self_attn.q",
        "self_attn.k",
        "self_attn.v",
        "self_attn.o",
        "ffn.0",
        "ffn.2",
    )
    layers += ("cross_attn.q", "cross_attn.k", "cross_attn.v", "cross_attn.o")
    expected = {
        f"dit.blocks.{block}.{layer}.lora_{side}.default.weight"
        for block in range(3)
        for layer in layers
        for side in "AB"
    }
    assert changed(before, after) == expected
    # The merged renderer gives what the updated layers give.
    assert isinstance(loop.phase, FlowPhase)
    weights = {name: p.detach() for name, p in after.items() if name in expected}
    merged = trained_networks(loop.config, loop.phase.start, weights, loop.phase.fill_dit())
    x, text = torch.randn(1, 2, 16, 6, 8), torch.randn(1, 64, 32)
    timestep = torch.tensor([500.0])
    with torch.no_grad():
        expected_velocity = loop.phase.denoiser(x, timestep, text)
        velocity = merged.dit(x, timestep, merged.dit.text_kv(text))
        plain = loop.phase.start.dit()
        old = plain(x, timestep, plain.text_kv(text))
    assert torch.allclose(velocity, expected_velocity, atol=1e-5)
    assert not torch.allclose(velocity, old, atol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_ground_trains_the_adapter_alone(loop_of, precision):
    loop = loop_of("ground", precision=precision)
    dino = {k: v.clone() for k, v in loop.phase.encoders.dino.state_dict().items()}
    before, after = steps(loop, 3)
    assert changed(before, after) == ADAPTER
    assert {name for name, p in after.items() if p.requires_grad} == ADAPTER
    assert all(torch.equal(dino[k], v) for k, v in loop.phase.encoders.dino.state_dict().items())


def test_ground_trains_the_controlnet_alone(loop_of):
    control = {"kind": "controlnet", "inject": "strided:2"}
    loop = loop_of("ground", renderer="plain", model={"control": control})
    denoiser = loop.phase.denoiser
    clone, source = denoiser.control.blocks[1], denoiser.dit.blocks[2]
    assert torch.equal(clone.self_attn.q.weight, source.self_attn.q.weight), "cloned at the start"
    before, after = steps(loop, 3)
    expected = {name for name in before if name.startswith("control.")}
    assert len(expected) == 2 + 6 + 2 * (2 + len(list(source.parameters())))
    assert changed(before, after) == expected


def test_a_new_adapter_begins_as_no_control(loop_of):
    loop = loop_of("ground", renderer="plain", model={"control": {"kind": "adapter"}})
    denoiser = loop.phase.denoiser
    x, text = torch.randn(1, 3, 16, 6, 8), torch.randn(1, 64, 32)
    features = torch.randn(1, 9, 12, 32)
    with torch.no_grad():
        with_control = denoiser(x, torch.tensor([500.0]), text, features=features)
        without = denoiser(x, torch.tensor([500.0]), text)
    assert torch.allclose(with_control, without, atol=1e-6)


@pytest.mark.parametrize(
    ("phase", "more", "words"),
    [
        ("ground", {"model": {"control": {"kind": "none"}}}, r"model\.control\.kind is none"),
        (
            "ground",
            {"lora": {"rank": 2}},
            r"lora\.rank belongs to phase align; this is phase ground",
        ),
        ("align", {"lora": {"targets": ["wheel"]}}, r"lora\.targets"),
    ],
)
def test_settings_that_a_phase_cannot_have(loop_of, phase, more, words):
    with pytest.raises(ValueError, match=words):
        loop_of(phase, **more)


@pytest.mark.parametrize("phase", ["align", "ground"])
def test_the_renderer_holds_the_ema_and_everything_else_as_it_was(loop_of, phase, root):
    loop = loop_of(phase, precision="bf16", steps=3, model={"dit": {"eps": 1e-6}})
    loop.run()
    folder = loop.config.folder / "renderer"
    preset, paths = read_renderer(folder)
    assert preset.dit == loop.config.model.dit
    assert preset.control.kind == ("none" if phase == "align" else "adapter")
    made = load_networks(preset, paths)
    assert made.random_parts == ()
    best = loop.optimisers["renderer"].best
    trained = {f"dit.{name}": value for name, value in made.dit.state_dict().items()}
    if made.control is not None:
        own = made.control.state_dict().items()
        trained |= {f"control.{name}": value for name, value in own}
    assert all(torch.equal(trained[name], value) for name, value in best.items())
    _, started = read_renderer(root / "renderer")
    begun = load_networks(loop.config.model, started)
    assert same(begun.vae, made.vae)
    assert same(begun.dino, made.dino)
    assert same(begun.dit, made.dit) == (phase == "ground"), "float32, though frozen in bf16"
    latest = loop.optimisers["renderer"].parameters
    assert any(not torch.equal(latest[name], value) for name, value in best.items())


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)

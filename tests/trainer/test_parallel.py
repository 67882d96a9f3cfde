"""Two processes and four (gloo): FSDP2 and context parallelism give the single process's losses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.fsdp import FSDPModule

from c2r.models.attention import block_causal
from c2r.models.build import build_control
from c2r.models.control import ControlNetwork
from c2r.weights.networks import load_control, load_dit
from tests.small_networks import DINO_DIM, GRID, make_adapter, make_controlnet, make_dit
from tests.trainer.processes import free_port, start_processes, take_place
from tests.trainer.small_run import (
    DEBUG,
    ROOT,
    changes,
    losses,
    make_clips,
    make_renderer,
    write_config,
)
from trainer.command import train
from trainer.dist.context_parallel import TokenShare
from trainer.dist.parallel import close_world, layout_of, local, open_world
from trainer.networks.denoiser import Denoiser
from trainer.phases import load_phase, phase_settings
from trainer.settings import ParallelConfig

RUNS = {
    "align-shard": ("align", {}),
    "align-context": ("align", {"context": 2}),
    "align-replicate": ("align", {"replicate": 2, "recompute": False}),
    "ground-shard": ("ground", {}),
    "ground-context": ("ground", {"context": 2}),
}
SHARES: dict[str, dict[str, Any]] = {"shard": {}, "replicate": {"replicate": 2}}
"""Layouts whose blocks are looked at."""


def settings(root: Path, name: str, phase: str, parallel: dict[str, Any]) -> dict[str, Any]:
    start = {"folder": str(root / "renderer")}
    return changes(
        root / name,
        root / "clips" / "manifest.jsonl",
        phase,
        parallel=parallel,
        start=start,
        steps=4,
        checkpoint={"every": 1},  # written while training's own messages go on
        log={"sample_every": 2, "sampler": {"steps": 1}},
    )


def _train_all(rank: int, root: Path, ports: dict[str, int]) -> None:
    for name, (phase, parallel) in RUNS.items():
        take_place(rank, 2, ports[name])
        train(phase_settings(settings(root, name, phase, parallel)))
    _context_gradients(rank, root, ports["gradients"])
    _shares(rank, root, ports)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Every run of two processes, and a single one of each phase."""
    root = tmp_path_factory.mktemp("parallel")
    make_renderer(root / "renderer")
    make_clips(root / "clips")
    for phase in ("align", "ground"):
        train(phase_settings(settings(root, phase, phase, {})))
    ports = {name: free_port() for name in (*RUNS, "gradients", *SHARES)}
    start_processes(_train_all, (root, ports), 2)
    return root


@pytest.mark.parametrize("name", list(RUNS))
def test_two_processes_give_the_losses_of_one(trained, name):
    phase = RUNS[name][0]
    alone, together = losses(trained / phase), losses(trained / name)
    assert len(alone) == 4
    assert alone[0] != pytest.approx(alone[3], abs=1e-3), "something must be learned"
    assert together == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("name", list(RUNS))
def test_their_renderers_are_the_same(trained, name):
    phase, model = RUNS[name][0], phase_settings(settings(trained, "x", "ground", {})).model
    for part in ["dit"] if phase == "align" else ["dit", "control"]:
        both = []
        for run in (phase, name):
            path = trained / run / "renderer" / f"{part}.safetensors"
            if part == "dit":
                network: torch.nn.Module = load_dit(path, model.dit, dtype=torch.float32)
            else:
                made = build_control(model)
                assert made is not None
                network = made
                load_control(path, network, dtype=torch.float32)
            both.append(network.state_dict())
        for key, value in both[0].items():
            # Adam makes steps of full size from gradients that are only rounding.
            assert (both[1][key] - value).abs().mean() < 2e-3, key


def _shares(rank: int, root: Path, ports: dict[str, int]) -> None:
    """What each process holds of every block, by layout; the first process writes it."""
    found: dict[str, list[tuple[bool, float]]] = {}
    for name, parallel in SHARES.items():
        # A port for each: the one left behind may still answer the faster process.
        take_place(rank, 2, ports[name])
        config = phase_settings(settings(root, "shares", "align", parallel))
        world = open_world(config.parallel, "cpu")
        phase = load_phase(config.phase)(config, world)
        (denoiser,) = phase.parts.values()
        assert isinstance(denoiser, Denoiser)
        for block in denoiser.blocks:
            whole = sum(p.numel() for p in block.parameters())
            held = sum(local(p).numel() for p in block.parameters()) / whole
            found.setdefault(name, []).append((isinstance(block, FSDPModule), held))
        close_world()
    if rank == 0:
        (root / "shares.json").write_text(json.dumps(found))


def test_every_block_is_sharded_by_itself(trained):
    shares = json.loads((trained / "shares.json").read_text())
    assert len(shares["shard"]) == DEBUG.dit.layers
    for wrapped, held in shares["shard"]:
        assert wrapped
        assert held == pytest.approx(0.5, abs=0.05)
    assert all(wrapped and held == 1.0 for wrapped, held in shares["replicate"])


def _context_gradients(rank: int, root: Path, port: int) -> None:
    """Compare gradients with and without shared tokens; the first process writes the worst."""
    place = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=place, rank=rank, world_size=2)
    worst = {
        f"{kind} {name}": _worst_gradient(kind, mask, rank)
        for kind in ("none", "adapter", "controlnet")
        for name, mask in (("all", None), ("causal", block_causal(3, 1)))
    }
    dist.destroy_process_group()
    if rank == 0:
        (root / "gradients.json").write_text(json.dumps(worst))


def _worst_gradient(kind, mask, rank: int) -> float:
    """The largest difference of a gradient, relative to its largest value."""
    dit = make_dit()
    control: ControlNetwork | None = None
    if kind != "none":
        control = make_adapter() if kind == "adapter" else make_controlnet(dit)
    denoiser = Denoiser(dit, control).requires_grad_(True)
    dit.checkpoint_blocks = True
    torch.manual_seed(5)
    x, target, text = (
        torch.randn(2, 3, 16, 6, 8),
        torch.randn(2, 3, 16, 6, 8),
        torch.randn(2, 16, 32),
    )
    given: dict[str, Any] = {"mask": mask}
    if kind != "none":
        given["features"] = torch.randn(2, 9, 12, DINO_DIM)
        given["strength"] = torch.tensor([1.0, 0.5])
    timestep = torch.tensor([300.0, 800.0])
    (denoiser(x, timestep, text, **given) - target).square().mean().backward()
    whole = {n: p.grad.clone() for n, p in denoiser.named_parameters() if p.grad is not None}
    denoiser.zero_grad()
    assert dist.group.WORLD is not None
    share = TokenShare(GRID, 2, dist.group.WORLD, rank, 2)
    denoiser.share = dit.share = share
    assert share.join(share.cut(x)).equal(x)
    velocity = denoiser(x, timestep, text, **given)
    (velocity - denoiser.own(target)).square().mean().backward()
    worst = 0.0
    for name, parameter in denoiser.named_parameters():
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            difference = (parameter.grad / 2 - whole[name]).abs().max()
            worst = max(worst, float(difference / whole[name].abs().max().clamp_min(1e-6)))
    return worst


def test_gradients_with_shared_tokens_are_those_without(trained):
    worst = json.loads((trained / "gradients.json").read_text())
    assert len(worst) == 6
    assert max(worst.values()) < 1e-4, worst


def test_another_number_of_processes_goes_on_from_a_checkpoint(trained):
    for name in ("align", "align-context"):
        train(phase_settings(settings(trained, name, "align", {}) | {"steps": 6}))
    assert losses(trained / "align-context") == pytest.approx(losses(trained / "align"), abs=1e-4)


def test_torchrun_starts_four(trained, tmp_path):
    """The launcher's own environment; two replicas, each of two processes that share weights and
    tokens; and the losses of one process.
    """
    parallel = {"replicate": 2, "context": 2}
    own = {"folder": str(tmp_path / "run"), "micro_batch": 1}
    run = settings(trained, "run", "ground", parallel) | own
    config = write_config(tmp_path / "run.yaml", run)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4"]
    found = subprocess.run(
        [sys.executable, *launcher, "-m", "trainer.train", "--config", str(config), "--steps", "2"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    alone = losses(trained / "ground")[:2]
    assert losses(tmp_path / "run") == pytest.approx(alone, abs=1e-4)


def test_compiled_blocks_give_the_losses_of_plain_ones(trained):
    compiled = {"compile": True, "compile_backend": "aot_eager"}
    for phase in ("align", "ground"):
        more = settings(trained, f"{phase}-compiled", phase, compiled) | {"steps": 2}
        train(phase_settings(more))
        alone = losses(trained / phase)[:2]
        assert losses(trained / f"{phase}-compiled") == pytest.approx(alone, abs=1e-4)


def test_layouts():
    assert layout_of(ParallelConfig(context=2), 8).shard == 4
    assert layout_of(ParallelConfig(replicate=2), 8).data_ranks == 8
    with pytest.raises(ValueError, match=r"parallel\.replicate"):
        layout_of(ParallelConfig(context=3), 8)
    with pytest.raises(ValueError, match=r"8 processes .* do not divide"):
        layout_of(ParallelConfig(shard=2), 8)

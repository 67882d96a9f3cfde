"""Processes: who shares clips, who shares weights, who shares one clip's tokens.

Ranks count as (replicate, shard, context), context fastest. The ranks of a context group see the
same clip, each its own tokens of it; weights are sharded over shard x context and the same on
every replica. One process runs without a mesh.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from trainer.dist.link import Link, open_link
from trainer.settings import ParallelConfig

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Layout:
    """How many processes share what; their product is all of them."""

    replicate: int
    shard: int
    context: int

    @property
    def size(self) -> int:
        """All processes."""
        return self.replicate * self.shard * self.context

    @property
    def data_ranks(self) -> int:
        """Processes, or groups of them, that see clips of their own."""
        return self.replicate * self.shard


def layout_of(config: ParallelConfig, size: int) -> Layout:
    """The configured layout of `size` processes; `ValueError` when they do not divide."""
    fixed = config.replicate * config.context * max(1, config.shard)
    if size % fixed or (config.shard and size != fixed):
        raise ValueError(
            f"{size} processes (a teacher's own left out) do not divide into parallel.replicate "
            f"{config.replicate} x shard {config.shard or 'the rest'} x context {config.context}; "
            "change one of them, or the number of processes"
        )
    shard = config.shard or size // (config.replicate * config.context)
    return Layout(config.replicate, shard, config.context)


@dataclass(frozen=True)
class World:
    """This process among all. `mesh` (replicate, shard x context) is None for a single process.

    With a `link`, rank and layout are those in the students' or the teacher's own process group;
    `teaches` says which.
    """

    rank: int
    device: torch.device
    layout: Layout
    mesh: DeviceMesh | None = None
    context_group: dist.ProcessGroup | None = None
    link: Link | None = None
    teaches: bool = False

    @property
    def first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    @property
    def data_rank(self) -> int:
        """Which share of a batch's samples is read here."""
        return self.rank // self.layout.context

    @property
    def context_rank(self) -> int:
        """Which share of a clip's tokens is computed here."""
        return self.rank % self.layout.context

    def total(self, values: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.layout.size > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.layout.size > 1:
            dist.barrier()

    def replicated(self, module: Module) -> Module:
        """A small module that every process has whole: its gradients become means over all.

        Each backward pass adds this process's share to what is the mean already, so averaging the
        sum again is right for micro-batches too.
        """

        def average(parameter: Tensor) -> None:
            assert parameter.grad is not None
            self.total(parameter.grad).div_(self.layout.size)

        for parameter in module.parameters():
            parameter.register_post_accumulate_grad_hook(average)
        return module

    def autocast(self, precision: str) -> torch.autocast:
        """Products in bfloat16 where `precision` is bf16."""
        # No cache of cast weights: each is used once, and sharded ones must not stay whole.
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False
        )


def choose_device(name: str) -> torch.device:
    """`auto` is this process's own GPU when there is one, else the CPU."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if name not in ("auto", "cuda"):
        raise ValueError(f"device {name!r} is unknown; use auto, cpu or cuda")
    if not torch.cuda.is_available():
        raise ValueError("device cuda: PyTorch sees no CUDA device here; use cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


@dataclass(frozen=True)
class _Place:
    """A process in its own process group; `store` None: PyTorch finds one."""

    rank: int
    layout: Layout
    store: dist.Store | None = None
    link: Link | None = None
    teaches: bool = False


def _place(config: ParallelConfig, rank: int, size: int, teachers: int) -> _Place:
    """Where a process belongs; `ValueError` for shares that are uneven."""
    students = size - teachers
    if teachers and (students < 1 or students % teachers):
        raise ValueError(
            f"distil.teacher_ranks {teachers} of {size} processes leaves {max(0, students)} for "
            "the student; each of the teacher's answers equally many of the student's, so start a "
            "multiple of teacher_ranks with torchrun, two times as many at least"
        )
    layout = layout_of(config, students)
    if not teachers:
        return _Place(rank, layout, dist.HashStore() if size == 1 else None)
    store, rank, _ = next(dist.rendezvous("env://", rank, size))
    link = open_link(store, rank, students, teachers)
    if rank < students:
        return _Place(rank, layout, dist.PrefixStore("student", store), link)
    own = dist.PrefixStore("teacher", store)
    return _Place(rank - students, Layout(1, teachers, 1), own, link, teaches=True)


def open_world(config: ParallelConfig, device_name: str, teachers: int = 0) -> World:
    """Join the processes that torchrun started, or be the only one.

    The last `teachers` of them form a separate process group, over which a teacher is sharded. A
    group is opened for a single process too: DCP wants one.
    """
    device = choose_device(device_name)
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    place = _place(config, rank, size, teachers)
    rank, layout = place.rank, place.layout
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, rank=rank, world_size=layout.size, store=place.store)
    if layout.size == 1:
        return World(rank, device, layout, link=place.link, teaches=place.teaches)
    shared = layout.shard * layout.context
    names = ("replicate", "shard")
    mesh = init_device_mesh(device.type, (layout.replicate, shared), mesh_dim_names=names)
    group = None
    if layout.context > 1:
        clips = init_device_mesh(
            device.type, (layout.data_ranks, layout.context), mesh_dim_names=("data", "context")
        )
        group = clips.get_group("context")
    return World(rank, device, layout, mesh, group, place.link, place.teaches)


def shard(root: nn.Module, blocks: Iterable[nn.Module], world: World) -> None:
    """Shard a module's weights (FSDP2): each block alone, the rest with the root.

    Parameters become shards of themselves (`DTensor`); gradients are averaged over all processes.
    Blocks are gathered one after the other and freed after use, so a process never holds the whole
    network; the root's few weights are used at both ends of the pass and stay until its backward.
    The backward pass is what frees them: see `reshard` for passes without one.
    """
    assert world.mesh is not None, "one process has nothing to shard"
    for block in blocks:
        fully_shard(block, mesh=world.mesh)
    fully_shard(root, mesh=world.mesh, reshard_after_forward=False)


def reshard(root: nn.Module) -> None:
    """Free the whole weights that a sharded module's root holds after a pass without gradients."""
    if isinstance(root, FSDPModule):
        root.reshard()


def local(tensor: Tensor) -> Tensor:
    """This process's part of a sharded tensor, sharing its memory; others as they are."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def close_world() -> None:
    """Leave the process group, if one was opened."""
    if dist.is_initialized():
        dist.destroy_process_group()

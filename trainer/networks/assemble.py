"""Put a denoiser together for training: what trains, in which precision, sharded over whom.

Trained weights are float32 masters; frozen ones are kept in the precision of the products. With
several processes only the first reads weights: the others are made on meta and filled from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn
from torch._dynamo import config as dynamo
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.fsdp import register_fsdp_forward_method

from c2r.models.build import build_control, build_dit
from c2r.models.dit import DiT
from c2r.models.precision import parameter_dtype
from trainer.dist.context_parallel import TokenShare, check_context
from trainer.dist.parallel import World, shard
from trainer.networks.denoiser import Denoiser
from trainer.networks.start import Start
from trainer.settings import TrainConfig

Trains = Callable[[str], bool]
"""Whether the parameter of that name (in the denoiser) is trained."""
Adapt = Callable[[DiT], None]
"""Changes a DiT in place before what trains is chosen, on meta as well (LoRA of phase align)."""
Kind = TypeVar("Kind", bound=Denoiser)

GRAPHS = 32
"""Compiled forms that a block may have: it is traced again for trained and for frozen weights, with
and without gradients, with and without control's hints, and for another batch. PyTorch's limit of
8 is less than phase consistency needs, and what comes after it would run uncompiled.
"""


def _assembled(
    config: TrainConfig,
    start: Start,
    control: bool,
    *,
    meta: bool,
    kind: type[Kind],
    adapt: Adapt | None = None,
) -> Kind:
    if meta:
        with torch.device("meta"):
            dit = build_dit(config.model, config.attention)
            steering = build_control(config.model) if control else None
    else:
        dit = start.dit()
        steering = start.control(dit) if control else None
    if adapt is not None:
        adapt(dit)
    return kind(dit, steering)


def choose_trained(denoiser: Denoiser, trains: Trains, precision: str) -> None:
    """Set what trains; `ValueError` when that is nothing."""
    _set_trained(denoiser, trains, precision)
    if not any(parameter.requires_grad for parameter in denoiser.parameters()):
        raise ValueError("nothing is trained in this phase; check lora.targets and model.control")


def _set_trained(denoiser: Denoiser, trains: Trains, precision: str) -> None:
    """Frozen matrices take the precision of the products."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    owners: dict[str, nn.Module | None] = {"dit": denoiser.dit, "control": denoiser.control}
    for name, parameter in denoiser.named_parameters():
        parameter.requires_grad_(trains(name))
        if not trains(name):
            part, _, inner = name.partition(".")
            owner = owners[part]
            assert owner is not None
            plain = inner.replace(".base_layer.", ".")
            parameter.data = parameter.data.to(parameter_dtype(owner, plain, dtype))


def meta_denoiser(
    config: TrainConfig,
    start: Start,
    *,
    control: bool,
    trains: Trains,
    adapt: Adapt | None = None,
) -> Denoiser:
    """Shapes and dtypes only, for counting."""
    denoiser = _assembled(config, start, control, meta=True, kind=Denoiser, adapt=adapt)
    choose_trained(denoiser, trains, config.precision)
    return denoiser


def build_denoiser(
    config: TrainConfig,
    world: World,
    start: Start,
    *,
    control: bool,
    trains: Trains,
    kind: type[Kind],
    adapt: Adapt | None = None,
) -> Kind:
    """The denoiser of this process, on its device, ready to train."""
    denoiser = _assembled(config, start, control, meta=not world.first, kind=kind, adapt=adapt)
    choose_trained(denoiser, trains, config.precision)
    return _placed(denoiser, config, world)


def frozen_denoiser(
    config: TrainConfig, world: World, start: Start, kind: type[Kind], *, moved: bool = True
) -> Kind:
    """A denoiser with control that does not train, on this process's device; unless `moved`, in
    main memory.
    """
    denoiser = _assembled(config, start, True, meta=not world.first, kind=kind)
    _set_trained(denoiser, lambda name: False, config.precision)
    return _placed(denoiser, config, world, moved=moved)


def _placed(denoiser: Kind, config: TrainConfig, world: World, *, moved: bool = True) -> Kind:
    """On its device if `moved`, sharded and compiled as the run's settings say."""
    parallel, layout = config.parallel, world.layout
    denoiser.dit.checkpoint_blocks = parallel.recompute
    if layout.context > 1:
        check_context(config.model.dit, config.model.tokens_per_latent, layout.context)
        assert world.context_group is not None
        denoiser.share = denoiser.dit.share = TokenShare(
            config.model.grid,
            config.model.dit.patch,
            world.context_group,
            world.context_rank,
            layout.context,
        )
    if parallel.compile:
        dynamo.recompile_limit = max(dynamo.recompile_limit, GRAPHS)
        for block in denoiser.blocks:
            block.compile(backend=parallel.compile_backend)
    if world.mesh is None:
        return denoiser.to(world.device) if moved else denoiser
    _shard_from_first(denoiser, world)
    return denoiser


def _shard_from_first(denoiser: Denoiser, world: World) -> None:
    """Shard, and fill every shard from the first process's weights.

    In this order: sharding a module that is on meta costs no memory, so no process but the first
    ever holds the whole network, and the first holds it on the CPU. Hooks of FSDP are on `forward`
    alone; other methods that touch weights (`entries`) are registered, or they would compute with
    shards.
    """
    whole = denoiser.state_dict() if world.first else {}
    denoiser.to(torch.device("meta"))
    shard(denoiser, denoiser.blocks, world)
    for entry in denoiser.entries:
        register_fsdp_forward_method(denoiser, entry)
    denoiser.to_empty(device=world.device)
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(denoiser, whole, options=options)

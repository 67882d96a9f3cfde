"""`--dry-run`: build everything on the meta device, count, print, and refuse what cannot fit."""

from __future__ import annotations

from rich.table import Table

from trainer.dist.context_parallel import check_context
from trainer.dist.parallel import layout_of
from trainer.memory_plan import RESERVE, Plan, count_memory
from trainer.networks.assemble import meta_denoiser
from trainer.networks.start import Start
from trainer.phases import load_phase
from trainer.phases.flow_phase import FlowPhase
from trainer.phases.settings import AlignRun, FlowRun
from trainer.settings import TrainConfig


def planned(config: TrainConfig) -> Plan:
    """The counts of a configuration on its `hardware`; `ValueError` for one that cannot run."""
    phase = load_phase(config.phase)
    phase.check(config)
    if not (isinstance(phase, type) and issubclass(phase, FlowPhase)):
        known = "those that train one denoiser by flow matching: align, ground, joint"
        raise ValueError(f"--dry-run cannot count phase {config.phase}; it counts {known}")
    assert isinstance(config, FlowRun)
    layout = layout_of(config.parallel, config.hardware.gpus)
    if layout.context > 1:
        check_context(config.model.dit, config.model.tokens_per_latent, layout.context)
    config.accumulate(layout.data_ranks)
    trains, control = phase.trains(config), phase.needs_control
    denoiser = meta_denoiser(
        config, Start(config), control=control, trains=trains, adapt=phase.adapt(config)
    )
    return count_memory(config, denoiser, layout, control=control)


def table(config: TrainConfig, plan: Plan) -> Table:
    """The counts for a terminal."""
    memory, layout = plan.memory, plan.layout
    rows = Table("what", "count", title=f"{config.phase} {config.model.name}")
    rows.add_row("GPUs", f"{config.hardware.gpus} x {config.hardware.memory_gb:g} GB")
    shares = f"{layout.replicate} x {layout.shard} x {layout.context}"
    rows.add_row("replicate x shard x context", shares)
    rows.add_row("trained parameters", f"{plan.trained:,}")
    rows.add_row("frozen parameters", f"{plan.frozen:,}")
    rows.add_row("tokens per clip", f"{plan.tokens_clip:,}")
    rows.add_row("tokens per step", f"{plan.tokens_step:,}")
    rows.add_row("weights + gradients + Adam, all GPUs", f"{plan.state_bytes / 1e9:.2f} GB")
    rows.add_section()
    for name, value in vars(memory).items():
        rows.add_row(f"{name}, one GPU", f"{value / 1e9:.2f} GB")
    rows.add_row("all, one GPU", f"{memory.total / 1e9:.2f} GB")
    return rows


def check_fits(config: TrainConfig, plan: Plan) -> None:
    """`ValueError`, naming what to change, when one GPU cannot hold its share."""
    memory, room = plan.memory, config.hardware.memory_gb * 1e9 * (1 - RESERVE)
    if memory.total <= room:
        return
    state = memory.masters + memory.gradients + memory.adam + memory.ema + memory.frozen
    advice = []
    if state + memory.gathered > room / 2:
        advice.append("raise hardware.gpus and parallel.shard")
        if isinstance(config, AlignRun) and config.lora is None:
            advice.append("set lora.rank to train low-rank updates")
        if config.optim.ema and memory.ema > room / 20:
            advice.append("set optim.ema to 0")
    if memory.activations > room / 4:
        if not config.parallel.recompute:
            advice.append("set parallel.recompute to true")
        if config.micro_batch > 1:
            advice.append("lower micro_batch")
        advice.append("raise parallel.context or lower data.frames")
    if memory.encoders > room / 10 and config.data.cache is None:
        advice.append("use data.cache, so that no text encoder is kept")
    raise ValueError(
        f"{memory.total / 1e9:.1f} GB per GPU do not fit hardware.memory_gb "
        f"{config.hardware.memory_gb:g} ({RESERVE:.0%} kept free): "
        f"{'; '.join(advice) or 'raise hardware.memory_gb'}"
    )

"""Phase 1: the DiT learns the look of real video from text alone.

The whole DiT trains, or low-rank updates beside its layers (LoRA, by peft), which are merged into
the weights of the renderer. No DINO and no control network are in memory; the renderer it writes
has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial

from peft import LoraConfig as PeftConfig
from peft import inject_adapter_in_model
from torch import Tensor, nn

from c2r.models.seeded import seeded
from trainer.networks.assemble import Adapt, Trains
from trainer.networks.renderer import Fill, fill
from trainer.phases.flow_phase import FlowPhase
from trainer.phases.settings import AlignRun, LoraConfig

LORA_MARK = ".lora_"
LORA_A, LORA_B = ".lora_A.default.weight", ".lora_B.default.weight"


def add_lora(dit: nn.Module, lora: LoraConfig, seed: int) -> None:
    """Low-rank updates beside the targeted layers of every block, in place; zero at the start."""
    ends = "|".join(target.replace(".", r"\.") for target in lora.targets)
    pattern = rf"blocks\.\d+\.(?:\w+\.)*(?:{ends})"
    config = PeftConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=pattern)
    meta = next(dit.parameters()).is_meta
    with nullcontext() if meta else seeded(seed):
        try:
            inject_adapter_in_model(config, dit, low_cpu_mem_usage=meta)
        except ValueError as error:
            raise ValueError(f"lora.targets {lora.targets} name no layer of the DiT") from error


def merge_lora(lora: LoraConfig, dit: nn.Module, updates: Mapping[str, Tensor]) -> None:
    """Add `alpha / rank * B A` to the layers that had updates; names are the DiT's."""
    parameters = dict(dit.named_parameters())
    for name, a in updates.items():
        if name.endswith(LORA_A):
            layer = name.removesuffix(LORA_A)
            update = updates[layer + LORA_B].float() @ a.float()
            parameters[f"{layer}.weight"].data += lora.alpha / lora.rank * update


class Align(FlowPhase[AlignRun]):
    """Flow matching of the DiT on clips with text."""

    name = "align"
    needs_control = False

    @classmethod
    def trains(cls, config: AlignRun) -> Trains:
        """The DiT's parameters, or with LoRA only the updates."""
        if config.lora is not None:
            return lambda name: LORA_MARK in name
        return lambda name: name.startswith("dit.")

    @classmethod
    def adapt(cls, config: AlignRun) -> Adapt | None:
        return (
            None if config.lora is None else partial(add_lora, lora=config.lora, seed=config.seed)
        )

    def fill_dit(self) -> Fill:
        return fill if self.config.lora is None else partial(merge_lora, self.config.lora)

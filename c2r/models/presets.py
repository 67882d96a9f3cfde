"""Presets: renderers with a name, from the `debug` of the tests to the 14B teacher, as data."""

from __future__ import annotations

from dataclasses import replace

from c2r.models.configs import (
    ControlConfig,
    DinoConfig,
    DiTConfig,
    Preset,
    StreamConfig,
    TextConfig,
    TinyVAEConfig,
    WanVAEConfig,
)
from c2r.spelling import did_you_mean

DINOV3_S = DinoConfig(hidden=384, mlp=1536, layers=12, heads=6)
DINOV3_B = DinoConfig(hidden=768, mlp=3072, layers=12, heads=12)
DINOV3_L = DinoConfig(hidden=1024, mlp=4096, layers=24, heads=16)
DINOV3_H_PLUS = DinoConfig(hidden=1280, mlp=5120, layers=32, heads=20, gated_mlp=True)
DINOV2_B = replace(DINOV3_B, family="dinov2", registers=0)
UMT5_XXL = TextConfig()
WAN_NEGATIVE = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，"
    "低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，"
    "畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，"
    "倒着走"
)
"""Wan 2.1's own negative prompt (`sample_neg_prompt` of its published configuration)."""

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="debug",
            width=64,
            height=48,
            dit=DiTConfig(dim=48, ffn_dim=64, heads=2, layers=3, text_dim=32, text_len=64),
            dino=DinoConfig(hidden=32, mlp=64, layers=1, heads=2),
            vae=TinyVAEConfig(
                patch=2,
                encoder_width=8,
                encoder_time=(2, 2),
                decoder_widths=(16, 8, 8),
                decoder_time=(2, 2),
                blocks=1,
            ),
            text=TextConfig(
                dim=32,
                ffn=32,
                layers=1,
                heads=2,
                head_dim=16,
                vocab=259,
                length=64,
                tokenizer="bytes",
            ),
            control=ControlConfig(hidden=32, inject="first:1"),
            stream=StreamConfig(chunk=2, window=8, sink=2, timesteps=(1000.0, 500.0)),
            frames=9,
        ),
        Preset(
            name="tiny",
            width=256,
            height=144,
            dit=DiTConfig(dim=256, ffn_dim=1024, heads=4, layers=8, text_dim=128, text_len=256),
            dino=DinoConfig(hidden=192, mlp=768, layers=6, heads=3),
            vae=TinyVAEConfig(
                patch=2,
                encoder_width=48,
                encoder_time=(2, 2),
                decoder_widths=(160, 64, 32),
                decoder_time=(2, 2),
                blocks=1,
                linear=True,
            ),
            text=TextConfig(
                dim=128,
                ffn=256,
                layers=2,
                heads=4,
                head_dim=32,
                vocab=259,
                length=256,
                tokenizer="bytes",
            ),
            control=ControlConfig(hidden=768),
            stream=StreamConfig(shift=1.0),
            frames=49,
        ),
        Preset(
            name="wan-1.3b",
            width=832,
            height=480,
            dit=DiTConfig(dim=1536, ffn_dim=8960, heads=12, layers=30),
            dino=DINOV3_B,
            vae=TinyVAEConfig(),
            text=UMT5_XXL,
            negative_prompt=WAN_NEGATIVE,
        ),
        Preset(
            name="wan-14b",
            width=832,
            height=480,
            dit=DiTConfig(dim=5120, ffn_dim=13824, heads=40, layers=40),
            dino=DINOV3_B,
            vae=WanVAEConfig(),
            text=UMT5_XXL,
            negative_prompt=WAN_NEGATIVE,
            stream=StreamConfig(window=21),
        ),
    )
}


def get_preset(name: str) -> Preset:
    """The preset of that name; `ValueError` names the known ones."""
    if name not in PRESETS:
        near = did_you_mean(name, PRESETS) or ";"
        raise ValueError(f"preset {name!r} is unknown{near} known presets: {', '.join(PRESETS)}")
    return PRESETS[name]

"""The settings of curation, with the reason for every threshold. YAML and `--key.sub value`.

All of it is part of a file's fingerprint: another setting, and the file is curated again.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SceneSettings:
    """Where one shot ends and the next begins."""

    threshold: float = 27.0
    """PySceneDetect's `ContentDetector`: mean change of hue, saturation and value (0 to 255)."""
    gap_s: float = 0.5
    """A hole in the timestamps longer than this ends the shot, as nothing is known in between."""


@dataclass(frozen=True)
class FilterSettings:
    """Limits on the values of `quality.Measured`. A clip beyond one is rejected under its name."""

    min_motion: float = 0.004
    """still: mean change of brightness (0 to 1) in a quarter of a second, at a low resolution."""
    min_bright: float = 0.2
    """dark: the brightness that 5 % of the frame exceeds. Lamps at night pass, a cellar not."""
    max_clipped: float = 0.4
    """overexposed: the share of the frame at or above 0.98."""
    min_sharpness: float = 0.003
    """blurred: variance of the Laplacian, one pixel smoothed, over the variance of the frame;
    median of the clip. Photographs at 832x480 have 0.006 (a portrait) to 0.06; blurring them by 3
    pixels leaves 0.0007 to 0.006."""
    max_bars: float = 0.02
    """letterbox: the share of the frame's height or width in black bars."""
    max_overlay: float = 0.004
    """overlaid: the share of the border whose edges stay while the rest moves (logos)."""
    max_static: float = 0.2
    """When more than this share of the edges in the middle stay, the camera stands still and an
    overlay cannot be distinguished from the scene: the test for overlays is not made."""
    max_repeated: float = 0.3
    """choppy: the share of frames that repeat the one before, as from footage below 12 fps."""


@dataclass(frozen=True)
class CaptionerSettings:
    """How a vision-language model is asked."""

    prompt: str = (
        "Describe this video in one paragraph: the place, the people and vehicles and what they "
        "do, the light, the weather, the time of day and the camera's movement. "
        "Describe only what is seen."
    )
    pictures: int = 4
    """Frames of the clip that the model sees, evenly spaced."""
    max_tokens: int = 160
    device: str = "auto"
    """auto is CUDA when there is one."""
    gpus: float = 1.0
    """GPUs that Ray reserves for a file while a captioner is used on CUDA."""


@dataclass(frozen=True)
class CurateSettings:
    """One run of curation."""

    frames: int = 81
    """Frames of a clip, 4n + 1: what the VAE turns into n + 1 latents."""
    fps: int = 16
    width: int = 832
    height: int = 480
    max_upscale: float = 1.1
    """small: footage that would have to be enlarged by more than this is rejected."""
    crf: int = 12
    """x264's quality of the clips; at 12 the eye sees no difference from the source."""
    held_out: float = 0.02
    """The share of source files whose clips form the held-out split. By file, never by clip."""
    scenes: SceneSettings = field(default_factory=SceneSettings)
    filters: FilterSettings = field(default_factory=FilterSettings)
    captioner: CaptionerSettings = field(default_factory=CaptionerSettings)

    def __post_init__(self) -> None:
        if self.frames < 5 or self.frames % 4 != 1:
            raise ValueError(f"frames is {self.frames}; give 4n + 1, such as 17, 49 or 81")
        if self.width < 16 or self.height < 16 or self.width % 16 or self.height % 16:
            size = f"{self.width}x{self.height}"
            raise ValueError(f"size is {size}; give multiples of 16, such as 832x480")
        if self.fps < 1:
            raise ValueError(f"fps is {self.fps}; give a positive number of frames a second")
        if self.max_upscale < 1:
            raise ValueError(f"max_upscale is {self.max_upscale}; 1 forbids enlarging altogether")
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out is {self.held_out}; give a share from 0 to below 1")
        if not 0 <= self.crf <= 51:
            raise ValueError(f"crf is {self.crf}; x264 knows 0 (lossless) to 51")
        if self.captioner.pictures < 1 or self.captioner.max_tokens < 1:
            raise ValueError("captioner.pictures and captioner.max_tokens must be at least 1")

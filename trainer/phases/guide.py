"""Trains the guided decoder: latents and the engine's coarse frames to frames at display size.

The encoder is frozen, so the latent space, caches and DiTs stay as they are. Latents are those that
a decoder is given when it serves: half of the samples are the student's own stream of the clip,
half are the encoder's, with noise. The first teach it to put right what students get wrong, the
second to keep what latents say.

The loss is the absolute error, LPIPS at two scales, a patch discriminator's verdict given the
coarse frame, and consistency along the engine's motion. Crops of a clip are drawn alike from
latents, coarse and fine frames. In some samples the coarse frames are left out, so that a stream
without them is still decoded.

Shapes: B samples, F frames, T latents, C channels, h w latent rows and columns, H W output rows and
columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from c2r.models.build import Networks
from c2r.models.coarse_frames import dino_frames
from c2r.models.configs import FRAMES_PER_LATENT, Preset
from c2r.models.control_registry import NO_CONTROL
from c2r.models.pixels import as_bytes, averaged, unit
from c2r.models.tiny_vae import TinyVAE
from c2r.models.unet_decoder import UNetDecoder
from c2r.weights.save import save_weights
from trainer.data.batch import Batch
from trainer.data.manifest import Clip, sift_manifest
from trainer.data.pair_reader import PairReader
from trainer.data.window import frames_at
from trainer.dist.parallel import World
from trainer.distill.provenance import PROVENANCE_FILE, provenance, read_provenance
from trainer.distill.streamed_latents import StreamedLatents
from trainer.logs.loss_meter import Losses
from trainer.networks.renderer import write_networks
from trainer.networks.start import encoder_hash, start_of
from trainer.phases.autoencode import VAE_FILE
from trainer.phases.crops import check_crop, draw_crops, latents_of, pixels_of, seen_of
from trainer.phases.foundation import FoundationPhase
from trainer.phases.frame_losses import JUDGE, FrameLosses, Seen
from trainer.phases.settings import GuideRun
from trainer.sample_random import noise, plain_random
from trainer.settings import OptimConfig

FROZEN = ("encoder.", "encoder_linear.")


class Guide(FoundationPhase[GuideRun]):
    """Reconstruction of crops from latents and coarse frames."""

    name = "guide"
    needs_control = True
    PART = "vae"

    def __init__(self, config: GuideRun, world: World) -> None:
        super().__init__(config, world)
        assert config.data.manifest is not None
        own = config.guide
        self.losses_of = FrameLosses(
            own.pixels,
            own.judge,
            scale=config.model.output_scale,
            seed=config.start.seed,
            device=world.device,
        )
        rows = sift_manifest(config.data.manifest, check="none").clips
        self.clips = {clip.id: clip for clip in rows}
        self.reader = PairReader(
            config.data.manifest.parent, config.model, config.frames, config.data, config.seed
        )
        self.streamed = self._student() if own.student_share else None

    @classmethod
    def check(cls, config: GuideRun) -> None:
        """A tiny VAE with a guide, pairs alone, crops of whole latents, a student if needed."""
        super().check(config)
        if not config.model.guided:
            raise ValueError(
                f"phase {cls.name} wants a decoder that is guided by coarse frames, which "
                "model.vae has none of: set model.vae.guide, {scale: 2} for output twice the size"
            )
        if config.data.cg_ratio != 1:
            raise ValueError(
                "phase guide learns from pairs, real clips have no coarse frames: set "
                "data.cg_ratio to 1"
            )
        check_crop(config.guide.pixels.crop, config.model.output_scale)
        if config.guide.student_share and (config.guide.student or config.start.folder) is None:
            raise ValueError(
                "phase guide decodes a student's latents: name guide.student, a renderer's "
                "folder, or set guide.student_share to 0"
            )

    def build(self) -> nn.Module:
        network = self.start.vae().requires_grad_(True)
        assert isinstance(network, TinyVAE)
        # A U-Net stands in the decoder's place, which then does not run.
        idle = ("decoder",) if isinstance(network.guide, UNetDecoder) else ()
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(not name.startswith((*FROZEN, *idle)))
        return network

    def _student(self) -> StreamedLatents:
        own, folder = self.config.guide, self.config.guide.student or self.config.start.folder
        assert folder is not None
        start = start_of(self.config, folder)
        if encoder_hash(start.vae()) != encoder_hash(self.start.vae()):
            raise ValueError(
                f"the student in {folder} makes other latents than the decoder that is trained: "
                "its VAE's encoder is another; start from its VAE (start.vae)"
            )
        if (start.preset.width, start.preset.height) != (self.model.width, self.model.height):
            raise ValueError(
                f"the student in {folder} makes latents of {start.preset.width}x"
                f"{start.preset.height} frames, the decoder takes those of {self.model.width}x"
                f"{self.model.height}; change model.width and model.height"
            )
        return StreamedLatents(start, self.world, own.streamed)

    @property
    def model(self) -> Preset:
        """What is trained, as it will be served."""
        return self.config.model

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return self.losses_of.with_judge(super().parts)

    def optim(self, part: str) -> OptimConfig:
        """The run's own for the decoder; the discriminator has its rate and no EMA."""
        own = self.config.optim
        return own if part == self.PART else replace(own, lr=self.config.guide.judge.lr, ema=0.0)

    def turn(self, step: int) -> str:
        return JUDGE if self.losses_of.judges(step, self.config.steps) else self.PART

    def losses(self, batch: Batch, step: int) -> Losses:
        """Of the decoder or, in its turns, of the discriminator."""
        batch = batch.to(self.world.device)
        if self.turn(step) == JUDGE:
            with torch.no_grad():
                seen = self.seen(batch)
            samples = self.losses_of.of_judge(seen, batch.draws)
        else:
            seen = self.seen(batch)
            samples = self.losses_of.of_maker(seen, batch.draws, step, self.config.steps)
        levels = torch.zeros(len(samples))
        return Losses(samples.mean(), samples.detach(), levels, batch.sources)

    def seen(self, batch: Batch) -> Seen:
        """A crop of each sample, decoded."""
        assert isinstance(self.network, TinyVAE)
        assert batch.control is not None
        assert batch.frames is not None
        seed, own = self.config.seed, self.config.guide
        crops = draw_crops(own.pixels.crop, self.model, seed, batch.draws)
        kept = [
            float(plain_random(seed, draw, "guide").random() >= own.dropout) for draw in batch.draws
        ]
        coarse = unit(pixels_of(crops, batch.control))
        output = self.network.decode(
            latents_of(crops, self.latents(batch)),
            coarse,
            torch.tensor(kept, device=coarse.device),
        )
        fine = unit(pixels_of(crops, batch.frames))
        assert batch.motion is not None
        # Autocast on CPUs cannot stack half precision.
        motion = seen_of(crops, pixels_of(crops, batch.motion.float()))
        output, fine, coarse = (seen_of(crops, clip) for clip in (output.float(), fine, coarse))
        return Seen(output, fine, coarse, motion)

    @torch.no_grad()
    def latents(self, batch: Batch) -> Tensor:
        """What is decoded of each sample, `[B, T, C, h, w]`: the student's or the encoder's."""
        rows = range(len(batch.draws))
        return torch.stack([self._latents(batch, row) for row in rows])

    def _latents(self, batch: Batch, row: int) -> Tensor:
        config, draw = self.config, batch.draws[row]
        if plain_random(config.seed, draw, "student").random() < config.guide.student_share:
            return self.student_latents(batch, row)
        clean = self.encoded(batch, row)
        drawn = noise(config.seed, (draw,), tuple(clean.shape), "latents")[0]
        return clean + config.guide.noise * drawn.to(clean)

    def encoded(self, batch: Batch, row: int) -> Tensor:
        """The encoder's latents of a sample's fine clip, `[T, C, h, w]`."""
        assert isinstance(self.network, TinyVAE)
        assert batch.frames is not None
        fine = averaged(unit(batch.frames[row : row + 1]), self.model.output_scale)
        return self.network.encode(fine)[0].float()

    def student_latents(self, batch: Batch, row: int) -> Tensor:
        """The student's latents of a sample's window, `[T, C, h, w]`."""
        assert self.streamed is not None
        clip = self.clips[batch.clips[row]]
        first = batch.starts[row] // FRAMES_PER_LATENT
        whole = self.streamed.of(clip, lambda: self._coarse(clip))
        return whole[first : first + self.config.latents].to(self.world.device)

    def _coarse(self, clip: Clip) -> Tensor:
        """All coarse frames of a clip `[F, 3, H, W]`, as DINO gets them when serving."""
        assert clip.control is not None
        have = frames_at(clip, self.model.fps)
        count = (have - 1) // FRAMES_PER_LATENT * FRAMES_PER_LATENT + 1
        frames = torch.from_numpy(self.reader.whole(count).cut(self.reader.root / clip.control))
        return dino_frames(frames[None], self.model)[0]

    @torch.no_grad()
    def sample_frames(self, batch: Batch) -> Tensor:
        """Whole clips from the student's latents, or from the encoder's where there is none."""
        assert isinstance(self.network, TinyVAE)
        batch = batch.to(self.world.device)
        assert batch.control is not None
        rows = range(len(batch.draws))
        source = self.encoded if self.streamed is None else self.student_latents
        latents = torch.stack([source(batch, row) for row in rows])
        return as_bytes(self.network.decode(latents, unit(batch.control))).cpu()

    def finished(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """`vae.safetensors` in the run's folder and, where the run starts from a renderer, that
        renderer with the new decoder.
        """
        if part != self.PART:
            return
        vae = self.start.vae()
        whole = {**vae.state_dict(), **weights}
        save_weights(whole, self.config.folder / VAE_FILE)
        before = self.config.start.folder
        if before is None:
            return
        vae.load_state_dict(whole)
        dit = self.start.dit()
        control = None if self.model.control.kind == NO_CONTROL else self.start.control(dit)
        parts = Networks(self.model, dit, control, self.start.dino(), vae, self.start.text())
        # A renderer without provenance is no student, and must not look like one.
        student = read_provenance(before) is not None
        notes = {PROVENANCE_FILE: provenance(self.config, None)} if student else {}
        write_networks(self.config, parts, self.config.folder / "renderer", notes)

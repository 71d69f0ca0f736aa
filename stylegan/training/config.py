"""The settings of a training run: a dataclass, saved as YAML with the results."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml

from ..discriminator import Discriminator
from ..errors import InputError
from ..generator import Generator
from ..runtime.atomic_files import write_atomically
from ..runtime.json_yaml import read_yaml, show
from .augment import AugmentName
from .losses import LossName
from .presets import NO_TRUNCATION, PRESETS, Preset
from .schedule import (
    OFFICIAL_BATCH,
    OFFICIAL_LEARNING_RATE,
    OFFICIAL_TICK_KIMG,
    ByResolution,
    Phase,
    Schedule,
    by_resolution,
)
from .settings import check, setting

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

FEATURE_MAPS = ("fmap_base", "fmap_decay", "fmap_max")
# Fixed for the whole run: its networks, and what they learn.
FIXED = (
    *("preset", "resolution", "conditional", "z_dim", "w_dim", "hidden_dim", "mapping_layers", *FEATURE_MAPS),
    *("mbstd_group_size", "loss", "seed"),
)


@dataclass
class TrainingConfig:
    """Everything that a run depends on. The defaults train configuration F of the paper.

    Settings of type ByResolution are a number, or a dictionary {resolution: number} with official values for the rest.
    Network settings that are None come from the model that a run starts from, else from `value`. Raises InputError for
    invalid values.
    """

    # Data.
    data: str = ""  # Data set made by `stylegan dataset`.
    conditional: bool = False  # Train on the labels of the data set.
    label_field: str | None = None  # Field of its labels.json that holds the class; None = its labels are plain.
    mirror: bool = True  # Flip half of the real images left to right.

    # Augmentation of what the discriminator sees, for small data sets.
    augment: AugmentName = "none"  # diffaugment, or ada, whose probability p adapts to D's overfitting.
    ada_target: float = setting(0.6, least=-math.inf)  # Target for the mean sign of the scores of real images.
    ada_kimg: float = setting(500, above=0)  # Thousands of images in which p can go from 0 to 1.

    # Networks.
    start_from: str | None = None  # Run or model whose networks to start from; None = initial weights.
    preset: str | None = setting(None, otherwise="F")  # Configuration A to F of the paper's table 1.
    resolution: int | None = setting(None, least=8)  # Height and width of the images; None = the data's.
    z_dim: int | None = setting(None, least=1, otherwise=512)
    w_dim: int | None = setting(None, least=1, otherwise=512)  # Without a mapping network, that of its input.
    hidden_dim: int | None = setting(None, least=1, otherwise=512)  # Width of the mapping network.
    mapping_layers: int | None = setting(None, most=100)  # Its depth; None = 8, and 0 in A and B: z itself is w.
    # Number of feature maps at resolution r: fmap_base / (r / 2)^fmap_decay, and at most fmap_max.
    fmap_base: int | None = setting(None, least=1, otherwise=8192)
    fmap_decay: float | None = setting(None, otherwise=1.0)
    fmap_max: int | None = setting(None, least=1, otherwise=512)
    mbstd_group_size: int | None = setting(None, least=1, otherwise=4)

    # Length and growing.
    kimg: float = setting(25000, above=0)  # Thousands of real images to show, in all.
    # Where growing starts; the resolution itself = no growing; None = the model's, or 8, and 4 in A.
    initial_resolution: int | None = setting(None, least=4)
    initial_fade: float | None = setting(None, most=1, otherwise=0.0)  # How far the next one is faded in there.
    training_kimg: ByResolution = 600  # At each resolution, before the next one is faded in.
    transition_kimg: ByResolution = 600  # To fade a resolution in.

    # Optimization.
    batch: int | Mapping[int, int] | None = setting(None, least=1)  # Images per step; None = 256 at 8x8 ... 32.
    learning_rate: ByResolution | None = None  # None = the official 0.001, more from 128x128 up.
    # Layers of D, from the image on, frozen at the weights of the model that a run starts from; see `freezing`.
    freeze_d: int = 0
    generator_warmup_kimg: float = 0  # Thousands of images over which G's learning rate warms up from 0.
    loss: LossName | None = None  # None = the preset's.
    r1_gamma: ByResolution | None = None  # Weight of R1; 0 = none; None = 2e-4 x pixels / batch, if the preset has it.
    r1_interval: int = setting(1, least=1)  # R1 every k-th step, with k times the weight; 1 = as in the paper.
    r2_gamma: float = 0.0  # Weight of the same penalty on generated images, every step.
    gradient_penalty: float | None = None  # Weight of WGAN-GP's penalty; None = the preset's.
    style_mixing_prob: float | None = setting(None, most=1)  # Share of images with two latents; None = the preset's.
    ema_kimg: float = 10  # Half-life of the averaged weights, in thousands of images.
    share_fakes: bool = False  # True = G and D learn from the same fakes, which is faster; False = from separate ones.
    seed: int = setting(0, most=2**32 - 1)  # Of the initial weights, the image order and all draws.
    skip_limit: int = setting(10, least=1)  # Consecutive steps with a NaN loss or gradient before giving up.

    # Computing.
    device: str = "auto"  # auto = the GPU, if there is one.
    dtype: Dtype = "auto"  # Type of the features; the weights are float32. auto = the fast one on this device.
    channels_last: bool = True  # Memory layout of features and kernels: speed, not results.
    record_steps: bool = True  # On a GPU, launch the kernels of a step as CUDA graphs: speed, not results.
    compile: bool = False  # torch.compile everything between the convolutions: for GPUs; a minute per resolution.

    # Files.
    log_kimg: float = 1  # A log line every so many thousand images.
    snapshot_kimg: ByResolution | None = None  # Images and averaged generator; None = the official 140 at 8x8 ... 20.
    snapshot_images: int = setting(64, least=1)  # Images in the grid.
    checkpoint_minutes: float = 10  # The most that a crash loses.
    keep_checkpoints: int = setting(3, least=1)
    tensorboard: bool = False  # Also log to TensorBoard: pip install stylegan[tensorboard].
    wandb: bool = False  # Also log to Weights & Biases: pip install stylegan[wandb].

    def __post_init__(self) -> None:
        check(self)
        if self.preset is not None and self.preset not in PRESETS:
            raise InputError(f"unknown preset {self.preset!r}; expected one of {', '.join(PRESETS)}")
        if self.label_field is not None and not self.conditional:
            raise InputError(f"label_field {self.label_field!r} is for conditional=true: set that too, or leave it out")

    # What the settings mean.

    def img_resolution(self) -> int:
        """The resolution, once it is known."""
        if self.resolution is None:
            raise InputError("resolution is not known yet; set it, or take it from the data set")
        return self.resolution

    def value(self, name: str) -> Any:
        """A setting, or its value in the preset or the paper if it is None."""
        given = getattr(self, name)
        if given is not None:
            return given
        # The baseline A is trained as by its authors: WGAN-GP, grown from 4x4; the others with the logistic loss and
        # R1, from 8x8 (section 2 and appendix C).
        preset, is_baseline = self._preset(), self.preset == "A"
        of_preset = {
            "mapping_layers": preset.generator.get("mapping", {}).get("num_layers", 8),
            "style_mixing_prob": preset.style_mixing_prob,
            "loss": "wgan" if is_baseline else "logistic",
            "gradient_penalty": 10.0 if is_baseline else 0.0,
            "initial_resolution": 4 if is_baseline else 8,
        }
        return of_preset[name] if name in of_preset else _OTHERWISE[name]

    def _preset(self) -> Preset:
        return PRESETS[self.preset or "F"]

    def schedule(self) -> Schedule:
        """Progressive growing with these settings."""
        return Schedule(
            img_resolution=self.img_resolution(),
            initial_resolution=min(self.value("initial_resolution"), self.img_resolution()),
            initial_fade=self.value("initial_fade"),
            training_kimg=self.training_kimg,
            transition_kimg=self.transition_kimg,
            batch=_or_official(self.batch, OFFICIAL_BATCH),
            learning_rate=_or_official(self.learning_rate, OFFICIAL_LEARNING_RATE),
            tick_kimg=_or_official(self.snapshot_kimg, OFFICIAL_TICK_KIMG),
        )

    def gamma(self, phase: Phase) -> float:
        """Weight of R1 in a phase: the rule of thumb 2e-4 x pixels / batch, unless it is set."""
        rule = 2e-4 * phase.resolution**2 / phase.batch if self.preset != "A" else 0.0
        return rule if self.r1_gamma is None else by_resolution(self.r1_gamma, phase.resolution, rule)

    def loss_name(self) -> str:
        """The loss: a name of `losses`."""
        return str(self.value("loss"))

    def gradient_penalty_weight(self) -> float:
        """Weight of the gradient penalty."""
        return float(self.value("gradient_penalty"))

    def mixing(self) -> float:
        """Probability of style mixing."""
        return float(self.value("style_mixing_prob"))

    def make_generator(self, *, img_channels: int = 3, label_dim: int = 0) -> Generator:
        """The generator, with initial weights."""
        options = dict(self._preset().generator)
        num_layers = self.value("mapping_layers")
        mapping = {**options.pop("mapping", {}), "hidden_dim": self.value("hidden_dim"), "num_layers": num_layers}
        synthesis = {**self.feature_maps(), **options.pop("synthesis", {})}
        w_dim = self.value("w_dim")
        if num_layers == 0:  # Then w is z itself, without an average to truncate towards.
            w_dim = self.value("z_dim") * (2 if label_dim else 1)
            options |= NO_TRUNCATION
        return Generator(
            z_dim=self.value("z_dim"),
            w_dim=w_dim,
            label_dim=label_dim,
            img_resolution=self.img_resolution(),
            img_channels=img_channels,
            mapping=mapping,
            synthesis=synthesis,
            seed=self.seed,
            **options,
        )

    def make_discriminator(self, *, img_channels: int = 3, label_dim: int = 0) -> Discriminator:
        """The discriminator, with initial weights."""
        return Discriminator(
            img_resolution=self.img_resolution(),
            img_channels=img_channels,
            label_dim=label_dim,
            mbstd_group_size=self.value("mbstd_group_size"),
            seed=self.seed + 1,
            **self._preset().discriminator,
            **self.feature_maps(),
        )

    def feature_maps(self) -> dict[str, Any]:
        """The arguments of both networks that set their numbers of feature maps."""
        return {name: self.value(name) for name in FEATURE_MAPS}

    # Fixed settings.

    def kept(self) -> dict[str, Any]:
        """The fixed settings of a run, what it started from, and where its schedule began."""
        return {name: self.value(name) for name in (*FIXED, "start_from", "initial_resolution", "initial_fade")}

    def differing(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The given values that this config sets differently."""
        return {name: v for name, v in values.items() if getattr(self, name) not in (None, v)}

    def filled(self, values: Mapping[str, Any]) -> "TrainingConfig":
        """A copy with these values for settings that are None."""
        left_out = {name: value for name, value in values.items() if getattr(self, name) is None}
        return dataclasses.replace(self, **left_out)

    # Files.

    def save(self, path: str | Path) -> None:
        """Write the settings as YAML."""
        text = yaml.safe_dump(dataclasses.asdict(self), sort_keys=False)
        write_atomically(path, text.encode())

    @classmethod
    def load(cls, path: str | Path) -> "TrainingConfig":
        """Read settings from YAML; missing ones have their default. Raises InputError for anything unknown."""
        path = Path(path)
        settings = read_yaml(path, error=InputError)
        if not isinstance(settings, dict):
            raise InputError(f"{path}: expected settings as `name: value`, got {show(settings)}")
        return cls.of(settings, str(path))

    @classmethod
    def of(cls, settings: dict[str, Any], where: str = "settings") -> "TrainingConfig":
        """Make a config from a dictionary. Raises InputError for unknown names and invalid values."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in settings:
            if name not in known:
                nearest = get_close_matches(str(name), known, n=1)
                hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
                raise InputError(f"{where}: unknown setting {name!r}{hint}; `stylegan train --show-settings` lists all")
        try:
            return cls(**settings)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None


def _or_official(values: ByResolution | None, official: dict[int, Any]) -> ByResolution:
    """The official table, updated with the entries of a dictionary."""
    if values is None:
        return dict(official)
    return {**official, **values} if isinstance(values, dict) else values


# The values of omitted settings, whatever the preset.
_OTHERWISE = {
    field.name: field.metadata.get("otherwise", field.default) for field in dataclasses.fields(TrainingConfig)
}

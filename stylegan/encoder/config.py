"""The settings of the training of an encoder."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ..errors import InputError
from ..runtime.checks import check_integer, check_number


@dataclass(frozen=True)
class EncoderConfig:
    """What decides the result, besides the generator and the data. Raises InputError for invalid values."""

    kimg: float = 400  # Thousands of images to show, generated and real.
    batch: int = 32  # Images per step.
    real_share: float = 0.25  # Of each batch; the rest are generated, so their ws are known.
    fakes_kimg: float = 0  # Until then, batches have only generated images.
    learning_rate: float = 1e-3  # At its peak: linear warm-up in the first hundredth, then cosine decay.
    looks: int = 2  # At each image; see `Encoder.encode`.
    ema_kimg: float = 5  # Half-life of the averaged weights.
    least_psi: float = 0.5  # Generated images are truncated by psi from here to 1.
    mixed: float = 0.3  # Share of the generated images with two w.
    mirror: bool = True  # Flip half of the real images left to right.
    augment: bool = True  # Zoom, shift, rotate and relight most of the real images a little; see `augment`.
    # Weights of the terms of the loss; see `losses`.
    w_weight: float = 1.0
    pixel_weight: float = 1.0
    perceptual_weight: float = 1.0
    feature_weight: float = 0.2
    offset_weight: float = 0.02
    latent_weight: float = 0.02
    extractor: str = "st-lpips-alex"
    seed: int = 0
    log_kimg: float = 1
    checkpoint_minutes: float = 5

    def __post_init__(self) -> None:
        check_integer(self.batch, what="batch", low=2, high=2**16)
        check_integer(self.looks, what="looks", low=1, high=10)
        check_integer(self.seed, what="seed", low=0, high=2**32 - 1)
        for name in ("kimg", "learning_rate", "log_kimg", "checkpoint_minutes"):
            if check_number(getattr(self, name), what=name, low=0) == 0:
                raise InputError(f"{name} must be above 0, got 0")
        for name in ("ema_kimg", "fakes_kimg"):
            check_number(getattr(self, name), what=name, low=0)
        for name in ("least_psi", "mixed", "real_share"):
            check_number(getattr(self, name), what=name, low=0, high=1)
        for field in fields(self):
            if field.name.endswith("_weight"):
                check_number(getattr(self, field.name), what=field.name, low=0)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """The settings with these names. Raises InputError for an unknown name."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise InputError(f"unknown setting {name!r}; expected one of {', '.join(known)}")
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

"""What the demo shows: checked settings -> images. No web code; every value may come from a stranger."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .. import images
from ..encoder import Encoder
from ..errors import InputError, NotFoundError
from ..generator import Generator
from ..latents.seeds import check_seeds
from ..latents.styles import same_average
from ..runtime.checks import check_integers
from ..runtime.choices import DRAWN_NOISE, NoiseMode

# Beyond this, images are only artefacts.
MAX_PSI = 2.0

# An editing direction: ws [N, num_ws, w_dim], strength -> ws.
Edit = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class Look:
    """What all images on the page share."""

    model: str  # One of the studio's.
    truncation_psi: float = 0.7
    truncation_cutoff: int | None = None  # None = all layers.
    noise_mode: NoiseMode = "const"
    noise_seed: int = 0  # Of the "random" noise.
    label: int = 0  # For conditional models.
    strengths: tuple[tuple[str, float], ...] = ()  # Editing directions by name.


class Studio:
    """Models, loaded on first use, and the images that the page asks for.

    models: name on the page -> what `Generator.from_pretrained` takes; no other can be requested.
    directions: model -> name -> editing direction. encoders: for photos, on the device, for the models that they were
        trained for; other models use the encoder that comes with them. resolution: of the models, for files that do
        not say. device: where the networks run; None = the CPU.

    The methods raise InputError for settings that the model cannot show.
    """

    def __init__(
        self,
        models: Mapping[str, str],
        *,
        directions: Mapping[str, Mapping[str, Edit]] | None = None,
        encoders: Iterable[Encoder] = (),
        resolution: int | None = None,
        device: str | None = None,
    ):
        if not models:
            raise InputError("the demo needs at least one model")
        self.models, self.directions, self.encoders = dict(models), dict(directions or {}), list(encoders)
        # As many as fit side by side; a 1024x1024 network takes 0.1 GB.
        self._load = lru_cache(maxsize=4)(
            lambda source: Generator.from_pretrained(source, resolution=resolution, device=device)
        )
        self._encoder = lru_cache(maxsize=4)(self._find_encoder)

    def generator(self, model: str) -> Generator:
        """The network behind a name of the page."""
        if model not in self.models:
            raise InputError(f"unknown model {model!r}; expected one of {', '.join(self.models)}")
        return self._load(self.models[model])

    def encoder(self, model: str) -> Encoder | None:
        """The encoder of a model; None = it has none."""
        return self._encoder(model)

    def _find_encoder(self, model: str) -> Encoder | None:
        G = self.generator(model)
        for encoder in self.encoders:
            if same_average(G.w_avg, encoder.w_avg):
                return encoder
        try:
            return Encoder.of(G)
        except NotFoundError:
            return None

    def faces(self, seeds: Sequence[int], look: Look) -> list[Image.Image]:
        """One image per seed."""
        G = self.generator(look.model)
        numbers = check_seeds(seeds)
        made = self._render(G, self._ws(G, numbers, look), look)
        return [images.remember(image, {"seed": seed}) for image, seed in zip(made, numbers, strict=True)]

    def mix(self, seeds: Sequence[int], layers: Sequence[int], look: Look) -> list[Image.Image]:
        """Images: the first seed with some layers' styles from the second, the first, the second."""
        G = self.generator(look.model)
        a, b = self._two(G, seeds, look)
        chosen = check_layers(layers, G)
        return self._beside(G, [G.mix_styles(a, b, chosen), a, b], look, seeds, {"layers": chosen})

    def between(self, seeds: Sequence[int], position: float, look: Look) -> list[Image.Image]:
        """Images: at a position from 0 (the first seed) to 1 (the second) in W, the first, the second."""
        G = self.generator(look.model)
        a, b = self._two(G, seeds, look)
        check_number(position, what="the position", low=0, high=1)
        return self._beside(G, [torch.lerp(a, b, float(position)), a, b], look, seeds, {"position": position})

    def with_photo(
        self, ws: Tensor, seed: int, layers: Sequence[int], look: Look
    ) -> tuple[Tensor, Image.Image, Image.Image]:
        """A photo's ws [1, num_ws, w_dim], with the styles of some layers from a seed, and edited.

        Truncation and class apply to the seed. Returns the new ws, their image, and the seed's image.
        """
        G = self.generator(look.model)
        other, chosen = self._ws(G, [seed], look), check_layers(layers, G)
        mixed = G.mix_styles(self._edited(ws, look), other, chosen)
        # Rendered one by one, as when the first is made again from its latents.
        (made,), (beside,) = (self._render(G, one, look) for one in (mixed, other))
        for key in ("truncation_psi", "truncation_cutoff", "label"):
            made.info.pop(key, None)
        if chosen:
            images.remember(made, {"seed": seed, "layers": chosen})
        return mixed, made, images.remember(beside, {"seed": seed})

    def _two(self, G: Generator, seeds: Sequence[int], look: Look) -> tuple[Tensor, Tensor]:
        if len(check_seeds(seeds)) != 2:
            raise InputError(f"expected two seeds, got {seeds!r}")
        first, second = self._ws(G, seeds, look).split(1)
        return first, second

    def _ws(self, G: Generator, seeds: Sequence[int], look: Look) -> Tensor:
        """Truncated ws of seeds, moved along the editing directions."""
        psi = check_number(look.truncation_psi, what="psi", low=-MAX_PSI, high=MAX_PSI)
        if look.truncation_cutoff is not None:
            check_integers(look.truncation_cutoff, what="the cutoff", limit=G.num_ws + 1)
        label = look.label if G.label_dim else None
        ws = G.ws(seeds, labels=label, truncation_psi=psi, truncation_cutoff=look.truncation_cutoff)
        return self._edited(ws, look)

    def _edited(self, ws: Tensor, look: Look) -> Tensor:
        """The ws, moved along the editing directions."""
        edits = self.directions.get(look.model, {})
        for name, strength in look.strengths:
            if name not in edits:
                raise InputError(f"{look.model} has no direction {name!r}; it has {', '.join(edits) or 'none'}")
            ws = edits[name](ws, check_number(strength, what=name, low=-10, high=10))
        return ws

    def _beside(
        self, G: Generator, rows: Sequence[Tensor], look: Look, seeds: Sequence[int], own: Mapping[str, object]
    ) -> list[Image.Image]:
        """An image made from two seeds, and the seeds' own images."""
        made, first, second = self._render(G, torch.cat(list(rows)), look)
        images.remember(made, {"seeds": list(seeds), **own})
        return [made, images.remember(first, {"seed": seeds[0]}), images.remember(second, {"seed": seeds[1]})]

    def _render(self, G: Generator, ws: Tensor, look: Look) -> list[Image.Image]:
        noise_seed = look.noise_seed if look.noise_mode in DRAWN_NOISE else None
        made = G.render(ws, noise_mode=look.noise_mode, noise_seed=noise_seed, progress=False)
        settings: dict[str, Any] = {"truncation_psi": look.truncation_psi}
        if look.truncation_cutoff is not None:
            settings["truncation_cutoff"] = look.truncation_cutoff
        if G.label_dim:
            settings["label"] = look.label
        settings |= {f"direction {name}": strength for name, strength in look.strengths if strength}
        return [images.remember(image, settings) for image in made]


def check_layers(layers: Sequence[int], G: Generator) -> list[int]:
    """Return the layers, sorted and unique, if the model has them, else raise InputError."""
    if len(layers) > G.num_ws:
        raise InputError(f"{len(layers)} layers are more than the model has: it has {G.num_ws}")
    return sorted(set(check_integers(layers, what="a layer", limit=G.num_ws)))


def check_number(value: Any, *, what: str, low: float, high: float) -> float:
    """Return value as a float if it is a number from low to high, else raise InputError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or math.isnan(value):
        raise InputError(f"{what} must be a number from {low:g} to {high:g}, got {value!r}")
    return float(value)

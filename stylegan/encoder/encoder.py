"""The encoder of a generator, and its weight files: images -> ws, in a fraction of a second."""

from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, NotFoundError
from ..generator import Generator
from ..latents.bundled import names_of_origins
from ..latents.styles import check_same_average, same_average
from ..runtime.checks import check_integer, shown
from ..runtime.precision import no_autocast
from ..runtime.tensors import check_tensor
from ..weights import manifest
from ..weights.pretrained import Pretrained
from .network import EncoderNetwork

LOOKS = 3  # Default number of looks at an image.


class Encoder(EncoderNetwork, Pretrained):
    """An encoder network that can be loaded and saved; its arguments and `forward` are those of the network."""

    _network = "E"

    @classmethod
    def of(cls, G: Generator) -> "Encoder":
        """The encoder of a generator, or of the model that it was made from, on the generator's device.

        A model made from another shares its encoder if it kept the average w, as blends do. Raises NotFoundError if
        there is none.
        """
        for name in names_of_origins(G):
            entry = manifest.entries().get(name)
            if entry is None or not any("E" in file.networks for file in entry.files):
                continue
            encoder = cls.from_pretrained(name, device=G.device)
            if same_average(G.w_avg, encoder.w_avg):
                return encoder
        raise NotFoundError(
            f"{G.name} has no encoder; train one with `stylegan encoder train`, and give its file, or optimize instead"
        )

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that recreate this network."""
        return dict(self._config)

    def check(self, G: Generator) -> None:
        """Raise InputError if this is not the encoder of that generator."""
        if not isinstance(G, Generator):
            raise InputError(f"G must be a Generator, got {shown(G)}")
        next_step = f"choose the model that it was trained for ({self.name})"
        check_same_average(G.w_avg, self.w_avg, what="the encoder", next_step=next_step)

    @no_autocast()
    @torch.no_grad()
    def encode(self, img: Tensor, G: Generator, *, looks: int = LOOKS, batch_size: int = 16) -> Tensor:
        """Images [N, C, R, R] in [-1, 1] -> ws [N, num_ws, w_dim] of the generator that this encoder was trained for.

        looks: at each image: the first compares it with the average image, the others with its current reconstruction
            (ReStyle). 1 is the fastest; more than three change little.
        batch_size: images per batch, to limit memory.

        Raises InputError for another generator, or images of another shape or device.
        """
        self.check(G)
        check_integer(looks, what="looks", low=1, high=100)
        check_integer(batch_size, what="batch_size", low=1, high=2**20)
        shape = ("N", self.img_channels, self.img_resolution, self.img_resolution)
        check_tensor(img, shape, what="img", device=G.device)
        if not len(img):
            raise InputError("img must be one image or more, got none")
        parts: list[Tensor] = [self._encode(part.float(), G, looks) for part in img.split(batch_size)]
        return torch.cat(parts)

    @torch.no_grad()
    def start(self, img: Tensor, G: Generator) -> tuple[Tensor, Tensor]:
        """The start of encoding: the average w as ws [N, num_ws, w_dim], and its image [N, C, R, R]."""
        ws = self.w_avg.expand(len(img), self.num_ws, -1)
        return ws, G.synthesis(ws[:1]).expand_as(img)

    def _encode(self, img: Tensor, G: Generator, looks: int) -> Tensor:
        ws, current = self.start(img, G)
        for look in range(looks):
            if look:
                current = G.synthesis(ws)
            ws = self(img, current, ws)
        return ws

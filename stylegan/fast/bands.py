"""One call of the fast paths: a band of rows at a time, normalize -> convolve -> activate.

A layer writes its features activated but not normalized: their statistics are known only after the last band. The next
layer normalizes them, band by band, as it reads them. So features go to memory and back once per layer, and everything
else happens in bands that fit the caches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .convolution import Convolution
from .kernels import Kernels
from .prepared import PreparedLayer, PreparedNetwork
from .torch_kernels import TorchKernels
from .workspace import Workspace

# Bytes of a band of features: small enough for the caches, large enough for a convolution (measured: 4 to 16 MiB).
BAND_BYTES = 2**23


def on_gpu(x: Tensor) -> bool:
    """Whether bands are whole images, paths are validated, and calls are captured."""
    return x.is_cuda


@dataclass
class Features:
    """x [N, R, R, C], to be read as (x - mean) * scale + shift; these are [N, C]."""

    x: Tensor
    mean: Tensor
    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Band:
    """Some rows of some images."""

    images: slice
    start: int
    stop: int
    rows: int  # Of the whole image.

    @property
    def first(self) -> bool:
        """Whether it begins at the top of the image."""
        return self.start == 0

    @property
    def last(self) -> bool:
        """Whether it ends at the bottom of the image."""
        return self.stop == self.rows


@dataclass(frozen=True)
class Call:
    """One running call: its kernels and the buffers lent to it."""

    kernels: Kernels
    workspace: Workspace

    def render(
        self, network: PreparedNetwork, ws: Tensor, noise: Sequence[Tensor | None], images: Sequence[Tensor]
    ) -> None:
        """Fill in the images, each [N, img_channels, R, R], ascending."""
        features: Features | None = None
        wanted = {img.shape[-1]: img for img in images}
        for i, (layer, given) in enumerate(zip(network.layers, noise, strict=True)):
            if layer.resolution > max(wanted):
                break
            own_noise = None if given is None else given[:, 0].float().contiguous()  # [N or 1, R, R]
            features = self.layer(layer, features, ws[:, min(i, ws.shape[1] - 1)], own_noise)
            if i % 2 == 1 and layer.resolution in wanted:
                self.rgb(features, *network.to_rgb[layer.resolution], wanted[layer.resolution])

    def layer(self, layer: PreparedLayer, before: Features | None, w: Tensor, noise: Tensor | None) -> Features:
        """The features after a layer; before: those of the previous layer, None for the constant. w: [N, w_dim]."""
        n, size, device = len(w), layer.resolution, w.device
        # A layer that keeps the size overwrites its own input, one band behind its reading.
        name = "features of an even power" if size.bit_length() % 2 else "features of an odd power"
        out = self.workspace.take(name, (n, size, size, layer.channels), layer.dtype, device)
        if layer.convolution is None:
            assert layer.input is not None
            x = layer.input if layer.input.ndim == 4 else F.linear(w, layer.input).view(n, 4, 4, -1)
            # The first layer of a new network is nearly constant: float32 would lose its small variance.
            sums = TorchKernels().activate(layer, x.expand(n, -1, -1, -1).double(), noise, out)
        else:
            assert before is not None
            by_image: dict[int, Tensor] = {}  # By the first image of a band.
            for band, x in self.normalized_bands(before, layer.convolution):
                own = self.convolve(layer, layer.convolution, x, band, noise, out).double()
                first = band.images.start
                by_image[first] = by_image[first] + own if first in by_image else own
            sums = torch.cat([*by_image.values()], dim=1)
        return Features(out, *self.kernels.normalization(layer, sums, w))

    def normalized_bands(self, before: Features, convolution: Convolution) -> Iterator[tuple[Band, Tensor]]:
        """The normalized features in bands, with one more row above and below: [N, rows + 2, W, C_in]; zero outside."""
        n, size, _, channels = before.x.shape
        dtype = convolution.dtype
        count, height = _band_shape(before.x, convolution)
        for i in range(0, n, count):
            images = slice(i, min(i + count, n))
            x, mean, scale, shift = (t[images] for t in (before.x, before.mean, before.scale, before.shift))
            buffer = self.workspace.take("band", (len(x), height + 2, size, channels), dtype, x.device)
            # Each row is normalized once; the two that the next band needs again move to the front.
            done = 0
            for start in range(0, size, height):
                band = Band(images, start, min(start + height, size), size)
                rows = band.stop - start
                if band.first:
                    # The first and the last: often the only band.
                    buffer[:, : rows + 2 : rows + 1] = 0
                else:
                    buffer[:, :2] = buffer[:, height : height + 2]
                stop = min(band.stop + 1, size)
                own = buffer[:, done - start + 1 : stop - start + 1]
                self.kernels.normalize(x[:, done:stop], mean, scale, shift, out=own)
                if band.last and not band.first:
                    buffer[:, rows + 1] = 0
                done = stop
                yield band, buffer[:, : rows + 2]

    def convolve(
        self, layer: PreparedLayer, convolution: Convolution, x: Tensor, band: Band, noise: Tensor | None, out: Tensor
    ) -> Tensor:
        """Convolution and epilogue of a band (of the input) into its rows of out; returns the sums, [2, N, C]."""
        factor = 2 if convolution.up else 1
        rows = slice(band.start * factor, band.stop * factor)
        own_noise = noise if noise is None else noise[band.images if len(noise) > 1 else slice(None), rows]
        own_out = out[band.images, rows]
        if not convolution.up:
            return self.kernels.convolve_and_activate(layer, x, own_noise, own_out, self.workspace)
        windows = self.kernels.convolve(convolution, x, self.workspace)
        return self.kernels.activate_windows(layer, windows, own_noise, own_out, first=band.first, last=band.last)

    def rgb(self, features: Features, weight: Tensor, bias: Tensor, out: Tensor) -> None:
        """The 1x1 convolution to RGB, with normalization and style folded into it; out: [N, img_channels, R, R]."""
        _, size, _, channels = features.x.shape
        own_weight = weight * features.scale[:, None]  # [N, img_channels, C]
        own_bias = F.linear(features.shift - features.mean * features.scale, weight, bias)  # [N, img_channels]
        height = max(1, _band_bytes(features.x) // (size * channels * 4))
        for start in range(0, size, height):
            rows = slice(start, start + height)
            self.kernels.to_rgb(features.x[:, rows], own_weight, own_bias, out[:, :, rows])


def _band_shape(x: Tensor, convolution: Convolution) -> tuple[int, int]:
    """The images and rows that go through a convolution together; x: [N, R, R, C]."""
    size, limit = x.shape[1], _band_bytes(x)
    pixel = 4 * max(x.shape[3], convolution.out_channels)
    rows = min(size, max(4, limit // (size * pixel)))
    return max(1, limit // (size * size * pixel)), rows


def _band_bytes(x: Tensor) -> int:
    """Those of BAND_BYTES, or no limit."""
    return 2**62 if on_gpu(x) else BAND_BYTES

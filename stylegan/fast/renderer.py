"""Images from ws: for each layer, a band of rows at a time, normalize -> convolve -> epilogue.

A layer leaves its features activated but not normalized: their statistics are known only when the last band is done.
The next layer normalizes them, band by band, as it reads them. So features go to memory and back once a layer, and all
else happens in bands that fit the caches.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.synthesis import SynthesisNetwork
from ..runtime.choices import RenderPath
from ..runtime.cuda_graphs import CudaCapture
from ..runtime.forks import ForkLock
from .choice import candidates
from .convolution import Convolution
from .graphs import Graphs
from .kernels import Kernels
from .prepared import Fingerprint, PreparedLayer, PreparedNetwork, parameters_and_buffers, prepare
from .torch_kernels import TorchKernels
from .trust import Trust
from .workspace import Workspace, WorkspacePool

# Bytes of a band of features: small enough for the caches, large enough for a convolution (measured: 2 to 8 MiB).
BAND_BYTES = 2**22

# Pixels of the images that go through the layers together: memory does not grow with the batch beyond that.
GROUP_PIXELS = 2**18

# The same on a GPU, where a band is whole images: two of 1024x1024, or 32 of 256x256.
GPU_GROUP_PIXELS = 2**21


@dataclass
class Features:
    """x [N, R, R, C], and what the next reader makes of it: (x - mean) * scale + shift; these are [N, C]."""

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


class _Prepared(NamedTuple):
    """What a network keeps from call to call until its parameters change."""

    fingerprint: Fingerprint
    network: PreparedNetwork
    graphs: Graphs | None  # On a GPU.


class Renderer:
    """The fast paths of one synthesis network; a `networks.synthesis.Renderer`."""

    def __init__(self, path: RenderPath = "auto") -> None:
        self.path: RenderPath = path
        self._lock = ForkLock()
        self._prepared: _Prepared | None = None
        self._workspaces = WorkspacePool()
        self._trust = Trust()

    # A copy of a network, here or in another process, prepares its own.
    def __deepcopy__(self, memo: dict[int, Any]) -> "Renderer":
        return Renderer(self.path)

    def __reduce__(self) -> tuple[Any, ...]:
        return Renderer, (self.path,)

    def release(self) -> None:
        """Give the prepared weights and the buffers back; the next call makes them again."""
        with self._lock:
            self._drop()
        self._workspaces.release()

    def __call__(
        self,
        network: SynthesisNetwork,
        ws: Tensor,
        noise: Sequence[Tensor | None],
        resolutions: Sequence[int],
    ) -> list[Tensor] | None:
        """The images at these resolutions, ascending, float32 [N, img_channels, R, R]; None = use the plain path.

        ws: [N, num_ws, w_dim]; noise: for each layer [N or 1, 1, R, R] or None.
        """
        path = self.path
        able = candidates(path, network, [ws, *(n for n in noise if n is not None)])
        if not able:
            return None
        # Buffers and prepared weights outlive the call, and inference tensors could not be written to outside.
        with torch.inference_mode(False), torch.no_grad(), _device_of(ws):
            prepared = self._prepare(network, ws)
            if on_gpu(ws) and len(ws):
                proof = partial(_proof, prepared, network.img_resolution)
                kernels = self._trust.choose(able, network, ws, proof, explicit=path != "auto")
                if kernels is None:
                    return None
                # torch keeps freed memory for the next call, and knows which stream has used it.
                return _render(prepared, kernels, Workspace(), ws, noise, resolutions, capture=True)

            def work(kernels: Kernels) -> list[Tensor]:
                with self._workspaces.lend() as workspace:
                    return _render(prepared, kernels, workspace, ws, noise, resolutions)

            return self._trust.attempt(able, ws, work, explicit=path != "auto")

    def _prepare(self, network: SynthesisNetwork, ws: Tensor) -> _Prepared:
        tensors = list(parameters_and_buffers(network))
        with self._lock:
            if self._prepared is None or not self._prepared.fingerprint.fits(tensors):
                self._drop()
                own = prepare(network, ws.dtype)
                self._prepared = _Prepared(Fingerprint(tensors), own, _graphs_for(own, ws.device))
            return self._prepared

    def _drop(self) -> None:
        if self._prepared is not None and self._prepared.graphs is not None:
            self._prepared.graphs.release()
        self._prepared = None


def on_gpu(x: Tensor) -> bool:
    """Whether bands are whole images, paths need proof, and calls are captured."""
    return x.is_cuda


def _device_of(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


def _graphs_for(network: PreparedNetwork, device: torch.device) -> Graphs | None:
    """CUDA graphs, on a GPU."""
    if device.type != "cuda":
        return None
    # All is there before another stream may read it.
    for layer in network.layers:
        if layer.convolution is not None:
            _ = layer.convolution.packed
    torch.cuda.synchronize(device)
    return Graphs(CudaCapture(device))


def _render(
    prepared: _Prepared,
    kernels: Kernels,
    workspace: Workspace,
    ws: Tensor,
    noise: Sequence[Tensor | None],
    resolutions: Sequence[int],
    *,
    capture: bool = False,
) -> list[Tensor]:
    """The images, a group at a time. The other arguments are those of `Renderer`."""
    network = prepared.network
    colours = [len(network.to_rgb[r][1]) for r in resolutions]
    images = [
        torch.empty(len(ws), c, r, r, device=ws.device, dtype=torch.float32)
        for c, r in zip(colours, resolutions, strict=True)
    ]
    size = max(1, (GPU_GROUP_PIXELS if on_gpu(ws) else GROUP_PIXELS) // resolutions[-1] ** 2)
    for i in range(0, len(ws), size):
        group = slice(i, i + size)
        own_noise = [n if n is None or len(n) == 1 else n[group] for n in noise]
        own_images = [img[group] for img in images]
        if capture and prepared.graphs is not None:
            _render_by_graph(prepared.graphs, network, kernels, ws[group], own_noise, own_images)
        else:
            _Call(kernels, workspace).render(network, ws[group].float(), own_noise, own_images)
    return images


def _proof(
    prepared: _Prepared, resolution: int, kernels: Kernels, ws: Tensor, noise: Sequence[Tensor | None]
) -> Tensor:
    """Images to compare with the modules'."""
    return _render(prepared, kernels, Workspace(), ws, noise, [resolution])[0]


def _render_by_graph(
    graphs: Graphs,
    network: PreparedNetwork,
    kernels: Kernels,
    ws: Tensor,
    noise: Sequence[Tensor | None],
    images: list[Tensor],
) -> None:
    """The same of one group, by a CUDA graph from the second time on. The network's own noise is part of the graph."""
    given = [n is not None and n is not layer.noise for n, layer in zip(noise, network.layers, strict=True)]

    def work(inputs: list[Tensor], outputs: list[Tensor]) -> None:
        ws, *others = inputs
        maps = iter(others)
        own_noise = [next(maps) if new else n for new, n in zip(given, noise, strict=True)]
        _Call(kernels, Workspace()).render(network, ws.float(), own_noise, outputs)

    key = type(kernels), tuple(given), tuple(n is None for n in noise)
    graphs.run(key, work, [ws, *(n for n, new in zip(noise, given, strict=True) if new and n is not None)], images)


@dataclass(frozen=True)
class _Call:
    """One call under way: the kernels that it uses and the buffers lent to it."""

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
        n, size, device = len(w), layer.resolution, w.device
        sums = torch.zeros(2, n, layer.channels, dtype=torch.float64, device=device)
        # A layer that keeps the size writes over its own input, a band behind its reading.
        name = "features of an even power" if size.bit_length() % 2 else "features of an odd power"
        out = self.workspace.take(name, (n, size, size, layer.channels), layer.dtype, device)
        if layer.convolution is None:
            assert layer.input is not None
            x = layer.input if layer.input.ndim == 4 else F.linear(w, layer.input).view(n, 4, 4, -1)
            # The first layer of a new network is nearly constant: float32 would lose its small variance.
            sums += TorchKernels().activate(layer, x.expand(n, -1, -1, -1).double(), noise, out)
        else:
            assert before is not None
            for band, x in self.normalized_bands(before, layer.convolution):
                sums[:, band.images] += self.convolve(layer, layer.convolution, x, band, noise, out)
        return Features(out, *_normalization(layer, sums, w))

    def normalized_bands(self, before: Features, convolution: Convolution) -> Iterator[tuple[Band, Tensor]]:
        """The features in bands, normalized, with a row more above and below: [N, rows + 2, W, C_in]; zero outside."""
        n, size, _, channels = before.x.shape
        dtype = convolution.dtype
        count, height = _band_shape(before.x, convolution)
        for i in range(0, n, count):
            images = slice(i, min(i + count, n))
            x, mean, scale, shift = (t[images] for t in (before.x, before.mean, before.scale, before.shift))
            buffer = self.workspace.take("band", (len(x), height + 2, size, channels), dtype, x.device)
            # Rows are normalized once; the two that the next band needs again move to the front.
            done = 0
            for start in range(0, size, height):
                band = Band(images, start, min(start + height, size), size)
                rows = band.stop - start
                if band.first:
                    buffer[:, 0] = 0
                else:
                    buffer[:, :2] = buffer[:, height : height + 2]
                stop = min(band.stop + 1, size)
                own = buffer[:, done - start + 1 : stop - start + 1]
                self.kernels.normalize(x[:, done:stop], mean, scale, shift, out=own)
                if band.last:
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
        y = self.kernels.convolve(convolution, x, self.workspace)
        if convolution.up:
            return self.kernels.activate_windows(layer, y, own_noise, own_out, first=band.first, last=band.last)
        return self.kernels.activate(layer, y, own_noise, own_out)

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
    """How many images, and how many rows of them, go through a convolution together; x: [N, R, R, C]."""
    size, limit = x.shape[1], _band_bytes(x)
    pixel = 4 * max(x.shape[3], convolution.out_channels)
    rows = min(size, max(4, limit // (size * pixel)))
    return max(1, limit // (size * size * pixel)), rows


def _band_bytes(x: Tensor) -> int:
    """Those of BAND_BYTES, or no limit."""
    return 2**62 if on_gpu(x) else BAND_BYTES


def _normalization(layer: PreparedLayer, sums: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Instance normalization and style (equation 1) as mean, scale and shift, from sums of x and x^2: [N, C] each."""
    mean, square = sums / layer.resolution**2
    scale, shift = torch.ones_like(mean), torch.zeros_like(mean)
    if layer.style_weight is not None:
        scale, shift = F.linear(w, layer.style_weight, layer.style_bias).double().chunk(2, dim=1)
    if layer.epsilon is None:
        mean, scale = torch.zeros_like(mean), scale / layer.factor
    else:
        scale = scale * (square - mean.square()).clamp(min=0).add(layer.epsilon).rsqrt()
    return mean.float(), scale.float(), shift.float()

"""Images from ws by the fast paths: what a network keeps between calls, groups of images, CUDA graphs."""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..networks.synthesis import SynthesisNetwork
from ..runtime.choices import RenderPath
from ..runtime.cuda_graphs import CudaCapture
from ..runtime.forks import ForkLock
from . import bands
from .bands import Call
from .choice import candidates
from .graphs import Graphs
from .kernels import Kernels
from .prepared import Fingerprint, PreparedNetwork, parameters_and_buffers, prepare
from .trust import Trust
from .workspace import Workspace, WorkspacePool

# Pixels of the images that go through the layers together: beyond that, memory is constant in the batch size.
GROUP_PIXELS = 2**18

# The same on a GPU, where a band is whole images: two of 1024x1024, or 32 of 256x256.
GPU_GROUP_PIXELS = 2**21


class _Prepared(NamedTuple):
    """What a network keeps between calls until its parameters change."""

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
        """Free the prepared weights and the buffers; the next call makes them again."""
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
        given = [n for n in noise if n is not None]
        able = candidates(path, network, [ws, *given])
        # The kernels add one map to all features of a layer.
        if not able or any(n.shape[1] > 1 for n in given):
            return None
        # Buffers and prepared weights outlive the call; as inference tensors, they could not be written to outside.
        with torch.inference_mode(False), torch.no_grad(), _device_of(ws):
            prepared = self._prepare(network, ws)
            if bands.on_gpu(ws) and len(ws):
                proof = partial(_proof, prepared, network.img_resolution)
                kernels = self._trust.choose(able, network, ws, proof, explicit=path != "auto")
                if kernels is None:
                    return None
                # torch keeps freed memory for the next call, and knows which stream used it.
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


def _device_of(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


def _graphs_for(network: PreparedNetwork, device: torch.device) -> Graphs | None:
    """CUDA graphs, on a GPU."""
    if device.type != "cuda":
        return None
    # Everything must exist before another stream reads it.
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
    """The images, one group at a time. The other arguments are as in `Renderer`."""
    network = prepared.network
    colours = [len(network.to_rgb[r][1]) for r in resolutions]
    images = [
        torch.empty(len(ws), c, r, r, device=ws.device, dtype=torch.float32)
        for c, r in zip(colours, resolutions, strict=True)
    ]
    size = max(1, (GPU_GROUP_PIXELS if bands.on_gpu(ws) else GROUP_PIXELS) // resolutions[-1] ** 2)
    for i in range(0, len(ws), size):
        group = slice(i, i + size)
        own_noise = [n if n is None or len(n) == 1 else n[group] for n in noise]
        own_images = [img[group] for img in images]
        if capture and prepared.graphs is not None:
            _render_by_graph(prepared.graphs, network, kernels, ws[group], own_noise, own_images)
        else:
            Call(kernels, workspace).render(network, ws[group].float(), own_noise, own_images)
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
    """The same for one group, by a CUDA graph from the second time on, which includes the network's own noise."""
    given = [n is not None and n is not layer.noise for n, layer in zip(noise, network.layers, strict=True)]

    def work(inputs: list[Tensor], outputs: list[Tensor]) -> None:
        ws, *others = inputs
        maps = iter(others)
        own_noise = [next(maps) if new else n for new, n in zip(given, noise, strict=True)]
        Call(kernels, Workspace()).render(network, ws.float(), own_noise, outputs)

    key = type(kernels), tuple(given), tuple(n is None for n in noise)
    graphs.run(key, work, [ws, *(n for n, new in zip(noise, given, strict=True) if new and n is not None)], images)

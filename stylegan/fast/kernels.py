"""Kernels for everything except convolution: one table per device, for inference and training.

    torch_kernels.py   torch's own operations, on any device
    native.py          the files in C, on CPUs; autograd.py makes them differentiable
    triton_kernels.py  Triton, on GPUs; compiled.py is what training runs there

Inference works on bands of rows that stay in the caches, [N, rows, W, C], with the channels of a pixel together.
Training works on whole features, [N, C, R, R], with the methods of `LayerKernels`.
"""

from typing import Protocol

from torch import Tensor

from ..networks.layers import LayerKernels
from .convolution import Convolution
from .prepared import PreparedLayer
from .workspace import Workspace


class Kernels(LayerKernels, Protocol):
    """The steps that the renderer needs, on a band of rows of some images, and those of training."""

    def normalize(self, x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
        """out = (x - mean) * scale + shift, normalization and style in one; all but x and out: [N, C].

        The mean goes first: scale is up to 1e4 for constant channels, as in the first layer of a new network.
        """

    def convolve(self, convolution: Convolution, x: Tensor, workspace: Workspace) -> Tensor:
        """The convolution of a band, in the fastest way."""

    def activate(self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        """out = activation(x + noise * strength + bias); returns the sums of out and of its square, [2, N, C].

        x: [N, rows, W, C], the convolution's output; may be overwritten. noise: [N or 1, rows, W].
        """

    def convolve_and_activate(
        self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor, workspace: Workspace
    ) -> Tensor:
        """`convolve`, then `activate`, in a layer whose convolution keeps the size."""

    def activate_windows(
        self, layer: PreparedLayer, windows: Tensor, noise: Tensor | None, out: Tensor, *, first: bool, last: bool
    ) -> Tensor:
        """The same after a convolution with `up`, with the filter before it.

        windows: [N, rows / 2 + 1, W / 2 + 1, 4 * C]; out: [N, rows, W, C].
        first, last: whether the band begins, ends at the border of the image, beyond which all is zero.
        """

    def normalization(self, layer: PreparedLayer, sums: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Instance normalization and style (equation 1) as mean, scale and shift for `normalize`: [N, C] each.

        sums: of a layer's features and of their squares, float64 [2, N, C]; w: [N, w_dim].
        """

    def to_rgb(self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
        """A separate 1x1 convolution for each image.

        weight: [N, img_channels, C]; bias: [N, img_channels]; out: [N, img_channels, rows, W].
        """

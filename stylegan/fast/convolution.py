"""A convolution of the synthesis network, with its weights as inference wants them."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

# Rows: the two output rows that a window of two input rows gives; columns: its taps; depth: taps of the 3x3 kernel.
_WINDOW = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]])

# The transforms of kernels of 3 and of 2 taps for Winograd's filtering with 2 outputs.
_WINOGRAD = {
    3: torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]]),
    2: torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]),
}

# torch.compile's convolution: takes packed weights and, unlike torch.mkldnn_convolution, keeps channels_last.
_packed_conv2d = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)


@dataclass(frozen=True)
class Convolution:
    """A convolution over the columns' border but not the rows': its input has a row more above and below.

    x: [N, rows + 2, W, C_in] -> [N, rows, W, C]; or, with `up`, [N, rows + 1, W + 1, 4 * C]: each 2x2 window of the
    input gives a 2x2 block of the output, as channels in the order (row, column, channel). `conv2d(upscale(x), w)`
    has only these four taps a pixel. Window i covers the input rows i - 1 and i; its block the output rows 2 * i - 1
    and 2 * i.
    """

    kernel: Tensor  # [C, C_in, 3, 3]: the layer's own.
    gain: float  # Constant of the equalized learning rate.
    resolution: int  # Of the input.
    dtype: torch.dtype
    up: bool

    @property
    def in_channels(self) -> int:
        return self.kernel.shape[1]

    @property
    def out_channels(self) -> int:
        return len(self.kernel) * (4 if self.up else 1)

    @property
    def taps(self) -> int:
        """Height and width of the kernel that is used."""
        return 2 if self.up else 3

    def __call__(self, x: Tensor) -> Tensor:
        x, packed = x.permute(0, 3, 1, 2), self.packed
        if packed.is_mkldnn and _packed_conv2d is not None:
            y = _packed_conv2d(x, packed, None, (0, 1), (1, 1), (1, 1), 1, "none", [], "")
        else:
            y = F.conv2d(x, packed, padding=(0, 1))
        return y.permute(0, 2, 3, 1)

    @cached_property
    def packed(self) -> Tensor:
        """The weight as oneDNN reads it, so that no call has to reorder it; where there is none, channels_last."""
        weight = self._weight().to(self.dtype)
        if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available() or _packed_conv2d is None:
            return weight.contiguous(memory_format=torch.channels_last)
        size = [1, self.in_channels, min(self.resolution, 32) + 2, self.resolution]
        reorder = torch._C._nn.mkldnn_reorder_conv2d_weight
        return reorder(weight.to_mkldnn(), [0, 1], [1, 1], [1, 1], 1, size)  # type: ignore[call-arg]

    @cached_property
    def winograd(self) -> Tensor:
        """The weight as winograd.c reads it: [out / panel, positions, in, panel]."""
        transform = _WINOGRAD[self.taps]
        weight = torch.einsum("ay,bx,oiyx->aboi", transform, transform, self._weight())
        return weight.reshape(len(transform) ** 2, -1, self.panel, self.in_channels).permute(1, 0, 3, 2).contiguous()

    @property
    def panel(self) -> int:
        """How many outputs lie together there."""
        return next(n for n in (64, 32, 16) if self.out_channels % n == 0)

    def _weight(self) -> Tensor:
        """With everything folded in: [C, C_in, 3, 3], or [4 * C, C_in, 2, 2] with `up`."""
        weight = self.kernel.float() * self.gain
        if self.up:
            window = _WINDOW.to(weight.device)
            weight = torch.einsum("ayk,bxl,oikl->aboiyx", window, window, weight).flatten(0, 2)
        return weight

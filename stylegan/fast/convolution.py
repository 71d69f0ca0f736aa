"""A convolution of the synthesis network, with its weights prepared for inference."""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..runtime.device import FLOAT32_CPU

# Axes: the two output rows of a window of two input rows; the window's taps; the taps of the 3x3 kernel.
_WINDOW = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]], **FLOAT32_CPU)

# How winograd.c transforms kernels along one axis. Without `up`: the values at its points 0, A, -A, B, -B and infinity,
# each over the product of a point's distances from the others. With it: those of both kernels of 2 taps.
_A, _B = 0.625, 1.5
_WINOGRAD = {
    3: [
        [1 / (_A * _B) ** 2, 0, 0],
        *([p**i / (2 * p**2 * (p**2 - q**2)) for i in range(3)] for p, q in ((_A, _B), (-_A, _B), (_B, _A), (-_B, _A))),
        [0, 0, 1],
    ],
    2: [[1, 1, 0], [1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, -0.5], [0.5, -0.5, -0.5], [0, 0, 1], [0, 1, 1]],
}

# torch.compile's convolution: takes packed weights and, unlike torch.mkldnn_convolution, keeps channels_last.
_packed_conv2d: Callable[..., Tensor] | None = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)


def _pack(weight: Tensor, size: list[int]) -> Tensor:
    """A weight [C, C_in, kh, kw] as oneDNN reads it, for inputs of about this size [N, C_in, H, W]."""
    reorder = torch._C._nn.mkldnn_reorder_conv2d_weight
    return reorder(weight.to_mkldnn(), [0, 1], [1, 1], [1, 1], 1, size)  # type: ignore[call-arg]


def _convolve_packed(x: Tensor, packed: Tensor) -> Tensor:
    assert _packed_conv2d is not None
    return _packed_conv2d(x, packed, None, (0, 1), (1, 1), (1, 1), 1, "none", [], "")


@functools.cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether oneDNN convolves with packed weights of this type, on this CPU and build of torch: tried once.

    bfloat16 needs AVX-512 or the like; limits in the environment count (ONEDNN_MAX_CPU_ISA).
    """
    # Small integers: only the result is rounded.
    x = (torch.arange(2 * 16 * 6 * 8, device="cpu") % 7 - 3).view(2, 16, 6, 8).to(dtype)
    weight = (torch.arange(16 * 16 * 9, device="cpu") % 5 - 2).view(16, 16, 3, 3).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    try:
        given = _convolve_packed(x, _pack(weight, list(x.shape))).float()
        expected = F.conv2d(x.float(), weight.float(), padding=(0, 1))
        fault = None if torch.allclose(given, expected, rtol=0.01, atol=0.01) else "its results are wrong"
    except Exception as error:  # Builds without oneDNN, and processors unknown to it, may raise anything.
        fault = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    if fault is not None:
        logging.getLogger(__name__).info("oneDNN takes no packed weights of %s here: %s", dtype, fault)
    return fault is None


def has_fast_bfloat16() -> bool:
    """Whether this CPU convolves bfloat16 faster than float32."""
    return torch.cpu._is_avx512_bf16_supported() and can_pack(torch.bfloat16)


def convolution_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """The type in which to convolve features of this type: float32 where bfloat16 only saves memory."""
    only_stored = dtype == torch.bfloat16 and device.type == "cpu" and not has_fast_bfloat16()
    return torch.float32 if only_stored else dtype


@dataclass(frozen=True)
class Convolution:
    """A convolution that pads columns but not rows: its input has one more row above and below.

    x: [N, rows + 2, W, C_in] -> [N, rows, W, C]; or, with `up`, [N, rows + 1, W + 1, 4 * C]: each 2x2 window of the
    input gives a 2x2 block of the output, as channels in the order (row, column, channel). `conv2d(upscale(x), w)`
    has only these four taps a pixel. Window i covers the input rows i - 1 and i; its block the output rows 2 * i - 1
    and 2 * i.
    """

    kernel: Tensor  # [C, C_in, 3, 3]: the layer's own.
    gain: float  # Constant of the equalized learning rate.
    resolution: int  # The input's.
    dtype: torch.dtype
    up: bool

    @property
    def in_channels(self) -> int:
        """Channels of the input."""
        return self.kernel.shape[1]

    @property
    def out_channels(self) -> int:
        """Channels of the output: with `up`, those of a 2x2 block."""
        return len(self.kernel) * (4 if self.up else 1)

    @property
    def taps(self) -> int:
        """Height and width of the kernel that is used."""
        return 2 if self.up else 3

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve by torch."""
        x, packed = x.permute(0, 3, 1, 2), self.packed
        y = _convolve_packed(x, packed) if packed.is_mkldnn else F.conv2d(x, packed, padding=(0, 1))
        return y.permute(0, 2, 3, 1)

    @cached_property
    def packed(self) -> Tensor:
        """The weight in oneDNN's layout, so that no call has to reorder it; without oneDNN, channels_last."""
        weight = self._weight().to(self.dtype)
        if weight.is_cpu and can_pack(self.dtype):
            return _pack(weight, [1, self.in_channels, min(self.resolution, 32) + 2, self.resolution])
        return weight.contiguous(memory_format=torch.channels_last)

    @property
    def block(self) -> int:
        """How many channels winograd.c and direct.c compute together; 0 = these fill no whole vectors."""
        return next((n for n in (64, 32, 16) if len(self.kernel) % n == 0), 0)

    @property
    def direct(self) -> bool:
        """Whether direct.c is faster than winograd.c: few pixels for the size of transformed weights."""
        return self.resolution < 16

    def in_panels(self, panel: int) -> Tensor:
        """The weight as winograd.c and direct.c read it: [C / block, products, block / panel, C_in, panel]."""
        if panel not in self._in_panels:
            if self.direct:
                weight = (self.kernel.float() * self.gain).permute(2, 3, 0, 1)  # The taps themselves.
            else:
                transform = torch.tensor(_WINOGRAD[self.taps], dtype=torch.float64, device="cpu")
                weight = torch.einsum("ay,bx,oiyx->aboi", transform, transform, self.kernel.double() * self.gain)
            products = weight.shape[0] ** 2
            weight = weight.float().reshape(products, -1, self.block // panel, panel, self.in_channels)
            self._in_panels[panel] = weight.permute(1, 0, 2, 4, 3).contiguous()
        return self._in_panels[panel]

    @cached_property
    def _in_panels(self) -> dict[int, Tensor]:
        return {}

    def _weight(self) -> Tensor:
        """The kernel with everything folded in: [C, C_in, 3, 3], or [4 * C, C_in, 2, 2] with `up`."""
        weight = self.kernel.float() * self.gain
        if self.up:
            window = _WINDOW.to(weight.device)
            weight = torch.einsum("ayk,bxl,oikl->aboiyx", window, window, weight).flatten(0, 2)
        return weight

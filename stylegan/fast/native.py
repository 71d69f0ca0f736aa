"""C kernels (kernels.c, style.c, winograd.c, direct.c, gradients.c); torch's operations are the fallback."""

import ctypes
import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..networks import ops
from ..networks.layers import SynthesisLayer, epilogue
from ..runtime.device import FLOAT32_CPU
from . import autograd
from .convolution import Convolution
from .gradients import NativeGradients
from .library import Array, Int, Long, Pointer, array, load_library, pointer, taps_pointer
from .prepared import PreparedLayer, is_stable
from .torch_kernels import TorchKernels
from .workspace import Workspace


class _Normalize(ctypes.Structure):
    _fields_ = (
        *(("x", Array), ("out", Array)),
        *((name, Pointer) for name in ("mean", "scale", "shift")),
        *((name, Long) for name in ("rows", "width", "channels")),
    )


class _Epilogue(ctypes.Structure):
    _fields_ = (
        *(("x", Array), ("out", Array)),
        *(("noise", Pointer), ("noise_image", Long)),
        *((name, Pointer) for name in ("strength", "bias", "taps", "sums")),
        *((name, Long) for name in ("rows", "width", "channels")),
        *(("slope", ctypes.c_float), ("first", Int), ("last", Int)),
    )


class _Convolution(ctypes.Structure):
    _fields_ = (
        ("x", Array),
        *((name, Pointer) for name in ("weight", "out", "scratch", "epilogue")),
        *((name, Long) for name in ("images", "rows", "width", "in", "out_rows", "out_width", "channels", "block")),
        ("taps", Int),
    )


class _Style(ctypes.Structure):
    _fields_ = (
        *((name, Pointer) for name in ("sums", "w", "weight", "bias", "mean", "scale", "shift")),
        *((name, Long) for name in ("images", "channels", "w_dim")),
        *((name, ctypes.c_double) for name in ("pixels", "epsilon", "factor")),
    )


class _Rgb(ctypes.Structure):
    _fields_ = (
        ("x", Array),
        *((name, Pointer) for name in ("weight", "bias", "out")),
        *((name, Long) for name in ("out_image", "out_channel", "rows", "width", "channels", "img_channels")),
    )


class _Filter(NamedTuple):
    """The separable filter after enlarging; None = none. first, last: whether the band begins, ends at the border."""

    taps: tuple[float, float, float] | None
    first: bool
    last: bool


class NativeKernels(NativeGradients):
    """Compiled kernels. Features may be float32 or bfloat16; all else is float32."""

    def __init__(self, library: ctypes.CDLL):
        super().__init__(library)
        for name in ("stylegan_winograd_scratch", "stylegan_direct_scratch"):
            if hasattr(library, name):
                getattr(library, name).restype = Long

    @property
    def has_convolutions(self) -> bool:
        """Whether winograd.c and direct.c are for this CPU."""
        panel: int = self._library.stylegan_winograd_panel(16)
        return panel > 0

    def convolve(self, convolution: Convolution, x: Tensor, workspace: Workspace) -> Tensor:
        panel = self._panel(convolution, x)
        if not panel:
            return convolution(x)
        n, rows, width, _ = x.shape
        shape = (n, rows - convolution.taps + 1, width + convolution.up, convolution.out_channels)
        out = workspace.take("convolved", shape, torch.float32, x.device)
        self._convolve(convolution, panel, x, workspace, out=pointer(out, *shape))
        return out

    def convolve_and_activate(
        self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor, workspace: Workspace
    ) -> Tensor:
        assert layer.convolution is not None
        panel = self._panel(layer.convolution, x)
        if not panel:
            return self.activate(layer, layer.convolution(x), noise, out)
        sums = torch.empty(len(out), 2, layer.channels, dtype=torch.float64, device="cpu")
        args = _epilogue(layer.bias, noise, layer.noise_strength, layer.negative_slope, out, sums)
        self._convolve(layer.convolution, panel, x, workspace, epilogue=ctypes.addressof(args))
        return sums.transpose(0, 1)

    def convolve_and_rectify(
        self, convolution: Convolution, x: Tensor, bias: Tensor, out: Tensor, workspace: Workspace
    ) -> None:
        """out = relu(convolution(x) + bias), for convolutions that `is_own` takes."""
        sums = torch.empty(len(out), 2, len(bias), dtype=torch.float64, device="cpu")
        args = _epilogue(bias, None, None, 0.0, out, sums)
        self._convolve(convolution, self._panel(convolution, x), x, workspace, epilogue=ctypes.addressof(args))

    def _panel(self, convolution: Convolution, x: Tensor) -> int:
        """How our own convolutions group the channels of the weight; 0 = torch convolves."""
        if not is_own(convolution) or (convolution.direct and x.shape[1] < convolution.resolution + 2):
            return 0
        panel: int = self._library.stylegan_winograd_panel(convolution.block)
        return panel

    def _convolve(
        self,
        convolution: Convolution,
        panel: int,
        x: Tensor,
        workspace: Workspace,
        *,
        out: int | None = None,
        epilogue: int | None = None,
    ) -> None:
        """Convolve into out, or directly into the epilogue's."""
        n, rows, width, channels = x.shape
        own, block, taps = len(convolution.kernel), convolution.block, convolution.taps
        weight = convolution.in_panels(panel)
        args = _Convolution(
            array(x, n, rows, width, convolution.in_channels, dtype=torch.float32),
            pointer(weight, own // block, weight.shape[1], block // panel, channels, panel),
            *(out, None, epilogue),
            *(n, rows, width, channels, rows - taps + 1, width + convolution.up, own, block, taps),
        )
        library, threads = self._library, torch.get_num_threads()
        size_of, work = library.stylegan_winograd_scratch, library.stylegan_winograd
        if convolution.direct:
            size_of, work = library.stylegan_direct_scratch, library.stylegan_direct
        scratch = size_of(ctypes.byref(args), threads)
        args.scratch = pointer(workspace.take("convolution", (scratch,), torch.float32, x.device), scratch)
        work(ctypes.byref(args), threads)

    def normalize(self, x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
        n, rows, width, channels = x.shape
        vectors = (pointer(t, n, channels) for t in (mean, scale, shift))
        args = _Normalize(array(x, *x.shape), array(out, *x.shape), *vectors, rows, width, channels)
        self._library.stylegan_normalize(ctypes.byref(args), Long(n), torch.get_num_threads())

    def activate(self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        return self.add_and_activate(x, layer.bias, noise, layer.noise_strength, layer.negative_slope, out)

    def activate_windows(
        self, layer: PreparedLayer, windows: Tensor, noise: Tensor | None, out: Tensor, *, first: bool, last: bool
    ) -> Tensor:
        filtered = _Filter(layer.blur_taps, first, last)
        strength, slope = layer.noise_strength, layer.negative_slope
        return self.add_and_activate(windows, layer.bias, noise, strength, slope, out, up=filtered)

    def add_and_activate(
        self,
        x: Tensor,
        bias: Tensor,
        noise: Tensor | None,
        strength: Tensor | None,
        slope: float,
        out: Tensor,
        *,
        up: _Filter | None = None,
    ) -> Tensor:
        """out = activation(x + noise * strength + bias), after the filter if x is windows; the sums as `activate`."""
        x = x.contiguous()
        n, rows, width, channels = out.shape
        shape = (n, rows, width, channels) if up is None else (n, rows // 2 + 1, width // 2 + 1, 4 * channels)
        sums = torch.empty(n, rows, 2, channels, dtype=torch.float64, device="cpu")
        args = _epilogue(bias, noise, strength, slope, out, sums)
        args.x = array(x, *shape)
        if up is not None:
            args.taps, args.first, args.last = taps_pointer(up.taps), up.first, up.last
        self._library.stylegan_epilogue(ctypes.byref(args), Long(n), up is not None, torch.get_num_threads())
        return sums[:, 0].transpose(0, 1)

    def normalization(self, layer: PreparedLayer, sums: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (_, n, channels), w_dim, w, sums = sums.shape, w.shape[1], w.contiguous(), sums.contiguous()
        style: tuple[int | None, ...] = (None, None)
        if layer.style_weight is not None and layer.style_bias is not None:
            style = pointer(layer.style_weight, 2 * channels, w_dim), pointer(layer.style_bias, 2 * channels)
        mean, scale, shift = torch.empty(3, n, channels, **FLOAT32_CPU)
        args = _Style(
            *(pointer(sums, 2, n, channels, dtype=torch.float64), pointer(w, n, w_dim), *style),
            *(pointer(t, n, channels) for t in (mean, scale, shift)),
            *(n, channels, w_dim, layer.resolution**2, -1 if layer.epsilon is None else layer.epsilon, layer.factor),
        )
        self._library.stylegan_style(ctypes.byref(args), torch.get_num_threads())
        return mean, scale, shift

    def to_rgb(self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
        n, rows, width, channels = x.shape
        colours = weight.shape[1]
        args = _Rgb(
            *(array(x, *x.shape), pointer(weight, n, colours, channels), pointer(bias, n, colours)),
            *(pointer(out, n, colours, rows, width, steps=2), out.stride(0), out.stride(1)),
            *(rows, width, channels, colours),
        )
        self._library.stylegan_rgb(ctypes.byref(args), Long(n), torch.get_num_threads())

    def blur(self, x: Tensor, kernel: Tensor) -> Tensor:
        return autograd.blur(self, x, kernel) if _takes(x) and kernel.shape[-1] == 3 else ops.blur(x, kernel)

    def epilogue(self, layer: SynthesisLayer, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        # The kernels add one map to all features of a layer.
        if not _takes(x) or not is_stable(layer) or (noise is not None and noise.shape[1] > 1):
            return epilogue(layer, x, w, noise)
        return autograd.epilogue(self, layer, x, w, noise)

    # The library belongs to the process: copies and other processes load their own.
    def __deepcopy__(self, memo: dict[int, Any]) -> "NativeKernels":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return native_or_torch_kernels, ()


def _epilogue(
    bias: Tensor, noise: Tensor | None, strength: Tensor | None, slope: float, out: Tensor, sums: Tensor
) -> _Epilogue:
    """The arguments of an epilogue that do not depend on the source of its input."""
    n, rows, width, channels = out.shape
    noise_args: tuple[int | None, ...] = (None, 0, None)
    if noise is not None and strength is not None:
        images = n if len(noise) > 1 else 1
        step = noise.stride(0) if images > 1 else 0
        noise_args = (pointer(noise, images, rows, width, steps=1), step, pointer(strength, channels))
    return _Epilogue(
        *(Array(), array(out, *out.shape), *noise_args, pointer(bias, channels), None),
        *(pointer(sums, *sums.shape, dtype=torch.float64), rows, width, channels, slope, False, False),
    )


def _takes(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16)


def is_own(convolution: Convolution) -> bool:
    """Whether winograd.c or direct.c supports it on this CPU; they are faster than oneDNN."""
    return convolution.in_channels % 16 == 0 and convolution.block > 0 and convolution.dtype == torch.float32


@functools.cache
def native_kernels() -> NativeKernels | None:
    """The compiled kernels, if there are any here."""
    library = load_library()
    return None if library is None else NativeKernels(library)


def native_or_torch_kernels() -> NativeKernels | TorchKernels:
    """The compiled kernels, or else torch's operations, for training on a CPU."""
    return native_kernels() or TorchKernels()

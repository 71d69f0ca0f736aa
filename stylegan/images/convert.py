"""Images: float tensors in [-1, 1] <-> uint8 <-> PIL, grids, and settings stored in image files."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..networks import ops
from ..runtime.checks import check_integer, typed
from ..runtime.tensors import check_tensor
from .decoding import MODES
from .settings import remember


@typed
def to_uint8(img: Tensor, *, shrink: int = 1) -> Tensor:
    """Convert float images [..., C, H, W], nominally in [-1, 1], to uint8 [..., C, H, W], as the official code does.

    127.5 * img + 128, clipped to [0, 255] and rounded down. shrink: average blocks of that size first.
    """
    check_integer(shrink, what="shrink", low=1, high=2**14)
    check_tensor(img, ("...", "C", "H", "W") if shrink > 1 else ("...",), what="img")
    if shrink > 1 and (img.shape[-1] % shrink or img.shape[-2] % shrink):
        raise InputError(f"images of {img.shape[-1]}x{img.shape[-2]} cannot be shrunk by {shrink}")
    img = ops.downscale(img.float(), shrink)
    return (img * 127.5).add_(128).clamp_(0, 255).to(torch.uint8)


@typed
def from_uint8(img: Tensor) -> Tensor:
    """Convert uint8 images of any shape to float32 in [-1, 1]: 0 becomes -1, 255 becomes 1."""
    if img.dtype != torch.uint8:
        raise InputError(f"img must be uint8, got {str(img.dtype).removeprefix('torch.')}")
    return img.float() * (2 / 255) - 1


@typed
def to_numpy(img: Tensor) -> np.ndarray:
    """Convert float images [N, C, H, W] in [-1, 1] to uint8 [N, H, W, C]."""
    check_tensor(img, ("N", "C", "H", "W"), what="img")
    if img.device.type == "meta":
        raise InputError("img is on the meta device, where there are no numbers")
    pixels = to_uint8(img).permute(0, 2, 3, 1).contiguous()
    host = pixels.to("cpu", non_blocking=True)  # From a GPU into pinned memory: several times as fast.
    if pixels.is_cuda:
        torch.cuda.current_stream(pixels.device).synchronize()
    return host.numpy()


@typed
def to_pil(img: Tensor) -> list[Image.Image]:
    """Convert float images [N, C, H, W] in [-1, 1] to PIL images: grey, grey with alpha, RGB, RGBA for C of 1 to 4."""
    pixels = to_numpy(img)
    check_channels(pixels.shape[-1])
    return [Image.fromarray(a[:, :, 0] if a.shape[-1] == 1 else a) for a in pixels]


def check_channels(count: int) -> None:
    """Raise InputError for images with more channels than PIL supports."""
    if count not in MODES:
        raise InputError(
            f"PIL has no images of {count} channels, only 1 (grey), 2 (grey, alpha), 3 (RGB) and 4 (RGBA); "
            "G.sample and G.render give arrays with output_type 'np' or 'pt'"
        )


def as_rgb(img: Tensor) -> Tensor:
    """Convert images [N, C, H, W] in [-1, 1], C of 1 to 4, for networks that take RGB: [N, 3, H, W].

    Grey is repeated; transparent images are composited over white.
    """
    check_channels(img.shape[1])
    if img.shape[1] in (2, 4):
        img, alpha = img[:, :-1], ((img[:, -1:] + 1) / 2).clamp(0, 1)
        img = img * alpha + (1 - alpha)
    return img.expand(-1, 3, -1, -1)


def opaque(image: Image.Image) -> Image.Image:
    """An image composited over white: L for LA, RGB for RGBA; others are returned unchanged."""
    if image.mode not in ("LA", "RGBA"):
        return image
    white = Image.new("RGBA", image.size, "white")
    flat = Image.alpha_composite(white, image.convert("RGBA")).convert(image.mode.removesuffix("A"))
    return remember(flat, {str(key): value for key, value in image.info.items() if isinstance(value, str)})

"""Synthesis network g: W -> images (Karras et al. 2019, section 2, figure 1b)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast, get_args

import torch
from torch import Tensor, nn

from ..runtime.checks import check_choice, check_flag
from ..runtime.choices import NoiseMode, RenderPath
from ..runtime.precision import full_float32
from ..runtime.tensors import check_device_of, check_tensor
from . import ops
from .config import check_config
from .layers import (
    Conv2d,
    DenseInput,
    LayerKernels,
    LearnedConstant,
    Modules,
    NonlinearityName,
    Scale,
    SynthesisLayer,
    initialize,
)
from .noise import check_noise, draw_fresh, noise_maps
from .quirks import Quirks, as_quirks, takes_flat_quirks
from .shapes import block_resolutions, check_lod, feature_maps

# About this many tensors of the size of a layer's features are alive while it runs: 5 to 8 per image on a CPU.
_LIVE_TENSORS = 8

MapT = TypeVar("MapT", Tensor, Tensor | None)


class Renderer(Protocol):
    """Computes the images instead of the network's modules; `fast.Renderer` is one."""

    path: RenderPath  # See `Generator.path`.

    def __call__(
        self,
        network: "SynthesisNetwork",
        ws: Tensor,
        noise: Sequence[Tensor | None],
        resolutions: Sequence[int],
    ) -> list[Tensor] | None:
        """What `SynthesisNetwork.images` returns, up to rounding; None = use the modules for this call."""

    def release(self) -> None:
        """Free what is kept between calls."""


class SynthesisNetwork(nn.Module):
    """Two layers at each resolution from 4x4 up, each controlled by its own row of ws, then a 1x1 convolution to RGB.

    Layer i works at resolution 2^(i // 2 + 2). A layer that doubles the size stores its kernel as for an ordinary
    convolution on the enlarged features, at all resolutions (official files flip it where they fuse).
    """

    layers: Sequence[SynthesisLayer]  # As an nn.ModuleList;
    to_rgb: Mapping[str, Conv2d]  # and by resolution, as an nn.ModuleDict.
    __call__: Callable[..., Tensor]

    @takes_flat_quirks
    def __init__(
        self,
        *,
        w_dim: int = 512,  # Size of the intermediate latent.
        img_resolution: int = 1024,  # Height and width of the image: a power of two, 8 or more.
        img_channels: int = 3,
        fmap_base: int = 8192,  # Number of feature maps at resolution r: fmap_base / (r / 2)^fmap_decay,
        fmap_decay: float = 1.0,
        fmap_max: int = 512,  # and at most this.
        use_styles: bool = True,  # Style modulation (AdaIN) after every layer; without, one w feeds the input alone.
        const_input: bool = True,  # A learned constant as input; else w through a dense layer.
        use_noise: bool = True,
        use_pixel_norm: bool = False,
        use_instance_norm: bool = True,
        nonlinearity: NonlinearityName = "lrelu",
        equalized_lr: bool = True,
        blur_filter: Sequence[float] | None = (1, 2, 1),  # Taps of the filter after upscaling; None = no filter.
        progressive: bool = True,  # An RGB layer at every resolution, for growing; else at the last one alone.
        lod: float = 0.0,  # Level of detail: 0 = full resolution, 1 = half, 0.5 = the two blended.
        quirks: Quirks | Mapping[str, Any] | None = None,  # For other implementations' weights; None = official.
        seed: int | None = 0,  # Seed of the initial weights; None = leave them uninitialised, to be loaded.
    ):
        check_config(locals())
        super().__init__()
        self.w_dim, self.img_resolution, self.img_channels = w_dim, img_resolution, img_channels
        resolutions = block_resolutions(img_resolution)
        self.lod, self.progressive = check_lod(lod, img_resolution), progressive
        self.num_layers = 2 * len(resolutions)
        self.num_ws = self.num_layers if use_styles else 1
        self.quirks = as_quirks(Quirks, quirks)

        layers: list[nn.Module] = []
        to_rgb: dict[str, nn.Module] = {}
        in_channels = 0
        for resolution in resolutions:
            channels = feature_maps(resolution, fmap_base=fmap_base, fmap_decay=fmap_decay, fmap_max=fmap_max)
            first: nn.Module
            if resolution > 4:
                scale = Scale.BILINEAR_UP if self.quirks.bilinear_upscale and resolution < 128 else Scale.UP
                first = Conv2d(in_channels, channels, 3, scale=scale, equalized_lr=equalized_lr, bias=False)
            elif const_input:
                first = LearnedConstant(channels)
            else:
                first = DenseInput(w_dim, channels, equalized_lr=equalized_lr)
            second = Conv2d(channels, channels, 3, equalized_lr=equalized_lr, bias=False)
            for source in (first, second):
                layer = SynthesisLayer(
                    source,
                    channels,
                    w_dim=w_dim,
                    resolution=resolution,
                    blur_filter=blur_filter if source is first and resolution > 4 else None,
                    use_noise=use_noise,
                    use_pixel_norm=use_pixel_norm,
                    use_instance_norm=use_instance_norm,
                    quirks=self.quirks,
                    use_styles=use_styles,
                    nonlinearity=nonlinearity,
                    equalized_lr=equalized_lr,
                )
                layers.append(layer)
            if progressive or resolution == img_resolution:
                rgb = Conv2d(channels, img_channels, 1, gain=1.0, equalized_lr=equalized_lr)
                to_rgb[str(resolution)] = rgb
            in_channels = channels
        self.to_rgb = cast(Mapping[str, Conv2d], nn.ModuleDict(to_rgb))
        self.layers = cast(Sequence[SynthesisLayer], nn.ModuleList(layers))
        self.renderer: Renderer | None = None  # None = the modules compute all images,
        self.kernels: LayerKernels = Modules()  # with these.
        if seed is not None:
            initialize(self, seed)

    def forward(
        self,
        ws: Tensor,
        *,
        noise_mode: NoiseMode = "const",
        noise: Sequence[Tensor | None] | None = None,
        generator: torch.Generator | None = None,
        lod: float | None = None,
        enlarge: bool = True,
        fade: Tensor | None = None,
    ) -> Tensor:
        """Make images from intermediate latents.

        ws: [N, num_ws, w_dim], one w for each layer.
        noise_mode: "const" = the stored noise maps, the same for every image; "random" = new normal noise for every
            image; "none" = no noise.
        noise: one map for each layer, [N or 1, 1 or C, R, R] with R = 2^(layer // 2 + 2), instead of noise_mode; None
            in the list = no noise in that layer. `G.noise(seeds)` draws such maps.
        generator: source of the "random" noise; None = a new one, seeded by the operating system.
        lod: level of detail; None = the network's own (0 unless it was saved while growing).
        enlarge: repeat the pixels of a coarse level of detail up to img_resolution; False = omit this last step.
        fade: the fractional part of lod as a tensor [], which replaces it if it is not 0, for captured training steps.

        Returns img: [N, img_channels, img_resolution, img_resolution], float32, nominally in [-1, 1], not clipped.
        Raises InputError for wrong shapes or modes.
        """
        self.check_ws(ws)
        check_flag(enlarge, what="enlarge")
        check_device_of(ws, next(self.parameters()).device, what="ws")
        maps = self._noise_maps(ws.shape[0], noise_mode, noise, generator)
        lod = check_lod(self.lod if lod is None else lod, self.img_resolution) if self.progressive else 0.0
        ws = ws.to(self.dtype)

        # The last image, and the one before it if the two are blended.
        last = self.img_resolution >> int(lod)
        resolutions = [last // 2, last] if lod % 1 else [last]
        with full_float32(self, ws):
            images = None if self.renderer is None else self.renderer(self, ws, maps, resolutions)
            if images is None:
                images = self.images(ws, maps, resolutions)
        rgb = images[-1]
        if lod % 1:
            rgb = ops.fade(rgb, ops.upscale(images[0]), lod, fade)
        return ops.upscale(rgb, 2 ** int(lod)) if enlarge else rgb

    def images(self, ws: Tensor, noise: Sequence[Tensor | None], resolutions: Sequence[int]) -> list[Tensor]:
        """The images at these resolutions, computed by the modules: the definition that every path follows.

        ws: [N, num_ws, w_dim], in the type of the network; noise: for each layer [N or 1, 1 or C, R, R] or None.
        resolutions: ascending. Returns for each [N, img_channels, R, R], float32. Nothing is checked.
        """
        images = []
        x = ws[:, 0]
        for i, (layer, (resolution, _)) in enumerate(zip(self.layers, self.noise_shapes, strict=True)):
            # Only the layers that the level of detail shows are computed.
            if resolution > resolutions[-1]:
                break
            x = layer(x, ws[:, min(i, self.num_ws - 1)], noise[i], self.kernels)
            if i % 2 == 1 and resolution in resolutions:
                images.append(self.to_rgb[str(resolution)](x).float())
        return images

    def release_memory(self) -> None:
        """Free what the renderer keeps between calls: prepared weights and buffers."""
        if self.renderer is not None:
            self.renderer.release()

    def check_ws(self, ws: Tensor) -> None:
        """Raise InputError if ws is not [N, num_ws, w_dim]."""
        hint = "; use G.broadcast(w)" if getattr(ws, "ndim", 0) == 2 else ""
        check_tensor(ws, ("N", self.num_ws, self.w_dim), what="ws", hint=hint)

    @property
    def dtype(self) -> torch.dtype:
        """The data type of the layers."""
        return next(self.parameters()).dtype

    @property
    def image_bytes(self) -> int:
        """Approximate memory of an image while it is computed: features of the largest layer, and noise maps."""
        pixels = [h * w for h, w in self.noise_shapes]
        largest = max(layer.bias.numel() * area for layer, area in zip(self.layers, pixels, strict=True))
        return (_LIVE_TENSORS * largest + sum(pixels)) * self.dtype.itemsize

    @property
    def noise_shapes(self) -> list[tuple[int, int]]:
        """Height and width of the noise map of each layer."""
        return [(2 ** (i // 2 + 2),) * 2 for i in range(self.num_layers)]

    def _noise_maps(
        self, n: int, mode: NoiseMode, noise: Sequence[Tensor | None] | None, generator: torch.Generator | None
    ) -> list[Tensor | None]:
        device, dtype = next(self.parameters()).device, self.dtype
        if noise is None:
            noise = self.share_noise(noise_maps(self, mode, draw_fresh(n, generator, device)))
        else:
            check_choice(mode, what="noise_mode", choices=get_args(NoiseMode))
            self.check_noise(noise, n)
        return [None if given is None else given.to(device, dtype) for given in noise]

    def check_noise(self, noise: Sequence[Tensor | None], n: int) -> None:
        """Raise InputError unless noise has for each layer [n or 1, 1 or C, R, R] or None."""
        check_noise(noise, n, self.noise_shapes, [layer.bias.numel() for layer in self.layers])

    def share_noise(self, maps: Sequence[MapT]) -> list[MapT]:
        """One noise map for each layer -> the same, or the first of each resolution twice (noise_per_resolution)."""
        return [maps[i - i % 2] for i in range(len(maps))] if self.quirks.noise_per_resolution else list(maps)

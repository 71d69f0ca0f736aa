"""Discriminator: images -> logits (Karras et al. 2017, appendix A; unchanged in Karras et al. 2019)."""

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

from torch import Tensor, nn

from ..errors import InputError
from ..runtime.precision import full_float32
from ..runtime.tensors import check_tensor
from . import ops
from .config import check_config
from .layers import Conv2d, Dense, LayerKernels, Modules, Nonlinearity, NonlinearityName, Scale, activate, initialize
from .quirks import DiscriminatorQuirks, as_quirks, describe_quirks, takes_flat_quirks
from .shapes import block_resolutions, check_labels, check_lod, feature_maps


class DiscriminatorNetwork(nn.Module):
    """A block for each resolution from the image's down to 8x8, then minibatch statistics and two dense layers."""

    __call__: Callable[..., Tensor]

    @takes_flat_quirks
    def __init__(
        self,
        *,
        img_resolution: int = 1024,  # Height and width of the image: a power of two, 8 or more.
        img_channels: int = 3,
        label_dim: int = 0,  # Size of the label vectors; 0 = unconditional.
        fmap_base: int = 8192,  # Number of feature maps at resolution r: fmap_base / (r / 2)^fmap_decay,
        fmap_decay: float = 1.0,
        fmap_max: int = 512,  # and at most this.
        nonlinearity: NonlinearityName = "lrelu",
        equalized_lr: bool = True,
        mbstd_group_size: int = 4,  # Samples in a group of the minibatch standard deviation; 1 or less = none.
        mbstd_num_features: int = 1,  # Number of features that it adds.
        blur_filter: Sequence[float] | None = (1, 2, 1),  # Taps of the filter before downscaling; None = no filter.
        progressive: bool = True,  # An RGB layer at every resolution, for growing; else at the first one alone.
        lod: float = 0.0,  # Level of detail: 0 = full resolution, 1 = half, 0.5 = the two blended.
        # For other implementations' weights; None = as the official code.
        quirks: DiscriminatorQuirks | Mapping[str, Any] | None = None,
        seed: int | None = 0,  # Seed of the initial weights; None = leave them uninitialised, to be loaded.
    ):
        check_config(locals())
        self._config = {k: v for k, v in locals().items() if k not in ("self", "seed", "__class__")}
        quirks = as_quirks(DiscriminatorQuirks, quirks)
        # Earlier files have these two in every config.
        self._config["quirks"] = describe_quirks(quirks, always=("from_rgb_activations", "widen_first"))
        super().__init__()
        self.img_resolution, self.img_channels, self.label_dim = img_resolution, img_channels, label_dim
        resolutions = block_resolutions(img_resolution)
        self.lod, self.progressive = check_lod(lod, img_resolution), progressive
        channels = {
            r: feature_maps(r, fmap_base=fmap_base, fmap_decay=fmap_decay, fmap_max=fmap_max) for r in [2, *resolutions]
        }

        self.from_rgb = nn.ModuleDict()
        self.blocks = nn.ModuleDict()
        for r in reversed(resolutions):
            if progressive or r == img_resolution:
                self.from_rgb[str(r)] = _FromRGB(img_channels, channels[r], nonlinearity, equalized_lr, quirks)
            if r > 4:
                self.blocks[str(r)] = _Block(
                    channels[r],
                    channels[r // 2 if quirks.widen_first else r],
                    channels[r // 2],
                    nonlinearity,
                    equalized_lr,
                    blur_filter,
                )
        self.head = _Head(
            channels[4],
            channels[2],
            max(label_dim, 1),
            nonlinearity=nonlinearity,
            equalized_lr=equalized_lr,
            mbstd_group_size=mbstd_group_size,
            mbstd_num_features=mbstd_num_features,
            linear_dense=quirks.linear_dense,
        )
        self.kernels: LayerKernels = Modules()  # Computes the filter in the blocks.
        if seed is not None:
            initialize(self, seed)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make this network again, with its current level of detail."""
        return self._config | {"lod": self.lod}

    def forward(
        self, img: Tensor, labels: Tensor | None = None, *, lod: float | None = None, fade: Tensor | None = None
    ) -> Tensor:
        """Score images; positive = real.

        img: [N, img_channels, img_resolution, img_resolution] in [-1, 1]; N at most, or divisible by, the group size
        of the minibatch standard deviation. labels: [N, label_dim], one-hot or soft; None for unconditional networks.
        lod: level of detail; None = the network's own. img may instead have the resolution of its integer part,
        img_resolution / 2^int(lod). fade: the fractional part of lod as a tensor [], which replaces it if it is not 0,
        for captured training steps. Returns logits: [N, 1]. Raises InputError for other shapes.
        """
        lod = check_lod(self.lod if lod is None else lod, self.img_resolution) if self.progressive else 0.0
        resolution = self.img_resolution >> int(lod)
        side = resolution if getattr(img, "shape", ())[-1:] == (resolution,) else self.img_resolution
        check_tensor(img, ("N", self.img_channels, side, side), what="img", device=next(self.parameters()).device)
        group_size = self.head.mbstd_group_size
        if len(img) > group_size > 1 and len(img) % group_size:
            raise InputError(
                f"the batch must be at most, or divisible by, mbstd_group_size {group_size}; got {len(img)} images"
            )
        labels = check_labels(labels, len(img), self.label_dim)

        # Enter at the resolution of the level of detail, and blend in the features of the next one.
        with full_float32(self, img):
            img = ops.downscale(img, img.shape[-1] // resolution)
            x = self.from_rgb[str(resolution)](img)
            while resolution > 4:
                x = self.blocks[str(resolution)](x, self.kernels)
                resolution //= 2
                if lod % 1 and resolution == self.img_resolution >> (int(lod) + 1):
                    x = ops.fade(x, self.from_rgb[str(resolution)](ops.downscale(img)), lod, fade)
            scores: Tensor = self.head(x)  # [N, max(label_dim, 1)]
        if labels is not None:
            scores = (scores * labels.to(scores)).sum(dim=1, keepdim=True)
        return scores


class _FromRGB(nn.Module):
    """Image to features: 1x1 convolution and activation."""

    def __init__(
        self,
        img_channels: int,
        channels: int,
        nonlinearity: NonlinearityName,
        equalized_lr: bool,
        quirks: DiscriminatorQuirks,
    ):
        super().__init__()
        self.conv = Conv2d(img_channels, channels, quirks.from_rgb_kernel, equalized_lr=equalized_lr)
        self.nonlinearity = Nonlinearity(nonlinearity)
        self.activations = quirks.from_rgb_activations

    def forward(self, img: Tensor) -> Tensor:
        x = self.conv(img)
        for _ in range(self.activations):
            x = activate(x, self.nonlinearity)
        return x


class _Block(nn.Module):
    """Convolution, blur, convolution to half the size."""

    blur_kernel: Tensor | None

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        nonlinearity: NonlinearityName,
        equalized_lr: bool,
        blur_filter: Sequence[float] | None,
    ):
        super().__init__()
        self.conv0 = Conv2d(in_channels, mid_channels, 3, equalized_lr=equalized_lr)
        self.conv1 = Conv2d(mid_channels, out_channels, 3, scale=Scale.DOWN, equalized_lr=equalized_lr)
        self.nonlinearity = Nonlinearity(nonlinearity)
        self.register_buffer("blur_kernel", ops.blur_kernel(blur_filter) if blur_filter else None, persistent=False)

    def forward(self, x: Tensor, kernels: LayerKernels) -> Tensor:
        x = activate(self.conv0(x), self.nonlinearity)
        if self.blur_kernel is not None:
            x = kernels.blur(x, self.blur_kernel)
        return activate(self.conv1(x), self.nonlinearity)


class _Head(nn.Module):
    """Minibatch standard deviation, 4x4 convolution and two dense layers: features -> scores."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_scores: int,
        *,
        nonlinearity: NonlinearityName,
        equalized_lr: bool,
        mbstd_group_size: int,
        mbstd_num_features: int,
        linear_dense: bool,
    ):
        super().__init__()
        self.mbstd_group_size, self.mbstd_num_features = mbstd_group_size, mbstd_num_features
        mbstd_channels = mbstd_num_features if mbstd_group_size > 1 else 0
        self.conv = Conv2d(in_channels + mbstd_channels, in_channels, 3, equalized_lr=equalized_lr)
        self.dense0 = Dense(in_channels * 16, channels, gain=sqrt(2), equalized_lr=equalized_lr)
        self.dense1 = Dense(channels, num_scores, gain=1.0, equalized_lr=equalized_lr)
        self.nonlinearity, self.linear_dense = Nonlinearity(nonlinearity), linear_dense

    def forward(self, x: Tensor) -> Tensor:
        if self.mbstd_group_size > 1:
            x = ops.minibatch_stddev(x, self.mbstd_group_size, self.mbstd_num_features)
        x = activate(self.conv(x), self.nonlinearity)
        x = self.dense0(x.flatten(1))
        return self.dense1(x if self.linear_dense else activate(x, self.nonlinearity))

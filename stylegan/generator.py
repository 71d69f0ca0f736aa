"""The generator: seeds -> z -> w -> ws -> img, and the methods that users call."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast, overload

import numpy as np
import torch
from torch import Tensor

from . import fast, images, latents
from .latents.bands import Layers
from .latents.labels import Labels, label_vectors
from .latents.noise import choose_noise
from .latents.seeds import Seeds, choose_seeds
from .networks.generator import GeneratorNetwork
from .networks.noise import draw_from_seeds, noise_maps
from .runtime.choices import NoiseMode, OutputType, RenderPath
from .runtime.device import check_dtype
from .runtime.hints import OF_FILES, OF_SAMPLES, hinted
from .runtime.precision import no_autocast
from .weights.blending import Blendable
from .weights.hub import Access
from .weights.manifest import DEFAULT_MODEL
from .weights.publishing import Publishable

if TYPE_CHECKING:
    from PIL.Image import Image

    from .images.rendering import Rendered
    from .latents.arguments import Rendering, Sampling


class Generator(GeneratorNetwork, Publishable, Blendable):
    """A generator: its networks, built from the same arguments, their weight files, and the methods that users call.

    The steps of `sample`, in order: `G.z(seeds)` draws z; `G.mapping(z)` gives w; `G.broadcast(w)` gives every layer
    its ws; `G.truncate(ws)` moves them towards the average; `G.synthesis(ws)` makes the image. `G.ws(seeds)` is all
    but the last. `mix_styles` and `edit` change ws, `render` makes images of them, and `blend` makes further networks.
    """

    _network = "Gs"

    @classmethod
    @hinted(**OF_FILES)
    @torch.inference_mode(False)  # Inference tensors cannot be trained, and changes to them cannot be detected.
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        path: RenderPath = "auto",
        resolution: int | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
    ) -> "Generator":
        """Load a generator: evaluation mode, gradients off.

        name_or_path: a name in the manifest (`stylegan list` shows all); our own file, an official pickle (its Gs, the
            averaged weights) or a file of another port, recognized by content, not by name; a folder with
            model.safetensors, of a training run, or with one weight file; a repository of the Hugging Face hub, as
            user/repo or hf:user/repo[/file][@revision]; or an https URL of such a file.
        device: None = the CPU.
        dtype: of the synthesis network, "float32", "float16" or "bfloat16"; None = float32. All else stays float32.
        path: how images are computed: "auto" = the fastest available way; or "plain", "fast", "native". See `path`.
        resolution: of the network, for files of other ports that do not say; None = from the file.
        revision: commit, tag or branch of a hub repository; None = the manifest's, or the main branch.
        cache_dir: where downloads are kept; None = STYLEGAN_CACHE, or the hub client's cache (HF_HOME).
        token: for the hub; None = that of `hf auth login`, if any; False = none.
        local_files_only: never use the network.
        force_download: download again, even if cached.

        Downloads are verified, files in other formats converted once. Raises NotFoundError for an unknown name or path,
        DownloadError if a file cannot be fetched (OfflineError, AuthError, RateLimitError say why), WeightsError for
        one that is damaged, unsafe (UnsafeFileError) or does not match, IntegrityError if it is another file.
        """
        access = Access(cache_dir, token, local_files_only, force_download)
        G = cls._load(name_or_path, device=device, resolution=resolution, revision=revision, access=access)
        G.path = path
        G.synthesis.to(check_dtype(dtype))
        return G

    @property
    def path(self) -> RenderPath:
        """How images are computed: "auto", "plain", "fast" or "native"; see docs/speed.md.

        "plain" runs the modules. "fast" uses operations of torch, "native" C kernels, or Triton on a GPU; both differ
        from "plain" only by rounding and are several times as fast. "auto" = the fastest that works. Calls that need
        gradients take the plain path. Setting it raises InputError for an unknown path, or "native" without compiled
        kernels. An explicitly named path raises RenderError if it fails.
        """
        return "plain" if self.synthesis.renderer is None else self.synthesis.renderer.path

    @path.setter
    def path(self, path: RenderPath) -> None:
        path = fast.check_path(path)
        self.synthesis.renderer = self.synthesis.renderer or self.new_renderer()
        self.synthesis.renderer.path = path

    def new_renderer(self) -> "fast.Renderer":
        """The fast paths of one network."""
        return fast.Renderer()

    # The steps: seeds -> z -> w -> ws -> img.

    def z(self, seeds: Seeds) -> Tensor:
        """Draw z from seeds, the same on every device: [N, z_dim], float32. See `latents.z_from_seeds`."""
        self.check_weights()
        return latents.z_from_seeds(seeds, self.z_dim).to(self.device, non_blocking=True)

    def noise(self, seeds: Seeds, *, noise_mode: NoiseMode = "random") -> list[Tensor]:
        """Noise maps for `synthesis` from seeds, the same on every device: for each layer [N or 1, 1 or C, R, R]."""
        self.check_weights()
        maps = noise_maps(self.synthesis, noise_mode, draw_from_seeds(latents.check_seeds(seeds)))
        maps = [noise if noise is None else noise.to(self.device, non_blocking=True) for noise in maps]
        return cast(list[Tensor], self.synthesis.share_noise(maps))

    def broadcast(self, w: Tensor) -> Tensor:
        """Give every layer the same w: [N, w_dim] -> ws [N, num_ws, w_dim]."""
        return latents.broadcast(w, self.num_ws)

    def truncate(
        self,
        ws: Tensor,
        truncation_psi: float | Sequence[float] | Tensor = 0.7,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """Move ws [N, num_ws, w_dim] towards the average of this generator. See `latents.truncate`."""
        self.synthesis.check_ws(ws)
        return latents.truncate(ws, self.w_avg, truncation_psi, truncation_cutoff)

    def mix_styles(self, ws_a: Tensor, ws_b: Tensor | Mapping[Any, Tensor], layers: Layers | None = None) -> Tensor:
        """Take the styles of `layers` from ws_b, or {layers: ws}, the others from ws_a. See `latents.mix_styles`."""
        return latents.mix_styles(ws_a, ws_b, layers)

    def edit(
        self,
        ws: Tensor,
        direction: "latents.Direction | str",
        strength: float | Sequence[float] | Tensor,
        layers: Layers | None = None,
    ) -> Tensor:
        """Move ws [N, num_ws, w_dim] along a direction of this model, in standard deviations. See `latents.edit`.

        direction: a Direction, or the name of a bundled one, such as "age". Raises InputError for another model's.
        """
        self.synthesis.check_ws(ws)
        if isinstance(direction, str):
            direction = latents.named_direction(self, direction)
        latents.check_direction(direction, self.w_avg)
        return latents.edit(ws, direction, strength, layers)

    @no_autocast()
    def ws(
        self,
        seeds: Seeds,
        *,
        labels: Labels = None,
        truncation_psi: float | Sequence[float] | Tensor = 0.7,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """Seeds -> z -> w -> truncated ws [N, num_ws, w_dim], in one call. Arguments as in `sample`."""
        self.check_weights()
        numbers = latents.check_seeds(seeds)
        cutoff = latents.check_cutoff(truncation_cutoff, self.num_ws)
        return self._ws(numbers, self.label_vectors(labels, len(numbers)), truncation_psi, cutoff)

    @torch.no_grad()
    def _ws(self, seeds: list[int], labels: Tensor | None, psi: Any, cutoff: int | None) -> Tensor:
        z = latents.z_from_seeds(seeds, self.z_dim).to(self.device, non_blocking=True)
        return latents.truncate(self.broadcast(self.mapping(z, labels)), self.w_avg, psi, cutoff)

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        *,
        truncation_psi: float | Sequence[float] | Tensor = 1.0,
        truncation_cutoff: int | None = None,
        noise_mode: NoiseMode = "const",
        noise: Sequence[Tensor | None] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """All steps at once: z [N, z_dim] -> img [N, C, H, W]. The arguments are those of the steps."""
        ws = self.truncate(self.broadcast(self.mapping(z, labels)), truncation_psi, truncation_cutoff)
        return self.synthesis(ws, noise_mode=noise_mode, noise=noise, generator=generator)

    @overload
    def sample(self, n: int = 1, *, output_type: Literal["pil"] = "pil", **_: "Unpack[Sampling]") -> "list[Image]": ...
    @overload
    def sample(self, n: int = 1, *, output_type: Literal["np"], **_: "Unpack[Sampling]") -> np.ndarray: ...
    @overload
    def sample(self, n: int = 1, *, output_type: Literal["pt"], **_: "Unpack[Sampling]") -> Tensor: ...
    @hinted(**OF_SAMPLES)
    def sample(
        self,
        n: int = 1,
        *,
        seeds: Seeds | None = None,
        truncation_psi: float | Sequence[float] | Tensor = 0.7,
        truncation_cutoff: int | None = None,
        noise_mode: NoiseMode = "const",
        noise_seed: int | Sequence[int] | None = None,
        labels: Labels = None,
        batch_size: int | None = None,
        output_type: OutputType = "pil",
        progress: bool | None = None,
        generator: torch.Generator | None = None,
    ) -> "Rendered":
        """Make images from seeds.

        n: number of images, of seeds 0 to n - 1. seeds: explicit seeds instead; n may then be omitted.
        truncation_psi, truncation_cutoff: a number, or one for each layer [num_ws]; see `truncate`.
        noise_mode: "const", "random" or "none"; see `SynthesisNetwork.forward`.
        noise_seed: for drawn noise, one for all images or one for each; None = new ones, which PIL images store.
        labels: for conditional models: a class, by index or name, or one for each; or a tensor [(n,) label_dim].
        batch_size: images per batch; None = by resolution and free memory. It changes memory and time, not the images.
        output_type: "pil" = a list of PIL images, which store these settings (`images.recall`): grey, grey with
            alpha, RGB or RGBA, for models of 1 to 4 channels; "np" = an array [n, H, W, C] of uint8; "pt" = a tensor
            [n, C, H, W], nominally in [-1, 1], on the device of the network.
        generator: draws n seeds, which PIL images store; None = the seeds are given, or 0 to n - 1.
        progress: show a bar; None = for more than one batch, on a terminal.

        A seed gives the same image whatever else is in the batch: bit for bit on every run with the same batch size,
        device and software. Between batch sizes, fewer than 1 in 1,000 uint8 values differ, by at most 1.
        Raises InputError for settings that do not fit the model.
        """
        psi = latents.check_psi(truncation_psi, [(), (self.num_ws,)])
        cutoff = latents.check_cutoff(truncation_cutoff, self.num_ws)
        numbers = choose_seeds(n, seeds, generator, self.img_channels * self.img_resolution**2)
        vectors = self.label_vectors(labels, len(numbers))

        def ws(i: slice) -> Tensor:
            return self._ws(numbers[i], None if vectors is None else vectors[i], psi, cutoff)

        settings = images.sample_settings(numbers, psi=psi, cutoff=cutoff, labels=vectors)
        return self._render(settings, ws, noise_mode, noise_seed, batch_size, output_type, progress)

    @overload
    def render(self, ws: Tensor, *, output_type: Literal["pil"] = "pil", **_: "Unpack[Rendering]") -> "list[Image]": ...
    @overload
    def render(self, ws: Tensor, *, output_type: Literal["np"], **_: "Unpack[Rendering]") -> np.ndarray: ...
    @overload
    def render(self, ws: Tensor, *, output_type: Literal["pt"], **_: "Unpack[Rendering]") -> Tensor: ...
    def render(
        self,
        ws: Tensor,
        *,
        noise_mode: NoiseMode = "const",
        noise_seed: int | Sequence[int] | None = None,
        noise: Sequence[Tensor | None] | None = None,
        batch_size: int | None = None,
        output_type: OutputType = "pil",
        progress: bool | None = None,
    ) -> "Rendered":
        """Make images from ws [N, num_ws, w_dim], in batches. The other arguments and the result are as in `sample`.

        noise: a map for each layer, [N or 1, 1 or C, R, R], instead of noise_mode; see `SynthesisNetwork.forward`.
        """
        self.synthesis.check_ws(ws)
        settings: list[dict[str, Any]] = [{} for _ in range(len(ws))]
        return self._render(settings, ws.__getitem__, noise_mode, noise_seed, batch_size, output_type, progress, noise)

    @no_autocast()
    def _render(
        self,
        settings: list[dict[str, Any]],  # What each image stores about how it was made, besides the noise.
        ws: Callable[[slice], Tensor],
        noise_mode: NoiseMode,
        noise_seed: int | Sequence[int] | None,
        batch_size: int | None,
        output_type: OutputType,
        progress: bool | None,
        noise: Sequence[Tensor | None] | None = None,
    ) -> "Rendered":
        n = len(settings)
        self.check_weights()
        images.check_output(output_type, n, self.img_channels)
        seeds, maps = choose_noise(self, n, noise_mode, noise_seed, given=noise, keep_seeds=output_type == "pil")

        def batch(i: slice) -> Tensor:
            return self.synthesis(ws(i), noise_mode=noise_mode, noise=maps(i))

        batch_size = self.default_batch_size(n) if batch_size is None else batch_size
        results = images.render(batch, n, batch_size=batch_size, output_type=output_type, progress=progress)
        if isinstance(results, list):
            known = self.provenance()
            for j, (image, own) in enumerate(zip(results, settings, strict=True)):
                own["noise_mode"] = noise_mode if noise is None else "given"
                images.remember(image, known | own | ({"noise_seed": seeds[j]} if seeds else {}))
        return results

    def label_vectors(self, labels: Labels, n: int) -> Tensor | None:
        """Class indices, class names or label vectors -> [n, label_dim], on the network's device."""
        vectors = label_vectors(labels, n, self.label_dim, classes=self.classes, model=self.name)
        return None if vectors is None else vectors.to(self.device, non_blocking=True)

"""The generator: seeds -> z -> w -> ws -> img, and the verbs that people use it with.

    G = Generator.from_pretrained()
    G.sample(seeds=[5])[0].save("face.png")

The steps beneath: `G.z(seeds)` draws z; `G.mapping(z)` gives w; `G.broadcast(w)` gives every layer its ws;
`G.truncate(ws)` moves them towards the average; `G.synthesis(ws)` makes the image.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import torch
from torch import Tensor

from . import latents
from .errors import InputError
from .fast import Renderer, check_path, resolve_path
from .images.rendering import check_output, render
from .images.settings import remember
from .latents.bands import Layers
from .latents.directions import Direction, edit
from .latents.labels import Labels, label_vectors
from .latents.seeds import Seeds, choose_noise_seeds, choose_seeds, fresh_noise_seeds
from .networks.config import check_config, check_nested
from .networks.layers import initialize
from .networks.mapping import MappingNetwork
from .networks.synthesis import SynthesisNetwork, check_noise
from .runtime.batching import default_batch_size, rounded
from .runtime.checks import check_choice, check_integer, shown
from .runtime.choices import NoiseMode, OutputType, RenderPath
from .runtime.deprecated import KeptSetting
from .runtime.device import check_dtype, new_weight
from .runtime.precision import no_autocast
from .version import __version__
from .weights.hub import Access
from .weights.manifest import DEFAULT_MODEL
from .weights.publishing import Publishable


class Generator(Publishable):
    """Mapping network, average w and synthesis network (Karras et al. 2019, figure 1b)."""

    w_avg: Tensor

    def __init__(
        self,
        *,
        z_dim: int = 512,  # Size of the input latent.
        w_dim: int = 512,  # Size of the intermediate latent.
        label_dim: int = 0,  # Size of the label vectors; 0 = unconditional.
        img_resolution: int = 1024,  # Height and width of the image: a power of two, 8 or more.
        img_channels: int = 3,
        truncation_psi: float = 0.7,  # What the model's makers show its images with, for information;
        truncation_cutoff: int | None = 8,  # see `recommended_truncation`.
        mapping: Mapping[str, Any] | None = None,  # Further arguments of MappingNetwork; None = its defaults.
        synthesis: Mapping[str, Any] | None = None,  # Further arguments of SynthesisNetwork; None = its defaults.
        seed: int | None = 0,  # Seed of the initial weights; None = leave them uninitialised, to be loaded.
    ):
        check_config(locals())
        shared = ("z_dim", "w_dim", "label_dim", "img_resolution", "img_channels", "seed")
        mapping = check_nested("mapping", mapping, MappingNetwork, given=shared)
        synthesis = check_nested("synthesis", synthesis, SynthesisNetwork, given=shared)
        super().__init__()
        self._config: dict[str, Any] = {
            "z_dim": z_dim,
            "w_dim": w_dim,
            "label_dim": label_dim,
            "img_resolution": img_resolution,
            "img_channels": img_channels,
            "truncation_psi": truncation_psi,
            "truncation_cutoff": truncation_cutoff,
            "mapping": mapping,
            "synthesis": synthesis,
        }
        self.z_dim, self.w_dim, self.label_dim = z_dim, w_dim, label_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        self.mapping = MappingNetwork(z_dim=z_dim, w_dim=w_dim, label_dim=label_dim, seed=None, **mapping)
        self.register_buffer("w_avg", new_weight(w_dim).zero_())
        self.synthesis = SynthesisNetwork(
            w_dim=w_dim, img_resolution=img_resolution, img_channels=img_channels, seed=None, **synthesis
        )
        self.synthesis.renderer = Renderer()
        self.num_ws = self.synthesis.num_ws
        if seed is not None:
            initialize(self, seed)

    @classmethod
    @torch.inference_mode(False)  # Inference tensors could not be trained, nor changes of them be noticed.
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

        name_or_path: a name of the manifest (`stylegan list` shows all); a file of ours, an official pickle (its Gs,
            the averaged weights) or a file of another port, told by its content, whatever its name; a folder with
            model.safetensors, of a training run, or with one weight file; a repository of the Hugging Face hub, as
            user/repo or hf:user/repo[/file][@revision]; or an https URL of such a file.
        device: None = the CPU.
        dtype: type that the synthesis network computes in: "float32", "float16" or "bfloat16"; None = float32.
            The mapping network and the images stay float32.
        path: how images are computed: "auto" = the fastest way there is; or "plain", "fast", "native". See `path`.
        resolution: of the network, where the file of another port does not tell it; None = from the file.
        revision: commit, tag or branch of a hub repository; None = the manifest's, or the main branch.
        cache_dir: where downloads are kept; None = STYLEGAN_CACHE, or the hub client's cache (HF_HOME).
        token: of the hub; None = that of `hf auth login`, if any; False = none.
        local_files_only: never use the network.
        force_download: fetch again what is in the cache.

        Downloads are verified, and files in other formats are converted once. Raises NotFoundError for an unknown name
        or path, DownloadError if a file cannot be had (OfflineError, AuthError, RateLimitError say why), WeightsError
        for one that is damaged, unsafe (UnsafeFileError) or does not fit, IntegrityError if it is not the right one.
        """
        access = Access(cache_dir, token, local_files_only, force_download)
        G = cls._load(
            name_or_path, network="Gs", device=device, resolution=resolution, revision=revision, access=access
        )
        G.path = path
        G.synthesis.to(check_dtype(dtype))
        return G

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make this network again, with its present level of detail."""
        return self._config | {"synthesis": self._config["synthesis"] | {"lod": self.synthesis.lod}}

    @property
    def recommended_truncation(self) -> dict[str, Any]:
        """How the model's makers show its images, as arguments: `G.sample(4, **G.recommended_truncation)`.

        For information: where `sample` is given nothing, it truncates all layers with psi 0.7, whatever the model.
        """
        cutoff = self._config["truncation_cutoff"]
        cutoff = None if cutoff is None else max(0, min(cutoff, self.num_ws))
        return {"truncation_psi": self._config["truncation_psi"], "truncation_cutoff": cutoff}

    truncation_psi = KeptSetting()
    truncation_cutoff = KeptSetting()

    @property
    def device(self) -> torch.device:
        return self.w_avg.device

    @property
    def dtype(self) -> torch.dtype:
        """The type that the synthesis network computes in."""
        return self.synthesis.dtype

    @property
    def path(self) -> RenderPath:
        """How images are computed where no gradient is needed: "auto", "plain", "fast" or "native".

        "plain" runs the modules as they stand; the others compute the same, but for rounding, several times as fast:
        "fast" by operations of torch, "native" by kernels that were compiled at installation, or by Triton on a GPU.
        "auto" = the fastest that there is, and on a GPU computes the right images there. Calls that these cannot serve
        take the plain path: those that need gradients, networks in training mode, and options of other implementations;
        docs/speed.md lists them. Setting it raises InputError for an unknown path, or "native" where nothing was
        compiled. A path that is named and does not work on a GPU raises RenderError when it is taken.
        """
        return "plain" if self.synthesis.renderer is None else self.synthesis.renderer.path

    @path.setter
    def path(self, path: RenderPath) -> None:
        path = check_path(path)
        if self.synthesis.renderer is None:
            self.synthesis.renderer = Renderer()
        self.synthesis.renderer.path = path

    def release_memory(self) -> None:
        """Give back what the fast paths keep from call to call; the next call makes it again."""
        self.synthesis.release_memory()

    # The steps: seeds -> z -> w -> ws -> img.

    def z(self, seeds: Seeds) -> Tensor:
        """Draw z from seeds, the same on every device: [N, z_dim], float32. See `latents.z_from_seeds`."""
        self._check_weights()
        return latents.z_from_seeds(seeds, self.z_dim).to(self.device, non_blocking=True)

    def noise(self, seeds: Seeds) -> list[Tensor]:
        """Draw noise maps from seeds, the same on every device: for each layer [N, 1, R, R]; for `synthesis`."""
        self._check_weights()
        maps = latents.noise_from_seeds(seeds, self.synthesis.noise_shapes)
        return self.synthesis.share_noise([noise.to(self.device, non_blocking=True) for noise in maps])

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

    def mix_styles(self, ws_a: Tensor, ws_b: Tensor, layers: Layers) -> Tensor:
        """Take the styles of `layers` from ws_b and the others from ws_a. See `latents.mix_styles`."""
        return latents.mix_styles(ws_a, ws_b, layers)

    def edit(
        self,
        ws: Tensor,
        direction: Direction,
        strength: float | Sequence[float] | Tensor,
        layers: Layers | None = None,
    ) -> Tensor:
        """Move ws [N, num_ws, w_dim] along a direction of this model, in standard deviations. See `direction.edit`.

        Raises InputError also for a direction of another model.
        """
        self.synthesis.check_ws(ws)
        if not isinstance(direction, Direction):
            raise InputError(
                f"direction must be a Direction, as `editing.find_direction` gives it; got {shown(direction)}"
            )
        what = f"the direction {direction.name!r} of {direction.model}"
        next_step = "`stylegan directions` finds those of this model"
        latents.check_same_average(self.w_avg, direction.w_avg, what=what, next_step=next_step)
        return edit(ws, direction, strength, layers)

    @no_autocast()
    def ws(
        self,
        seeds: Seeds,
        *,
        labels: Labels = None,
        truncation_psi: float | Sequence[float] | Tensor = 0.7,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """Seeds -> z -> w -> truncated ws [N, num_ws, w_dim], in one call. The arguments are those of `sample`."""
        with torch.no_grad():
            z = self.z(seeds)
            w = self.mapping(z, self.label_vectors(labels, len(z)))
            cutoff = latents.check_cutoff(truncation_cutoff, self.num_ws)
            return self.truncate(self.broadcast(w), truncation_psi, cutoff)

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
        ws = self.broadcast(self.mapping(z, labels))
        ws = self.truncate(ws, truncation_psi, truncation_cutoff)
        return self.synthesis(ws, noise_mode=noise_mode, noise=noise, generator=generator)

    # Pictures.

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
    ) -> Any:
        """Make images from seeds.

        n: number of images, of the seeds 0 to n - 1. seeds: the seeds themselves, in place of n, which may be left out
            or be their number.
        truncation_psi, truncation_cutoff: a number, or one for each layer [num_ws]; see `truncate`.
        noise_mode: "const", "random" or "none"; see `SynthesisNetwork.forward`.
        noise_seed: seed of the "random" noise, one for all images or one for each; None = fresh noise, other each time;
            PIL images remember its seeds.
        labels: for conditional models: the index of a class or its name (`metadata["classes"]`), one for each image, or
            a tensor [label_dim] or [n, label_dim].
        batch_size: images computed together; None = by resolution and free memory. It changes memory and time, not the
            images.
        output_type: "pil" = a list of PIL images, which remember these settings (`images.recall`): grey, grey with
            alpha, RGB or RGBA, for models of 1 to 4 channels; "np" = an array [n, H, W, C] of uint8; "pt" = a tensor
            [n, C, H, W], nominally in [-1, 1], on the device of the network.
        progress: show a bar; None = if there is more than one batch, on a terminal.

        A seed gives the same image whatever else is in the batch: bit for bit on every run with the same batch size,
        device and software; between batch sizes, uint8 values differ by at most 1, in fewer than 1 of 1,000.
        Raises InputError for settings that do not fit the model.
        """
        psi = latents.check_psi(truncation_psi, [(), (self.num_ws,)])
        latents.check_cutoff(truncation_cutoff, self.num_ws)
        numbers = choose_seeds(n, seeds, self.img_channels * self.img_resolution**2)
        vectors = self.label_vectors(labels, len(numbers))

        def ws(i: slice) -> Tensor:
            return self.ws(
                numbers[i],
                labels=None if vectors is None else vectors[i],
                truncation_psi=psi,
                truncation_cutoff=truncation_cutoff,
            )

        truncation = {"truncation_psi": rounded(psi.tolist())}
        if truncation_cutoff is not None:
            truncation["truncation_cutoff"] = truncation_cutoff
        settings = [{"seed": seed} | truncation for seed in numbers]
        if vectors is not None:
            settings = [own | {"label": v} for own, v in zip(settings, vectors.tolist(), strict=True)]
        return self._render(settings, ws, noise_mode, noise_seed, batch_size, output_type, progress)

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
    ) -> Any:
        """Make images from ws [N, num_ws, w_dim], in batches. The other arguments and the result are as in `sample`.

        noise: a map for each layer, [N or 1, 1, R, R], in place of noise_mode; see `SynthesisNetwork.forward`.
        """
        self.synthesis.check_ws(ws)
        settings: list[dict[str, Any]] = [{} for _ in range(len(ws))]
        return self._render(settings, ws.__getitem__, noise_mode, noise_seed, batch_size, output_type, progress, noise)

    def default_batch_size(self, n: int) -> int:
        """How many of n images are computed together where batch_size is None: by resolution and free memory."""
        if check_integer(n, what="n", low=1, high=2**63) == 1:
            return 1
        sizes = (
            layer.bias.numel() * height * width
            for layer, (height, width) in zip(self.synthesis.layers, self.synthesis.noise_shapes, strict=True)
        )
        return default_batch_size(n, self.img_resolution, self.device, max(sizes) * self.dtype.itemsize)

    @no_autocast()
    def _render(
        self,
        settings: list[dict[str, Any]],  # What each image remembers of how it was made, besides the noise.
        ws: Callable[[slice], Tensor],
        noise_mode: NoiseMode,
        noise_seed: int | Sequence[int] | None,
        batch_size: int | None,
        output_type: OutputType,
        progress: bool | None,
        noise: Sequence[Tensor | None] | None = None,
    ) -> Any:
        n = len(settings)
        check_choice(noise_mode, what="noise_mode", choices=get_args(NoiseMode))
        self._check_weights()
        check_output(output_type, n, self.img_channels)
        if noise is not None:
            if (noise_mode, noise_seed) != ("const", None):
                raise InputError(
                    f"noise goes in place of noise_mode and noise_seed, got {noise_mode!r}, {noise_seed!r}"
                )
            check_noise(noise, n, self.synthesis.noise_shapes)
        if noise_mode == "random" and noise_seed is None and output_type == "pil":
            noise_seed = fresh_noise_seeds(n)  # Pictures remember how they were made.
        seeds = choose_noise_seeds(noise_seed, noise_mode, n)
        shared = self.noise(seeds[0]) if len(set(seeds)) == 1 else None

        def images(i: slice) -> Tensor:
            maps: Sequence[Tensor | None] | None = shared or (self.noise(seeds[i]) if seeds else None)
            if noise is not None:
                maps = [m if m is None or len(m) == 1 else m[i] for m in noise]
            return self.synthesis(ws(i), noise_mode=noise_mode, noise=maps)

        batch_size = self.default_batch_size(n) if batch_size is None else batch_size
        results = render(images, n, batch_size=batch_size, output_type=output_type, progress=progress)
        if output_type == "pil":
            known = self.provenance()
            for j, (image, own) in enumerate(zip(results, settings, strict=True)):
                own["noise_mode"] = noise_mode if noise is None else "given"
                remember(image, known | own | ({"noise_seed": seeds[j]} if seeds else {}))
        return results

    def _check_weights(self) -> None:
        if self.device.type == "meta":
            raise InputError("this network is on the meta device, where there are no numbers; load it onto another one")

    def provenance(self) -> dict[str, str]:
        """What every picture of this model remembers: software, model, where it came from, its weights and licence."""
        # Of a file, the name alone: whoever gets the picture need not know the folders of this computer.
        source = os.path.basename(os.path.abspath(self.source)) if os.path.exists(self.source) else self.source
        known = {"Software": f"stylegan {__version__}", "model": self.name, "source": source}
        known |= {"weights_sha256": self.weights_sha256, "dtype": str(self.dtype).removeprefix("torch.")}
        known["path"] = resolve_path(self.path, self.device)
        return known | ({"license": str(self.metadata["license"])} if "license" in self.metadata else {})

    def __repr__(self) -> str:
        parameters = sum(p.numel() for p in self.parameters())
        size = f"{self.img_resolution}x{self.img_resolution}"
        license = self.metadata.get("license", "unknown")
        return (
            f"Generator({self.name}: {size}, {parameters / 1e6:.1f} M parameters, "
            f"{str(self.dtype).removeprefix('torch.')} on {self.device}, from {self.source}, licence: {license})"
        )

    def label_vectors(self, labels: Labels, n: int) -> Tensor | None:
        """Class indices, names of classes or label vectors -> [n, label_dim], on the device of the network."""
        classes = self.metadata.get("classes")
        names = [str(c) for c in classes] if isinstance(classes, list) else []
        vectors = label_vectors(labels, n, self.label_dim, classes=names, model=self.name)
        return None if vectors is None else vectors.to(self.device, non_blocking=True)

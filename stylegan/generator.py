"""The generator: seeds -> z -> w -> ws -> img, and the verbs that people use it with.

    G = Generator.from_pretrained()
    G.sample(seeds=[5])[0].save("face.png")

The steps beneath: `G.z(seeds)` draws z; `G.mapping(z)` gives w; `G.broadcast(w)` gives every layer its ws;
`G.truncate(ws)` moves them towards the average; `G.synthesis(ws)` makes the image.
"""

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from . import images, latents
from .errors import InputError
from .fast import check_path, resolve_path
from .latents.bands import Layers
from .latents.directions import Direction, edit
from .latents.seeds import Seeds, choose_noise_seeds, choose_seeds, fresh_noise_seeds
from .networks.config import check_config, check_nested
from .networks.layers import SynthesisLayer, initialize
from .networks.mapping import MappingNetwork
from .networks.shapes import check_labels
from .networks.synthesis import SynthesisNetwork, check_noise
from .runtime.atomic_files import as_path, write_atomically
from .runtime.batching import batches, default_batch_size, rounded
from .runtime.checks import check_choice, check_integer, check_integers, is_index, shown, typed
from .runtime.choices import NoiseMode, OutputType, RenderPath
from .runtime.device import FLOAT32_CPU, check_device, check_dtype, new_weight
from .runtime.precision import no_autocast
from .runtime.tensors import check_tensor, weighted_sums
from .version import __version__
from .weights.checkpoint import Checkpoint, save_checkpoint, save_folder
from .weights.hub.client import Access, upload
from .weights.loading import build_network, read_weights
from .weights.manifest import DEFAULT_MODEL
from .weights.model_card import model_card

Labels = int | str | Sequence[int | str] | Tensor | None


class Generator(nn.Module):
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
        self.metadata: dict[str, Any] = {}
        self.source = "initial weights"
        self._digest: tuple[Any, str] | None = None  # Of what state of the weights, and their sha256.

        self.mapping = MappingNetwork(z_dim=z_dim, w_dim=w_dim, label_dim=label_dim, seed=None, **mapping)
        self.register_buffer("w_avg", new_weight(w_dim).zero_())
        self.synthesis = SynthesisNetwork(
            w_dim=w_dim, img_resolution=img_resolution, img_channels=img_channels, seed=None, **synthesis
        )
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
        loaded = read_weights(name_or_path, resolution=resolution, revision=revision, access=access)
        G = build_network(cls, loaded)
        G.metadata, G.source = loaded.checkpoint.metadata, loaded.source
        G.path = path
        G.synthesis.to(check_dtype(dtype))
        return G.to(check_device(device)).eval().requires_grad_(False)

    def save_pretrained(self, folder: str | os.PathLike[str], *, dtype: str | torch.dtype | None = None) -> None:
        """Write the hub convention, a folder with config.json and model.safetensors. dtype: see `save`."""
        save_folder(folder, self.checkpoint(), dtype=dtype)

    @typed
    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = True,
        token: str | bool | None = None,
        revision: str | None = None,
        commit_message: str = "Upload a StyleGAN generator",
        dtype: str | torch.dtype | None = None,
        num_images: int = 16,
    ) -> str:
        """Publish config, weights, and a model card with a picture, as one commit; returns the commit's address.

        repo_id: user/name; made if it is not there. private: nobody else sees it; a repository that is public already
        is refused then. token: None = that of `hf auth login`. revision: an existing branch; None = the main one.
        dtype: see `save`. num_images: how many images the picture of the card shows, of the seeds from 0 on.

        The card says what `G.metadata` says: name, license, license_url, dataset, attribution, metrics, limits.
        Raises AuthError or another DownloadError if the hub refuses, InputError for a repository that is public.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, dtype=dtype)
            self.save_model_card(folder, repo=repo_id, num_images=num_images)
            return upload(
                repo_id,
                Path(folder),
                private=private,
                token=token,
                revision=revision,
                commit_message=commit_message,
            )

    @typed
    def save_model_card(self, folder: str | os.PathLike[str], *, repo: str | None = None, num_images: int = 16) -> None:
        """Write README.md and samples.png into a folder, as `push_to_hub` does; repo: None = the folder itself."""
        picture = as_path(folder) / "samples.png"
        card = model_card(
            self.metadata,
            repo=repo or str(folder),
            size=f"{self.img_resolution}x{self.img_resolution}",
            parameters=sum(p.numel() for p in self.parameters()),
            psi=self._config["truncation_psi"],
            images=num_images,
            picture=picture.name,
        )
        labels = [i % self.label_dim for i in range(num_images)] if self.label_dim else None
        samples = self.sample(num_images, truncation_psi=self._config["truncation_psi"], labels=labels)
        images.save(images.grid(samples, columns=min(8, num_images)), picture)
        write_atomically(Path(folder) / "README.md", card.encode())

    def save(self, path: str | os.PathLike[str], *, dtype: str | torch.dtype | None = None) -> None:
        """Write one safetensors file that `from_pretrained` reads, whatever its name; complete or not at all.

        dtype: type to store, float16 for half the size; None = that of the network.
        """
        save_checkpoint(path, self.checkpoint(), dtype=dtype)

    def checkpoint(self) -> Checkpoint:
        """The network as data: config, tensors and metadata."""
        return Checkpoint("Generator", self.config, self.state_dict(), self.metadata)

    @property
    @no_autocast()
    def weights_sha256(self) -> str:
        """The sha256 of config and weights, by which pictures tell which network made them; see `Checkpoint.sha256`.

        It is computed when it is first asked for, and again once weights have changed, however they were.
        """
        self._check_weights()
        tensors = list(self.state_dict().values())
        # Changes in place count up the version, but for those by `.data`, by numpy and by recorded steps of training.
        state = [(t.data_ptr(), t.dtype, 0 if t.is_inference() else t._version) for t in tensors]
        key = (state, self.synthesis.lod, torch.cat([weighted_sums(t) for t in tensors]).tolist())
        if self._digest is None or self._digest[0] != key:
            self._digest = key, self.checkpoint().sha256()
        return self._digest[1]

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

    @property
    def truncation_psi(self) -> float:
        """What the file says; deprecated, see `recommended_truncation`. Setting it raises InputError."""
        return self._of_the_file("truncation_psi")

    @truncation_psi.setter
    def truncation_psi(self, value: Any) -> None:
        raise _set_in_vain("truncation_psi", value)

    @property
    def truncation_cutoff(self) -> int | None:
        """What the file says; deprecated, see `recommended_truncation`. Setting it raises InputError."""
        return self._of_the_file("truncation_cutoff")

    @truncation_cutoff.setter
    def truncation_cutoff(self, value: Any) -> None:
        raise _set_in_vain("truncation_cutoff", value)

    def _of_the_file(self, name: str) -> Any:
        message = f"G.{name} is deprecated: calls do not use it; G.recommended_truncation has it as an argument of them"
        warnings.warn(message, DeprecationWarning, stacklevel=3)
        return self._config[name]

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
        return self.synthesis.path

    @path.setter
    def path(self, path: RenderPath) -> None:
        self.synthesis.path = check_path(path)

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
            cast(SynthesisLayer, layer).bias.numel() * height * width
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
        check_choice(output_type, what="output_type", choices=get_args(OutputType))
        check_choice(noise_mode, what="noise_mode", choices=get_args(NoiseMode))
        self._check_weights()
        if output_type == "pil":
            images.check_channels(self.img_channels)
        n = len(settings)
        if n == 0:
            raise InputError("there is nothing to render: ws has no rows")
        if noise is not None:
            if (noise_mode, noise_seed) != ("const", None):
                raise InputError(
                    f"noise goes in place of noise_mode and noise_seed, got {noise_mode!r}, {noise_seed!r}"
                )
            check_noise(noise, n, self.synthesis.noise_shapes)
        if noise_mode == "random" and noise_seed is None and output_type == "pil":
            noise_seed = fresh_noise_seeds(n)  # Pictures remember how they were made.
        noise_seeds = choose_noise_seeds(noise_seed, noise_mode, n)
        shared_noise = self.noise(noise_seeds[0]) if len(set(noise_seeds)) == 1 else None
        if batch_size is None:
            batch_size = self.default_batch_size(n)

        results: list[Any] = []
        with torch.no_grad():
            for i in batches(n, batch_size, progress):
                if noise is not None:
                    maps: Sequence[Tensor | None] | None = [m if m is None or len(m) == 1 else m[i] for m in noise]
                else:
                    maps = shared_noise or (self.noise(noise_seeds[i]) if noise_seeds else None)
                img = self.synthesis(ws(i), noise_mode=noise_mode, noise=maps)
                if output_type == "pil":
                    results += images.to_pil(img)
                else:
                    results.append(img if output_type == "pt" else images.to_numpy(img))
        if output_type == "pt":
            return torch.cat(results)
        if output_type == "np":
            return np.concatenate(results)
        known = self.provenance()
        for j, (image, own) in enumerate(zip(results, settings, strict=True)):
            own["noise_mode"] = noise_mode if noise is None else "given"
            if noise_seeds:
                own["noise_seed"] = noise_seeds[j]
            images.remember(image, known | own)
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

    @property
    def name(self) -> str:
        """The model's name, or "unnamed"."""
        return str(self.metadata.get("name", "unnamed"))

    def label_vectors(self, labels: Labels, n: int) -> Tensor | None:
        """Class indices, names of classes or label vectors -> [n, label_dim]; the mapping network checks the shape."""
        if isinstance(labels, str):
            labels = self.class_index(labels)
        elif isinstance(labels, Sequence):
            labels = [self.class_index(label) if isinstance(label, str) else label for label in labels]
        if labels is None or self.label_dim == 0:
            return check_labels(labels, n, self.label_dim)  # type: ignore[arg-type]
        if isinstance(labels, Tensor) and labels.is_floating_point():
            vectors = labels
            check_tensor(vectors, ("...", self.label_dim), what="labels")
            if vectors.device.type == "meta" or not vectors.isfinite().all():
                raise InputError(f"labels must be finite, got {shown(labels)}")
        else:
            indices = check_integers(labels, what="a label", limit=self.label_dim)
            if not is_index(labels) and len(indices) != n:
                raise InputError(
                    f"got {len(indices)} classes for {n} images; give one class for all of them, or one for each "
                    "(in commands, --label 0,1,2)"
                )
            vectors = torch.eye(self.label_dim, **FLOAT32_CPU)[indices[0] if is_index(labels) else indices]
        if vectors.shape == (self.label_dim,):
            vectors = vectors.expand(n, -1)
        return check_labels(vectors.to(self.device, non_blocking=True), n, self.label_dim)

    def class_index(self, name: str) -> int:
        """The index of a class by its name, of which training leaves a list in `metadata["classes"]`.

        Raises InputError, with the names that there are, if there is no such class.
        """
        classes = self.metadata.get("classes")
        names = [str(c) for c in classes] if isinstance(classes, list) else []
        if name in names[: self.label_dim]:
            return names.index(name)
        if not self.label_dim:
            raise InputError(f"{self.name} is unconditional: it takes no label, got {name!r}")
        known = f"it has {', '.join(names[:20])}" if names else "its classes have no names"
        raise InputError(f"{self.name} has no class {name!r}; {known}, and the indices 0 to {self.label_dim - 1}")


def _set_in_vain(name: str, value: Any) -> InputError:
    """The error of an attribute that no call would heed."""
    return InputError(f"a generator keeps no {name}; pass it to the call, as in G.sample({name}={value!r})")

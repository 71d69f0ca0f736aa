"""A folder with a generator, and its encoder, as ONNX files and a description.

    export_onnx(G, "faces/")

writes mapping.onnx (z -> w, w_avg), synthesis.onnx (ws -> img) and model.json. Between them is simple arithmetic:
truncation is w_avg + psi * (w - w_avg); ws is w once for each layer, or rows of several w.
"""

import copy
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import safetensors.torch
import torch
from torch import Tensor, nn

from ..encoder import LOOKS, Encoder
from ..errors import InputError
from ..generator import Generator
from ..latents.bundled import bundled_directions
from ..latents.directions import Direction
from ..networks import ops
from ..networks.layers import Conv2d, Scale
from ..runtime.atomic_files import as_path, write_atomically
from ..runtime.checks import typed
from ..runtime.device import FLOAT32_CPU
from ..runtime.precision import no_autocast
from ..version import __version__
from .network import OPSET, compare, to_onnx

Network = TypeVar("Network", bound=nn.Module)
NoiseForm = Literal["const", "input"]

_NAMES = (
    *("mapping.onnx", "synthesis.onnx", "noise_const.safetensors"),
    *("encoder.onnx", "directions.json", "model.json"),
)


class _Mapping(nn.Module):
    """z, labels -> w and, constant, w_avg."""

    def __init__(self, G: Generator):
        super().__init__()
        self.G = G

    def forward(self, z: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.G.mapping(z, labels), self.G.w_avg


class _UpscaleConv2d(nn.Module):
    """A convolution that doubles the size, its kernel computed: ONNX takes minutes to fold it from the weight."""

    def __init__(self, convolution: Conv2d):
        super().__init__()
        self.kernel = nn.Parameter(ops.upscale_kernel(convolution.scaled_weight()).contiguous(), requires_grad=False)
        self.bias = convolution.scaled_bias()

    def forward(self, x: Tensor) -> Tensor:
        return ops.double_conv2d(x, self.kernel, self.bias)


class _Synthesis(nn.Module):
    """ws, noise -> img; without noise, the stored maps."""

    def __init__(self, G: Generator):
        super().__init__()
        self.synthesis = copy.deepcopy(G.synthesis)
        for layer in self.synthesis.layers:
            if isinstance(layer.source, Conv2d) and layer.source.scale is Scale.UP:
                layer.source = _UpscaleConv2d(layer.source)

    def forward(self, ws: Tensor, noise: list[Tensor] | None = None) -> Tensor:
        return self.synthesis(ws, noise=noise)


@typed
@no_autocast()
def export_onnx(
    G: Generator,
    folder: str | os.PathLike[str],
    *,
    noise: NoiseForm = "const",
    encoder: Encoder | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a generator into a folder as ONNX files of opset 18, float32, for batches of any size.

    mapping.onnx: z [N, z_dim] (and labels [N, label_dim]) -> w [N, w_dim], w_avg [w_dim].
    synthesis.onnx: ws [N, num_ws, w_dim] (and noise) -> img [N, C, H, W], nominally in [-1, 1].
    encoder.onnx, if there is an encoder: img, current [N, C, R, R] and ws -> better ws; see `EncoderNetwork`.
    directions.json, if the model comes with directions: for each its name, vector [w_dim], std, layers (first, after
        the last), strengths (least, most) and, as "positive", where it leads. It moves ws as `latents.edit` does.
    model.json: sizes, truncation, licence, opset, the sha256 of the other files, and, with an encoder, how many looks.

    noise: "const" = the stored maps are part of synthesis.onnx; "input" = it takes one map for each layer and image,
        noise_0, noise_1... [N, 1, R, R] with R = 2^(layer // 2 + 2), and the stored maps are written to
        noise_const.safetensors, [1, 1, R, R] each. Pass zeros for no noise.
    encoder: of this generator, such as `Encoder.of(G)`; None = write none.
    overwrite: replace existing files; otherwise they raise InputError.

    Before anything is written, onnxruntime runs the networks at batch sizes 1 and 3; ExportError if an output differs
    from PyTorch's by more than 1e-4 (of its largest value, if that is above 1). Images are compared with those in
    float64; if PyTorch's float32 itself differs by more, as for barely trained networks, four times its error is
    allowed, with a warning. model.json is written last.
    Returns the paths. Raises InputError without the packages of `pip install "stylegan[onnx]"`.
    """
    if noise not in get_args(NoiseForm):
        raise InputError(f"noise must be 'const' or 'input', got {noise!r}")
    folder = as_path(folder)
    _check_folder(folder, overwrite)
    if encoder is not None:
        encoder.check(G)
    _require_onnx()
    G = _prepared(G)
    has_noise_inputs = noise == "input" and any(name.endswith("noise_const") for name, _ in G.named_buffers())

    description = _describe(G, noise="input" if has_noise_inputs else "const")
    files = {"mapping.onnx": _mapping_file(G, description)}
    files["synthesis.onnx"] = _synthesis_file(G, description, has_noise_inputs)
    if has_noise_inputs:
        constants = (layer.noise_const for layer in G.synthesis.layers)
        maps = {f"noise_{i}": noise for i, noise in enumerate(constants) if noise is not None}
        files["noise_const.safetensors"] = safetensors.torch.save(maps)
    if encoder is not None:
        description["looks"] = LOOKS
        files["encoder.onnx"] = _encoder_file(_prepared(encoder), G, description)
    if directions := bundled_directions(G):
        files["directions.json"] = json.dumps([_described(directions[name]) for name in sorted(directions)]).encode()
    description["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    files["model.json"] = (json.dumps(description, indent=2) + "\n").encode()
    for name, data in files.items():
        write_atomically(folder / name, data)
    for name in set(_NAMES) - files.keys():  # Of an earlier export of another kind.
        (folder / name).unlink(missing_ok=True)
    return [folder / name for name in files]


def _prepared(network: Network) -> Network:
    """A copy of a network as it is exported."""
    return copy.deepcopy(network).cpu().float().eval().requires_grad_(False)


def _check_folder(folder: Path, overwrite: bool) -> None:
    if folder.suffix == ".onnx" or folder.is_file():
        raise InputError(f"{folder} is a file's name; expected a folder, to write mapping.onnx and synthesis.onnx into")
    there = [name for name in _NAMES if (folder / name).exists()]
    if there and not overwrite:
        raise InputError(f"{folder} holds {', '.join(there)}; name another folder, or overwrite")


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f'ONNX export needs more packages ({error}): pip install "stylegan[onnx]"') from error


def _describe(G: Generator, *, noise: NoiseForm) -> dict[str, Any]:
    """The description of the files, for programs and people."""
    facts = ("license", "license_url", "attribution", "dataset", "limits", "content_box")
    return {
        "name": G.name,
        **{key: G.metadata[key] for key in facts if key in G.metadata},
        "img_resolution": G.img_resolution,
        "img_channels": G.img_channels,
        "z_dim": G.z_dim,
        "w_dim": G.w_dim,
        "label_dim": G.label_dim,
        "num_ws": G.num_ws,
        **G.recommended_truncation,
        "noise": noise,
        "opset": OPSET,
        "software": f"stylegan {__version__}",
    }


def _mapping_file(G: Generator, description: Mapping[str, Any]) -> bytes:
    def inputs(n: int) -> dict[str, Tensor]:
        labels = (
            {"labels": torch.eye(G.label_dim, **FLOAT32_CPU)[[i % G.label_dim for i in range(n)]]}
            if G.label_dim
            else {}
        )
        return {"z": G.z(range(n)), **labels}

    network = _Mapping(G)
    data = to_onnx(network, tuple(inputs(2).values()), list(inputs(2)), ["w", "w_avg"], description)
    for n in (1, 3):
        given = inputs(n)
        expected = network(*given.values())
        compare("mapping.onnx", data, given, expected, expected)
    return data


def _synthesis_file(G: Generator, description: Mapping[str, Any], has_noise_inputs: bool) -> bytes:
    def inputs(n: int) -> tuple[Tensor, list[Tensor] | None]:
        labels = [i % G.label_dim for i in range(n)] if G.label_dim else None
        return G.ws(range(n), labels=labels), G.noise(range(n)) if has_noise_inputs else None

    network, exact = _Synthesis(G), _Synthesis(copy.deepcopy(G).double())
    names = ["ws"] + [f"noise_{i}" for i in range(G.synthesis.num_layers)] * has_noise_inputs
    ws, noise = inputs(2)
    data = to_onnx(network, (ws, noise) if noise else (ws,), names, ["img"], description)
    for n in (1, 3):
        ws, noise = inputs(n)
        given = dict(zip(names, [ws, *(noise or [])], strict=True))
        precise = exact(ws.double(), None if noise is None else [map.double() for map in noise])
        compare("synthesis.onnx", data, given, (network(ws, noise),), (precise,))
    return data


def _encoder_file(encoder: Encoder, G: Generator, description: Mapping[str, Any]) -> bytes:
    def inputs(n: int) -> dict[str, Tensor]:
        labels = [i % G.label_dim for i in range(n)] if G.label_dim else None
        img = G.synthesis(G.ws(range(n), labels=labels))
        ws, current = encoder.start(img, G)
        return {"img": img, "current": current.contiguous(), "ws": ws.contiguous()}

    data = to_onnx(encoder, tuple(inputs(2).values()), list(inputs(2)), ["better"], description)
    for n in (1, 3):
        given = inputs(n)
        expected = (encoder(*given.values()),)
        compare("encoder.onnx", data, given, expected, expected)
    return data


def _described(direction: Direction) -> dict[str, Any]:
    return {
        **{key: getattr(direction, key) for key in ("name", "positive", "std", "layers", "strengths")},
        "vector": direction.vector.tolist(),
    }

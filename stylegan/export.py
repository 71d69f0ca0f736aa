"""Export: a generator as ONNX files, for programs without PyTorch (browsers, C++, C#, mobile).

    export_onnx(G, "faces/")

writes mapping.onnx (z -> w, w_avg), synthesis.onnx (ws -> img) and model.json. Between them is simple arithmetic:
truncation is w_avg + psi * (w - w_avg); ws is w once for each layer, or rows of several w.
"""

import copy
import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from .errors import ExportError, InputError
from .generator import Generator
from .runtime.atomic_files import as_path, write_atomically
from .runtime.checks import typed
from .runtime.device import FLOAT32_CPU
from .runtime.precision import no_autocast
from .version import __version__

NoiseForm = Literal["const", "input"]

# The newest ONNX operators that every runtime in use knows (onnxruntime 1.14 and later); none of the later ones helps.
OPSET = 18

# Largest difference from PyTorch, relative to the largest value of the output (at least 1).
TOLERANCE = 1e-4

# Young networks, whose maps are still flat, amplify rounding: PyTorch's own float32 is further from float64 than that.
# Then so many times its distance is allowed, since another order of sums is another draw of the same error.
_ROUNDING = 4.0

logger = logging.getLogger(__name__)

_NAMES = ("mapping.onnx", "synthesis.onnx", "noise_const.safetensors", "model.json")


class _Mapping(nn.Module):
    """z, labels -> w and, constant, w_avg."""

    def __init__(self, G: Generator):
        super().__init__()
        self.G = G

    def forward(self, z: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.G.mapping(z, labels), self.G.w_avg


class _Synthesis(nn.Module):
    """ws, noise -> img; without noise, the stored maps."""

    def __init__(self, G: Generator):
        super().__init__()
        self.synthesis = G.synthesis

    def forward(self, ws: Tensor, noise: list[Tensor] | None = None) -> Tensor:
        return self.synthesis(ws, noise=noise)


@typed
@no_autocast()
def export_onnx(
    G: Generator,
    folder: str | os.PathLike[str],
    *,
    noise: NoiseForm = "const",
    overwrite: bool = False,
) -> list[Path]:
    """Write a generator into a folder as ONNX files of opset 18, float32, for batches of any size.

    mapping.onnx: z [N, z_dim] (and labels [N, label_dim]) -> w [N, w_dim], w_avg [w_dim].
    synthesis.onnx: ws [N, num_ws, w_dim] (and noise) -> img [N, C, H, W], nominally in [-1, 1].
    model.json: sizes, truncation, licence, opset, and the sha256 of the other files.

    noise: "const" = the stored maps are part of synthesis.onnx; "input" = it takes one map for each layer and image,
        noise_0, noise_1... [N, 1, R, R] with R = 2^(layer // 2 + 2), and the stored maps are written to
        noise_const.safetensors, [1, 1, R, R] each. Pass zeros for no noise.
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
    _require_onnx()
    G = copy.deepcopy(G).cpu().float().eval().requires_grad_(False)
    has_noise_inputs = noise == "input" and any(name.endswith("noise_const") for name, _ in G.named_buffers())

    description = _describe(G, noise="input" if has_noise_inputs else "const")
    files = {"mapping.onnx": _mapping_file(G, description)}
    files["synthesis.onnx"] = _synthesis_file(G, description, has_noise_inputs)
    if has_noise_inputs:
        constants = (layer.noise_const for layer in G.synthesis.layers)
        maps = {f"noise_{i}": noise for i, noise in enumerate(constants) if noise is not None}
        files["noise_const.safetensors"] = safetensors.torch.save(maps)
    description["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    files["model.json"] = (json.dumps(description, indent=2) + "\n").encode()
    for name, data in files.items():
        write_atomically(folder / name, data)
    for name in set(_NAMES) - files.keys():  # Of an earlier export in the other form.
        (folder / name).unlink(missing_ok=True)
    return [folder / name for name in files]


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
    data = _export(network, tuple(inputs(2).values()), list(inputs(2)), ["w", "w_avg"], description)
    for n in (1, 3):
        given = inputs(n)
        expected = network(*given.values())
        _compare("mapping.onnx", data, given, expected, expected)
    return data


def _synthesis_file(G: Generator, description: Mapping[str, Any], has_noise_inputs: bool) -> bytes:
    def inputs(n: int) -> tuple[Tensor, list[Tensor] | None]:
        labels = [i % G.label_dim for i in range(n)] if G.label_dim else None
        return G.ws(range(n), labels=labels), G.noise(range(n)) if has_noise_inputs else None

    network, exact = _Synthesis(G), _Synthesis(copy.deepcopy(G).double())
    names = ["ws"] + [f"noise_{i}" for i in range(G.synthesis.num_layers)] * has_noise_inputs
    ws, noise = inputs(2)
    data = _export(network, (ws, noise) if noise else (ws,), names, ["img"], description)
    for n in (1, 3):
        ws, noise = inputs(n)
        given = dict(zip(names, [ws, *(noise or [])], strict=True))
        precise = exact(ws.double(), None if noise is None else [map.double() for map in noise])
        _compare("synthesis.onnx", data, given, (network(ws, noise),), (precise,))
    return data


def _export(
    network: nn.Module,
    arguments: tuple[Any, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    description: Mapping[str, Any],
) -> bytes:
    """One network as an ONNX file with named inputs and outputs, whose first dimension is the batch."""
    import onnx
    from onnxscript import optimizer

    # The batch has a size of 2 here: the exporter takes 0 and 1 for constants.
    batch = {0: torch.export.Dim("batch")}
    shapes = tuple([batch] * len(a) if isinstance(a, list) else batch for a in arguments)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            network.eval(),
            arguments,
            dynamo=True,
            optimize=False,
            verbose=False,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            opset_version=OPSET,
        )
        assert program is not None
        # What depends on weights alone (gains, kernels of the upscaling layers) is computed now, whatever its size.
        optimizer.optimize(program.model, input_size_limit=2**40, output_size_limit=2**40)
        model = program.model_proto
    for node in model.graph.node:  # Each node carries a stack of calls from this machine.
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    onnx.helper.set_model_props(model, {key: _text(value) for key, value in description.items()})
    model.producer_name, model.producer_version = "stylegan", __version__
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of its own matters (packages that it could use, names that it makes up)."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _compare(
    name: str, data: bytes, inputs: Mapping[str, Tensor], rounded: Sequence[Tensor], exact: Sequence[Tensor]
) -> None:
    """Raise ExportError unless onnxruntime computes the outputs as exactly as PyTorch does: rounded to exact."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    if [i.name for i in session.get_inputs()] != list(inputs):
        raise ExportError(f"{name}: takes {[i.name for i in session.get_inputs()]}, expected {list(inputs)}")
    outputs = session.run(None, {key: value.numpy() for key, value in inputs.items()})
    for got, own, wanted in zip(outputs, rounded, exact, strict=True):
        limit = TOLERANCE * max(1.0, wanted.abs().max().item())
        rounding = (own.double() - wanted.double()).abs().max().item()
        difference = float("inf")
        if got.shape == tuple(wanted.shape):
            difference = float(np.abs(got.astype(np.float64) - wanted.double().numpy()).max())
        if not difference <= max(limit, _ROUNDING * rounding):
            n = len(next(iter(inputs.values())))
            raise ExportError(
                f"{name}: differs from PyTorch by {difference:.2g} at batch size {n}; at most {limit:.2g}"
            )
        if rounding > limit:
            logger.warning(
                "%s: float32 is off by %.2g here, PyTorch's too: the network is young and amplifies rounding",
                name,
                rounding,
            )

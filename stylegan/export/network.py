"""One network as an ONNX file, compared with what PyTorch computes."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ExportError
from ..version import __version__

# The newest ONNX operators that every runtime in use knows (onnxruntime 1.14 and later); none of the later ones helps.
OPSET = 18

# Largest difference from PyTorch, relative to the largest value of the output (at least 1).
TOLERANCE = 1e-4

# Young networks, whose maps are still flat, amplify rounding: PyTorch's own float32 is further from float64 than that.
# Then so many times its distance is allowed, since another order of sums is another draw of the same error.
_ROUNDING = 4.0

logger = logging.getLogger(__name__)


def to_onnx(
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


def compare(
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

"""Export: a generator and its encoder as ONNX files, for programs without PyTorch (browsers, C++, C#, mobile).

May import: errors, version, runtime, networks, latents, generator, encoder.
"""

from .folder import NoiseForm, export_onnx
from .network import OPSET

__all__ = ["OPSET", "NoiseForm", "export_onnx"]

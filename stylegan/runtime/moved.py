"""Modules by their paths from before the split into rooms: imports work, with a DeprecationWarning.

To be removed in version 0.2.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_PACKAGE = "stylegan"

MOVED = {
    "architecture": "networks.shapes",
    "array_files": "weights.formats.arrays",
    "bands": "latents.bands",
    "checks": "runtime.checks",
    "choices": "runtime.choices",
    "config": "networks.config",
    "cuda_graphs": "runtime.cuda_graphs",
    "direction": "latents.directions",
    "files": "runtime.atomic_files",
    "forks": "runtime.forks",
    "latent_files": "latents.files",
    "layers": "networks.layers",
    "mapping": "networks.mapping",
    "memory": "runtime.memory",
    "model_card": "weights.model_card",
    "ops": "networks.ops",
    "pictures": "images.decoding",
    "placement": "runtime.device",
    "precision": "runtime.precision",
    "presets": "training.presets",
    "sampling": "runtime.batching",
    "seeds": "latents.ranges",
    "small_files": "runtime.json_yaml",
    "synthesis": "networks.synthesis",
    "tensor_files": "runtime.tensor_files",
    "tensors": "runtime.tensors",
    "training.containers": "data.containers",
    "training.dataset": "data.dataset",
    "training.distributed": "runtime.distributed",
    "training.labels": "data.labels",
    "training.prepare": "data.prepare",
    "training.sources": "data.sources",
    "training.tfrecords": "data.tfrecords",
    "w_space": "latents.samples",
    "weights.cache": "weights.hub.cache",
    "weights.kinds": "runtime.file_kinds",
    "weights.layouts": "weights.ports",
    "weights.official": "weights.formats.official",
    "weights.official_pickle": "weights.formats.official_pickle",
    "weights.pickle_machine": "weights.formats.pickle_machine",
    "weights.sources": "weights.hub.sources",
    "weights.torch_files": "weights.formats.torch_files",
    "weights.transfer": "weights.hub.transfer",
    "workers": "runtime.threads",
}


class _OldNames(MetaPathFinder, Loader):
    """Finds a module of the package by its old path."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        is_old = fullname.startswith(_PACKAGE) and _new_name(fullname) is not None
        return ModuleSpec(fullname, self) if is_old else None

    def exec_module(self, module: ModuleType) -> None:
        old, new = module.__name__, _new_name(module.__name__)
        warnings.warn(f"{old} is now {new}; the old name goes with version 0.2", DeprecationWarning, stacklevel=2)
        sys.modules[old] = import_module(str(new))  # The import statement returns this entry.


def _new_name(old: str) -> str | None:
    """The current path; None = not moved."""
    name = old.removeprefix(f"{_PACKAGE}.")
    for above in (name, name.rpartition(".")[0]):
        if above in MOVED:
            return f"{_PACKAGE}.{MOVED[above]}{name[len(above) :]}"
    return None


def find_old_names() -> None:
    """Let imports find modules by their old paths; before other finders, which would search a folder's new path."""
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OldNames())

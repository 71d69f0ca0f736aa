"""Objects that pickle as the official ones do."""

import types
from typing import Any

from stylegan.weights.formats.official_pickle import OfficialNetwork


class Network:
    """Pickles like the official class: NEWOBJ and BUILD with a dictionary."""

    def __init__(self, **state: Any):
        self.state = state

    def __getstate__(self) -> Any:
        return self.state


class EasyDict(dict[str, Any]):
    pass


def as_official(network: OfficialNetwork, **changes: Any) -> Network:
    """Plain data back to an object that pickles as the official one does."""
    state = {
        "version": 3,
        "name": network.name,
        "static_kwargs": EasyDict(network.static_kwargs),
        "components": {key: as_official(value) for key, value in network.components.items()},
        "build_module_src": "raise SystemExit('the embedded source was run')",
        "build_func_name": network.build_func_name,
        "variables": list(network.variables.items()),
    }
    return Network(**state | changes)


def official_modules() -> dict[str, types.ModuleType]:
    """Stand-ins for the official modules, for pickle to find our classes in."""
    modules: dict[str, Any] = {
        name: types.ModuleType(name) for name in ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network", "dnnlib.util")
    }
    modules["dnnlib.tflib.network"].Network = Network
    modules["dnnlib.util"].EasyDict = EasyDict
    Network.__module__, EasyDict.__module__ = "dnnlib.tflib.network", "dnnlib.util"
    return modules

"""Discovers what the modules of a package define under a name, so that a new file needs no registration."""

import pkgutil
from importlib import import_module
from typing import Any


def offered(package: str, name: str) -> list[Any]:
    """The values of `name` in the modules of a package, in the order of the modules' names.

    package: its full name. Modules without the name are skipped; those that begin with "_" are not imported.
    """
    path = import_module(package).__path__
    names = sorted(info.name for info in pkgutil.iter_modules(path) if not info.name.startswith("_"))
    modules = [import_module(f"{package}.{module}") for module in names]
    return [getattr(module, name) for module in modules if hasattr(module, name)]

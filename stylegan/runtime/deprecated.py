"""Deprecated names, which still work with a warning: see the stability policy in CONTRIBUTING.md."""

import warnings
from typing import Any

from ..errors import InputError


class KeptSetting:
    """An attribute of a generator's config that calls do not use: reading warns, setting is refused."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, G: Any, owner: type) -> Any:
        if G is None:
            return self
        remedy = "G.recommended_truncation has it as an argument of them"
        message = f"G.{self._name} is deprecated: calls do not use it; {remedy}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return G.config[self._name]

    def __set__(self, G: Any, value: Any) -> None:
        name = self._name
        raise InputError(f"a generator keeps no {name}; pass it to the call, as in G.sample({name}={value!r})")

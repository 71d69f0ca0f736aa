"""Option types: seeds, numbers, layers, classes."""

import math
from pathlib import Path
from typing import Any

import click

from stylegan.errors import InputError
from stylegan.latents.bands import Layers, parse_layers
from stylegan.latents.ranges import SeedRanges

MAX_NUMBERS = 1000

Label = int | str | list[int | str]  # One class for all images, or one for each.


class PhotoType(click.Path):
    """A photo, as an argument."""

    name = "photo"

    def __init__(self) -> None:
        super().__init__(path_type=Path)


class EncoderType(click.ParamType):
    """An encoder: a weight file, the folder of a training run, or the name of a model."""

    name = "encoder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        from stylegan.weights import manifest
        from stylegan.weights.folders import weight_file

        path = Path(value)
        if path == value:
            return path
        if (entry := manifest.entries().get(value)) is not None:
            if not any("E" in file.networks for file in entry.files):
                self.fail(f"{value} comes without an encoder; train one with `stylegan encoder train`", param, ctx)
            return str(value)
        if path.is_dir():
            return weight_file(path)
        if not value or not path.is_file():
            self.fail(f"{value!r} is neither a file nor the name of a model", param, ctx)
        return path


class SeedsType(click.ParamType):
    """Seeds such as 0-15,42: numbers and ranges, both ends included."""

    name = "seeds"

    def __init__(self, *, may_be_empty: bool = False):
        self.may_be_empty = may_be_empty

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> SeedRanges:
        if isinstance(value, SeedRanges):
            return value
        if not value.strip():
            if self.may_be_empty:
                return SeedRanges([])
            self.fail("it is empty; give seeds such as 0-9,12", param, ctx)
        try:
            return SeedRanges.parse(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


class NumbersType(click.ParamType):
    """Numbers separated by commas, such as 1,0.7,0,-1, or evenly spaced ones, from:to:count: -3:3:7."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        if isinstance(value, list):
            return value
        try:
            if ":" not in value:
                numbers = [float(part) for part in value.split(",")]
            else:
                first, last, count = value.split(":")
                low, high, steps = float(first), float(last), max(1, int(count) - 1)
                numbers = [low + (high - low) * i / steps for i in range(min(int(count), MAX_NUMBERS + 1))]
            if not 1 <= len(numbers) <= MAX_NUMBERS or not all(map(math.isfinite, numbers)):
                raise ValueError
            return numbers
        except ValueError:
            message = f"{value!r} is not a list of 1 to {MAX_NUMBERS} numbers: 1,0.7,0,-1 or -3:3:7 (from:to:count)"
            self.fail(message, param, ctx)


class LayersType(click.ParamType):
    """Layers as `bands.parse_layers` reads them: a band, 6, 4:8, 4-7 or 0,3,5."""

    name = "layers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Layers:
        try:
            layers: Layers = parse_layers(value) if isinstance(value, str) else value
            return layers
        except InputError as error:
            self.fail(str(error), param, ctx)


class SharesType(LayersType):
    """Layers, or the layers of each of several sources: coarse,middle,fine or 0-3,4-7,8-11, as a tuple."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        kinds = value.split(",") if isinstance(value, str) else []
        if len(kinds) < 2 or all(kind.strip(" -").isdecimal() or not kind for kind in kinds):
            return super().convert(value, param, ctx)
        return tuple(super(SharesType, self).convert(kind, param, ctx) for kind in kinds)


class LabelType(click.ParamType):
    """A class by index or name, or several, separated by commas."""

    name = "class"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Label:
        if isinstance(value, int | list):
            return value
        names = [part.strip() for part in value.split(",")]
        if not all(names):
            self.fail(f"{value!r} is not a class such as 2 or cat, or a list such as 0,1 or cat,dog", param, ctx)
        classes = [int(name) if name.removeprefix("-").isdecimal() else name for name in names]
        return classes[0] if len(classes) == 1 else classes

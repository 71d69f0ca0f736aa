"""The attributes that the records of a data set tell, and what a classifier of each predicts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Attribute:
    """An attribute of two classes, or a quantity."""

    label: Callable[[Record], float | None]  # Of an image: 1 or 0, or the quantity; None = unknown.
    positive: str  # What a positive logit means. Of a quantity: above its median, which replaces {}.
    is_quantity: bool = False


def one_of(field: str, yes: tuple[str, ...], no: tuple[str, ...]) -> Callable[[Record], float | None]:
    """1 if the field is among `yes`, 0 if among `no`, else unknown."""
    return lambda head: 1.0 if head[field] in yes else 0.0 if head[field] in no else None


def rgb(colour: str) -> tuple[int, int, int]:
    """The channels of a colour such as "#f5c5e3"."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def lightness(colour: str) -> float:
    """From 0 to 255."""
    red, green, blue = rgb(colour)
    return 0.3 * red + 0.59 * green + 0.11 * blue


def warmth(colour: str) -> float:
    """Red minus blue, from -255 to 255."""
    red, _, blue = rgb(colour)
    return float(red - blue)


def beard(head: Record) -> float | None:
    """1 for a full or long beard, 0 for none; moustaches and the like are neither."""
    kind = head.get("beard")
    return 0.0 if kind is None else 1.0 if kind in ("fullBeard", "longBeard") else None


# Records of UTKFace.
FACES = {
    "gender": Attribute(lambda face: face["gender"], "female"),
    "age": Attribute(lambda face: face["age"], "older than {}", is_quantity=True),
}

# What models/avatars-128/render.mjs writes: exact.
HEADS = {
    "beard": Attribute(beard, "with a full beard"),
    "long-hair": Attribute(lambda head: float("rearHair" in head), "hair behind the neck"),
    "bun": Attribute(lambda head: float(head["hair"] == "bun"), "a bun"),
    "laugh": Attribute(one_of("mouth", ("laugh",), ("sad", "angry")), "laughing"),
    "open-eyes": Attribute(one_of("eyes", ("happy", "wide"), ("bow", "humble")), "both eyes open"),
    "light-hair": Attribute(lambda head: lightness(head["hairColor"]), "hair lighter than {}", is_quantity=True),
    "light-skin": Attribute(lambda head: lightness(head["skinColor"]), "skin lighter than {}", is_quantity=True),
    "warm-background": Attribute(
        lambda head: warmth(head["primaryBackgroundColor"]), "red minus blue above {}", is_quantity=True
    ),
}

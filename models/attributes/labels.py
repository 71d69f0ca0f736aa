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


def open_eyes(head: Record) -> float | None:
    """1 if both are open, 0 if both are closed; a wink is neither."""
    return None if head["eyes"] == "wink" else float(head["eyes"] in ("happy", "wide"))


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
    "open-eyes": Attribute(open_eyes, "both eyes open"),
    "light-hair": Attribute(lambda head: lightness(head["hairColor"]), "hair lighter than {}", is_quantity=True),
    "warm-hair": Attribute(lambda head: warmth(head["hairColor"]), "red minus blue above {}", is_quantity=True),
    "light-skin": Attribute(lambda head: lightness(head["skinColor"]), "skin lighter than {}", is_quantity=True),
    "warm-background": Attribute(
        lambda head: warmth(head["primaryBackgroundColor"]), "red minus blue above {}", is_quantity=True
    ),
}

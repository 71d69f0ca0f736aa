"""The bands of layers that the figures name: coarse, middle and fine (section 3.1, figures 3 and 5)."""

from dataclasses import dataclass

from ..generator import Generator


@dataclass(frozen=True)
class Band:
    """Consecutive layers, and the resolutions that they work at, as text."""

    name: str
    layers: range
    resolutions: str


def bands(G: Generator) -> dict[str, Band]:
    """The paper's bands of a network: 4x4 to 8x8, 16x16 to 32x32, and 64x64 up.

    Below 64x64, fine is the last resolution, and the others are halved between coarse and middle. A network of 8x8 has
    no middle.
    """
    last = min(64, G.img_resolution)
    fine = 2 * (last.bit_length() - 3)  # the first layer at `last`; layer i works at 2^(i // 2 + 2)
    middle = 2 * ((fine // 2 + 1) // 2)
    named = {"coarse": range(middle), "middle": range(middle, fine), "fine": range(fine, G.synthesis.num_layers)}
    return {name: Band(name, layers, resolutions(layers)) for name, layers in named.items() if layers}


def resolutions(layers: range) -> str:
    """The resolutions of consecutive layers, such as "4x4 to 8x8"."""
    first, last = (2 ** (i // 2 + 2) for i in (layers[0], layers[-1]))
    return f"{first}x{first}" if first == last else f"{first}x{first} to {last}x{last}"

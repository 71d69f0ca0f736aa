"""What moving along the directions of attributes does: python -m benchmarks.editing

For faces that the directions were not found with: on how many the classifier's answer rises with every step; how much
an edit changes the attribute itself, the other attributes and the whole image; and what a random direction of the same
length in w does, one towards another face and one of random components. Changes of attributes are in standard
deviations among faces.
"""

import click
import torch
from torch import Tensor

from stylegan import Generator
from stylegan.editing import Direction, find_direction
from stylegan.extractors import load_classifier, load_extractor
from stylegan.extractors.base import Extractor

FIRST_SEED = 50_000  # Beyond those that directions are found with.


def answers(G: Generator, classifiers: dict[str, torch.nn.Module], ws: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """What each classifier says of the images of ws, and the images."""
    with torch.no_grad():
        img = G.render(ws, output_type="pt", batch_size=20, progress=False)
        return {name: classifier(img) for name, classifier in classifiers.items()}, img


def monotonic_share(G: Generator, classifier: torch.nn.Module, ws: Tensor, direction: Direction, most: float) -> float:
    """The share of faces for which five steps from -most to most each raise the answer."""
    steps = [
        answers(G, {"": classifier}, G.edit(ws, direction, s))[0][""] for s in torch.linspace(-most, most, 5).tolist()
    ]
    return (torch.stack(steps).diff(dim=0) > 0).all(dim=0).float().mean().item()


def random_offsets(ws: Tensor, direction: Direction) -> Tensor:
    """For each face a vector of random components, [N, 1, w_dim], as long as one deviation of the direction."""
    vectors = torch.randn(len(ws), 1, ws.shape[2], generator=torch.Generator().manual_seed(0))
    return vectors / vectors.norm(dim=2, keepdim=True) * direction.std


def offsets_to_others(G: Generator, ws: Tensor, direction: Direction) -> Tensor:
    """For each face the way to another one, [N, 1, w_dim], as long as one deviation of the direction."""
    vectors = (G.ws(range(2 * FIRST_SEED, 2 * FIRST_SEED + len(ws))) - ws)[:, :1]
    return vectors / vectors.norm(dim=2, keepdim=True) * direction.std


def changes(
    G: Generator,
    classifiers: dict[str, torch.nn.Module],
    network: Extractor,
    pair: tuple[Tensor, Tensor],
    spread: dict[str, float],
) -> dict[str, float]:
    """Mean changes between two ws of each face: signed of attributes, in deviations, and the perceptual distance."""
    (before, img_before), (after, img_after) = (answers(G, classifiers, ws) for ws in pair)
    found: dict[str, float] = {}
    for name in classifiers:
        moved = (after[name] - before[name]) / spread[name]
        found[name], found[f"{name}, absolute"] = moved.mean().item(), moved.abs().mean().item()
    with torch.no_grad():
        distances = [network.distance(a, b) for a, b in zip(img_before.split(20), img_after.split(20), strict=True)]
    return found | {"distance": torch.cat(distances).mean().item()}


@click.command()
@click.option("--model", default="faces-64", show_default=True)
@click.option("--directions", "file", help="A file of directions.  [default: those of the package]")
@click.option("--attributes", default="age,gender", show_default=True)
@click.option("--samples", default=200, show_default=True)
@click.option("--strength", default=2.0, show_default=True, help="Edits go from minus to plus so many deviations.")
@click.option("--extractor", default="st-lpips-alex", show_default=True)
def main(model: str, file: str | None, attributes: str, samples: int, strength: float, extractor: str) -> None:
    """Measure the directions of attributes."""
    G = Generator.from_pretrained(model)
    network = load_extractor(extractor)
    classifiers: dict[str, torch.nn.Module] = {name: load_classifier(name) for name in attributes.split(",")}
    ws = G.ws(range(FIRST_SEED, FIRST_SEED + samples))
    spread = {name: value.std().item() for name, value in answers(G, classifiers, ws)[0].items()}
    click.echo(f"{samples} faces, from -{strength:g} to {strength:g}; {extractor}, torch {torch.__version__}\n")
    columns = [column for name in classifiers for column in (name, f"{name}, absolute")] + ["distance"]
    click.echo("| moved along | rises at every step | " + " | ".join(columns) + " |")
    click.echo("|---" * (len(columns) + 2) + "|")
    for name in classifiers:
        direction = find_direction(G, name, path=file)
        share = monotonic_share(G, classifiers[name], ws, direction, strength)
        along = changes(
            G, classifiers, network, (G.edit(ws, direction, -strength), G.edit(ws, direction, strength)), spread
        )
        row(name, f"{share:.1%}", along, columns)
        for what, offset in (
            ("as far towards another face", offsets_to_others(G, ws, direction)),
            ("as far in random components", random_offsets(ws, direction)),
        ):
            moved = torch.zeros_like(ws)
            moved[:, slice(*direction.layers)] = offset * strength
            row(what, "", changes(G, classifiers, network, (ws - moved, ws + moved), spread), columns)


def row(name: str, share: str, found: dict[str, float], columns: list[str]) -> None:
    """One row of the table."""
    click.echo(f"| {name} | {share} | " + " | ".join(f"{found[column]:.3f}" for column in columns) + " |")


if __name__ == "__main__":
    main()

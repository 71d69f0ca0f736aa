"""What moving along the directions of attributes does: python -m benchmarks.editing

For faces that the directions were not found with: on how many the classifier's answer, as log-odds or in years, rises
with each of six steps, strictly; how much an edit from end to end changes the attribute itself, the other attributes
and the whole image; and what a random direction of the same length in w does, one drawn as w varies (the way towards
another face) and one of random components. Changes of attributes are in standard deviations among faces. Classifiers
that had no part in finding the directions may look on: --judges, trained by `models/attributes/train.py --seed 1`.
"""

from pathlib import Path

import click
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan import Generator
from stylegan.editing import Direction, find_direction
from stylegan.extractors import load_classifier, load_extractor
from stylegan.extractors.base import Extractor
from stylegan.weights.manifest import DEFAULT_MODEL

FIRST_SEED = 50_000  # Beyond those that directions are found with.
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def answers(G: Generator, classifiers: dict[str, torch.nn.Module], ws: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """What each classifier says of the images of ws, and the images."""
    with torch.no_grad():
        img = G.render(ws, output_type="pt", batch_size=20, progress=False)
        return {name: classifier(img) for name, classifier in classifiers.items()}, img


def monotonic_share(G: Generator, classifier: torch.nn.Module, ws: Tensor, direction: Direction, most: float) -> float:
    """The share of faces for which each step between seven strengths from -most to most raises the answer."""
    steps = [
        answers(G, {"": classifier}, G.edit(ws, direction, s))[0][""] for s in torch.linspace(-most, most, 7).tolist()
    ]
    return (torch.stack(steps).diff(dim=0) > 0).all(dim=0).float().mean().item()


def random_offsets(ws: Tensor, direction: Direction) -> Tensor:
    """For each face a vector of random components, [N, 1, w_dim], as long as one deviation of the direction."""
    vectors = torch.randn(len(ws), 1, ws.shape[2], generator=torch.Generator().manual_seed(0))
    return F.normalize(vectors, dim=2) * direction.std


def offsets_to_others(G: Generator, ws: Tensor, direction: Direction) -> Tensor:
    """For each face the way to another one, [N, 1, w_dim], as long as one deviation of the direction."""
    vectors = (G.ws(range(2 * FIRST_SEED, 2 * FIRST_SEED + len(ws))) - ws)[:, :1]
    return F.normalize(vectors, dim=2) * direction.std


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
        found[name], found[f"{name}, size"] = moved.mean().item(), moved.abs().mean().item()
    with torch.no_grad():
        distances = [network.distance(a, b) for a, b in zip(img_before.split(20), img_after.split(20), strict=True)]
    return found | {"distance": torch.cat(distances).mean().item()}


@click.command()
@click.option("--model", default=DEFAULT_MODEL, show_default=True)
@click.option("--directions", "file", help="A file of directions.  [default: those of the package]")
@click.option("--attributes", default="age,gender", show_default=True)
@click.option("--samples", default=200, show_default=True)
@click.option(
    "--strength", type=float, help="Edits go from minus to plus so many deviations.  [default: the direction's range]"
)
@click.option("--extractor", default="st-lpips-alex", show_default=True)
@click.option("--classifiers", "own", type=FOLDER, help="Theirs: age.safetensors...  [default: the package's]")
@click.option("--judges", type=FOLDER, help="A folder with a further classifier for each attribute.")
def main(
    model: str,
    file: str | None,
    attributes: str,
    samples: int,
    strength: float | None,
    extractor: str,
    own: Path | None,
    judges: Path | None,
) -> None:
    """Measure the directions of attributes."""
    G = Generator.from_pretrained(model)
    network = load_extractor(extractor)
    names = attributes.split(",")
    sources = {name: own / f"{name}.safetensors" if own else name for name in names}
    if judges is not None:
        sources |= {f"{name} (judge)": judges / f"{name}.safetensors" for name in names}
    classifiers: dict[str, torch.nn.Module] = {name: load_classifier(source) for name, source in sources.items()}
    ws = G.ws(range(FIRST_SEED, FIRST_SEED + samples))
    spread = {name: value.std().item() for name, value in answers(G, classifiers, ws)[0].items()}
    click.echo(f"{samples} faces; {extractor}, torch {torch.__version__}\n")
    told: list[str] = []
    columns = [column for name in names for column in (name, f"{name}, size")] + ["distance"]
    click.echo(f"| {' | '.join(['moved along', 'each way', 'rises at every step', 'judge says', *columns])} |")
    click.echo("|---" * (len(columns) + 4) + "|")
    for name in names:
        direction, judge = find_direction(G, name, path=file), f"{name} (judge)"
        most = direction.strengths[1] if strength is None else strength
        looking = [classifiers[key] for key in (name, judge) if key in classifiers]
        shares = [f"{monotonic_share(G, classifier, ws, direction, most):.1%}" for classifier in looking]
        ends = G.edit(ws, direction, -most), G.edit(ws, direction, most)
        what = f"{name}, whole range" if strength is None else f"{name}, from {-most:g} to {most:g}"
        found = changes(G, classifiers, network, ends, spread)
        row(what, [f"{most:.2f}", *shares][:3], found, columns)
        for where, offset in (
            ("towards another face", offsets_to_others(G, ws, direction)),
            ("in random components", random_offsets(ws, direction)),
        ):
            moved = torch.zeros_like(ws)
            moved[:, slice(*direction.layers)] = offset * most
            row(
                f"{what}: as far {where}",
                [],
                changes(G, classifiers, network, (ws - moved, ws + moved), spread),
                columns,
            )
        if judge in found:
            told.append(f"The judge sees {found[judge] / found[name]:.0%} of the change of {name}.")
    click.echo("\n".join(["", *told]))


def row(name: str, first: list[str], found: dict[str, float], columns: list[str]) -> None:
    """One row of the table."""
    padded = first + [""] * (3 - len(first))
    click.echo(f"| {' | '.join([name, *padded, *(f'{found[column]:.3f}' for column in columns)])} |")


if __name__ == "__main__":
    main()

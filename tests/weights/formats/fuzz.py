"""Damaged weight files, made from good ones by seeded mutations: reading them raises nothing outside our errors.

`tests/weights/formats/test_fuzz.py` tries 1,000 of each kind. For longer, from the top of the repository:

    python -m tests.weights.formats.fuzz --minutes 10
"""

import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click
import numpy as np

from stylegan import Generator
from stylegan.errors import StyleGANError
from stylegan.weights.formats.official_pickle import read_official_pickle
from stylegan.weights.loading import read_weights
from stylegan.weights.manifest import parse_manifest

from ...conftest import GOLDEN, tiny_generator
from ..ports import writers as ports
from ..ports.golden_sets import golden_set
from .test_torch_files import save

# Reading a damaged file takes milliseconds; this much would be a hang.
MAX_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """A reader, a good file for it, and where in the file its structure is: the rest is numbers."""

    read: Callable[[Path], object]
    suffix: str
    data: bytes
    places: list[tuple[int, int]]


def targets(folder: Path) -> dict[str, Callable[[], Target]]:
    """All kinds of files; their good files are made in the folder."""

    def official() -> Target:
        data = (GOLDEN / "T" / "network_nosrc.pkl").read_bytes()
        return Target(Generator.from_pretrained, ".pkl", data, [(0, len(data))])

    def variables() -> Target:
        Gs = read_official_pickle(GOLDEN / "T" / "network_nosrc.pkl")["Gs"]
        inner = {f"G_{part}/{k}": v for part, one in Gs.components.items() for k, v in one.variables.items()}
        data = pickle.dumps([inner, Gs.variables["dlatent_avg"]], 4)
        return Target(read_weights, ".pkl", data, [(0, len(data))])

    def safetensors() -> Target:
        tiny_generator().save(folder / "good.safetensors")
        data = (folder / "good.safetensors").read_bytes()
        header = int.from_bytes(data[:8], "little") + 8
        return Target(Generator.from_pretrained, ".safetensors", data, [(0, header)])

    def torch_file(*, legacy: bool) -> Target:
        data = save(ports.genforce_generator(golden_set("T").g), folder / "good.pth", legacy=legacy).read_bytes()
        pickled = max(data.index(b"synthesis") - 200, 0), data.rindex(b"synthesis") + 400
        directory = max(len(data) - 12_000, 0), len(data)
        return Target(read_weights, ".pth", data, [pickled, (0, 4096), directory, (0, len(data))])

    def manifest() -> Target:
        data = resources.files("stylegan").joinpath("weights_manifest.json").read_bytes()

        def read(path: Path) -> object:
            return parse_manifest(path.read_bytes(), where=path.name, bundled=True)

        return Target(read, ".json", data, [(0, len(data))])

    return {
        "official pickle": official,
        "pickled variables": variables,
        "safetensors header": safetensors,
        "torch zip": lambda: torch_file(legacy=False),
        "torch legacy": lambda: torch_file(legacy=True),
        "manifest": manifest,
    }


def mutations(target: Target, seed: int) -> Iterator[bytes]:
    """Endless damaged copies: some bytes of one place changed, now and then the end cut off."""
    generator = np.random.RandomState(seed)
    while True:
        mutated = bytearray(target.data)
        low, high = target.places[generator.randint(len(target.places))]
        for position in generator.randint(low, high, size=generator.randint(1, 25)):
            mutated[position] = generator.randint(256)
        if generator.rand() < 0.05:
            del mutated[generator.randint(len(mutated)) :]
        yield bytes(mutated)


def try_file(target: Target, data: bytes, path: Path) -> str:
    """Read one file; returns what came of it. Raises whatever the reader must not raise, with the file left there."""
    path.write_bytes(data)
    start = time.process_time()
    try:
        target.read(path)
        outcome = "read"  # The mutations hit numbers only, or text that nobody checks.
    except StyleGANError as error:
        outcome = type(error).__name__
    if (seconds := time.process_time() - start) > MAX_SECONDS:
        raise TimeoutError(f"{path} took {seconds:.0f} s of CPU time")
    return outcome


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="For all kinds of files together.")
@click.option("--seed", default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("fuzz"), show_default=True, help="Working folder.")
def main(minutes: float, seed: int, out: Path) -> None:
    """Read damaged weight files until the time is up; the first one that is not refused properly is kept in OUT."""
    out.mkdir(parents=True, exist_ok=True)
    kinds = targets(out)
    for name, make in kinds.items():
        target, outcomes = make(), Counter[str]()
        deadline = time.monotonic() + minutes * 60 / len(kinds)
        for data in mutations(target, seed):
            outcomes[try_file(target, data, out / f"damaged{target.suffix}")] += 1
            if time.monotonic() > deadline:
                break
        click.echo(f"{name}: {sum(outcomes.values())} files: {dict(outcomes)}")


if __name__ == "__main__":
    main()

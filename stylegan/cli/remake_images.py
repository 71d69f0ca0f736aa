"""Finds what an image was made from, and renders it again; for `stylegan remake`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stylegan.errors import InputError
from stylegan.runtime.json_yaml import parse_json

if TYPE_CHECKING:  # Help needs no torch: commands import what they need when they run.
    from PIL import Image
    from torch import Tensor

    from stylegan.generator import Generator


@dataclass(frozen=True)
class Source:
    """An image, its stored text, and where the files that it was made from may be."""

    picture: Path
    text: dict[str, str]
    model: str | None  # As in --model; None = as in the text.
    files: tuple[Path, ...]  # Further files, from --file.
    resolution: int | None

    def find(self, name: str, sha256: str) -> Path:
        """The file with that name and content. Raises InputError, which lists the places searched."""
        from stylegan.weights.hub.cache import sha256_of

        name = Path(name).name  # Anybody may have written the text.
        places = [*self.files, self.picture.parent / name, Path(name)]
        for path in places:
            if path.is_file() and sha256_of(path) == sha256:
                return path
        looked = ", ".join(dict.fromkeys(map(str, places)))
        raise InputError(
            f"{self.picture} was made from {name}, sha256 {sha256}; none of {looked} is that file: name it with --file"
        )

    def where(self) -> str:
        """The model for `Generator.from_pretrained`: from the manifest, or a file next to the image or here."""
        from stylegan.weights import manifest

        if self.model is not None:
            return self.model
        name, file = self.text.get("model", ""), Path(self.text.get("source", "")).name
        if name in manifest.entries():
            return name
        for path in (self.picture.parent / file, Path(file)):
            if file and path.exists():
                return str(path)
        raise InputError(
            f"{self.picture} was made by {name or 'a model without a name'} ({file}), with weights of sha256 "
            f"{self.text['weights_sha256']}, and no such file is here: name it with --model"
        )

    def load(self) -> "Generator":
        """The model, with the weights that the image was made with. Raises InputError if they differ."""
        from stylegan.generator import Generator

        model = self.where()
        G = Generator.from_pretrained(model, resolution=self.resolution, dtype=self.text.get("dtype"))
        if G.weights_sha256 != self.text["weights_sha256"]:
            raise InputError(
                f"{self.picture} was made with weights of sha256 {self.text['weights_sha256']}; those of {model} are "
                f"{G.weights_sha256}: name the right ones with --model"
            )
        try:
            G.path = self.text.get("path", "auto")  # type: ignore[assignment]  # It is checked.
        except InputError as error:
            click.echo(f"note: {error}", err=True)
        return G

    def values(self, key: str) -> list[Any]:
        """A setting of each image; those of a grid share one value, or have one each. Empty = not stored."""
        if key not in self.text:
            return []
        found = parse_json(f"[{self.text[key]}]", where=f"{self.picture}: its {key}", error=InputError)
        return list(found)

    def number(self, key: str) -> Any:
        """A setting that all images have in common; None = not stored."""
        found = self.values(key)
        if len(found) > 1:
            raise InputError(f"{self.picture}: its images have several values of {key}, which no command makes")
        return found[0] if found else None


def render_again(source: Source, save: "Callable[[Image.Image], bool]") -> None:
    """Render the images of seeds or of latents and lay them out.

    An image's rounding depends on how many ws and images were computed together, which its text does not say: several
    numbers are tried. save: keeps an image, and returns whether it is the right one.
    """
    from stylegan import images

    made_of = _kind(source)
    G = source.load()
    columns, default = source.number("columns"), G.default_batch_size(32)
    batch_sizes = [(n, n) for n in (default, 8, 1, 32, 2)]
    if columns is None:  # The demo computes all ws of a page at once.
        batch_sizes += [(8, default), (8, 1), (2, 1), (8, 2), (2, 8), (4, 2)]
    for together in dict.fromkeys(batch_sizes):
        tiles = made_of(G, source, *together)
        if size := source.number("size"):
            tiles = [images.resize(tile, size) for tile in tiles]
        image = images.grid(tiles, columns=columns) if columns else tiles[0]
        kept = {key: value for key, value in source.text.items() if key != "pixels_sha256"}
        if save(images.remember(image, kept | G.provenance())):
            return


def _kind(source: Source) -> "Callable[[Generator, Source, int, int], list[Image.Image]]":
    """What an image was made from. Raises InputError if its text does not say."""
    text, by = source.text, "`G.render`, from ws that its text does not hold"
    if {"latents", "latents_sha256", "name"} <= set(text):
        return _of_latents
    if text.get("command") == "project":
        by = "`stylegan project`, from steps and photos that its text does not hold; project the photos again"
    elif {"seed", "truncation_psi"} <= set(text):
        return _of_seeds
    elif {"seeds", "truncation_psi"} <= set(text) and {"layers", "position"} & set(text):
        return _of_two_seeds
    raise InputError(f"{source.picture} cannot be made from its text: it was made by {by}")


def _of_seeds(G: "Generator", source: Source, ws_at_once: int, batch_size: int) -> "list[Image.Image]":
    """From seeds: an image or a grid by `G.sample`, `stylegan sample` or the demo."""
    columns = {key: source.values(key) for key in ("seed", "label", "noise_seed", "truncation_psi")}
    n = max(map(len, columns.values()))
    if any(len(column) not in (0, 1, n) for column in columns.values()):
        raise InputError(f"{source.picture}: its text names {n} images, and settings for another number of them")
    repeats = ws_at_once if n == 1 else 1  # One image alone may have been one of several.
    columns = {key: column * (n * repeats if len(column) == 1 else 1) for key, column in columns.items()}
    return _render(G, source, _ws(G, source, columns, ws_at_once), columns["noise_seed"], batch_size)[::repeats]


def _ws(G: "Generator", source: Source, columns: dict[str, list[Any]], batch_size: int) -> "Tensor":
    """The ws of each image by its own settings, [N, num_ws, w_dim], computed so many at a time."""
    import torch

    from stylegan.editing import find_direction

    seeds, labels = columns["seed"], columns["label"] or None
    parts = []
    for start in range(0, len(seeds), batch_size):
        some = slice(start, start + batch_size)
        own: Any = labels and labels[some]
        own = torch.tensor(own, dtype=torch.float32, device="cpu") if own and isinstance(own[0], list) else own
        parts.append(G.ws(seeds[some], labels=own, truncation_psi=1.0))
    ws = torch.cat(parts)
    psi = [one if isinstance(one, list) else [one] * G.num_ws for one in columns["truncation_psi"]]
    ws = G.truncate(ws, torch.tensor(psi, dtype=torch.float32, device="cpu"), source.number("truncation_cutoff"))
    for key, strength in source.text.items():
        if key.startswith("direction "):  # From the demo.
            ws = G.edit(ws, find_direction(G, key.removeprefix("direction ")), float(strength))
    return ws


def _of_two_seeds(G: "Generator", source: Source, ws_at_once: int, batch_size: int) -> "list[Image.Image]":
    """From the demo: the styles of two seeds mixed, or a point between them."""
    import torch

    (seeds,) = source.values("seeds")
    columns = {key: source.values(key) * len(seeds) for key in ("label", "truncation_psi", "noise_seed")}
    a, b = _ws(G, source, columns | {"seed": seeds}, ws_at_once).split(1)
    position = source.number("position")
    made = G.mix_styles(a, b, source.number("layers")) if position is None else torch.lerp(a, b, position)
    return _render(G, source, torch.cat([made, a, b]), columns["noise_seed"][:1], batch_size)[:1]


def _of_latents(G: "Generator", source: Source, _: int, batch_size: int) -> "list[Image.Image]":
    """From a file of latents, by their names in it: by `stylegan sample` or `stylegan project`."""
    from stylegan.latents.files import Latents

    latents = Latents.load(source.find(source.text["latents"], source.text["latents_sha256"]), G)
    text = source.text["name"]
    names = [text] if text in latents.names else text.split(",")
    if not set(names) <= set(latents.names):
        raise InputError(f"{source.picture}: the file of latents has no {text!r}; it has {', '.join(latents.names)}")
    at = [latents.names.index(name) for name in names]
    psi = source.number("truncation_psi")
    ws = G.truncate(latents.ws[at], 1.0 if psi is None else psi, source.number("truncation_cutoff"))
    noise = None
    if source.text.get("noise_mode") == "given" and latents.noise is not None:
        noise = [maps[at] for maps in latents.noise]
    return _render(G, source, ws, source.values("noise_seed"), batch_size, noise)


def _render(
    G: "Generator",
    source: Source,
    ws: "Tensor",
    noise_seeds: Sequence[int],
    batch_size: int,
    noise: "list[Tensor] | None" = None,
) -> "list[Image.Image]":
    """With the noise that the text describes. Raises InputError if it does not."""
    mode: Any = source.text.get("noise_mode", "const")
    if mode == "given" and noise is None:
        raise InputError(f"{source.picture} was made with noise maps, which neither its text nor its latents hold")
    if noise is not None:
        return list(G.render(ws, noise=noise, batch_size=batch_size, progress=False))
    seeds = list(noise_seeds) * (len(ws) if len(noise_seeds) == 1 else 1)
    return list(G.render(ws, noise_mode=mode, noise_seed=seeds or None, batch_size=batch_size, progress=False))

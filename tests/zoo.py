"""Tries entries of the manifest: python -m tests.zoo NAME... downloads each, checks it, renders a grid, and notes it.

For whoever has a network and some gigabytes; never in CI. Names: of `stylegan list --all`; none = all that were not
tried. What was tried is written into the manifest with its date and sha256, and into zoo.patch, to send to the project.
"""

import argparse
import datetime
import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylegan import Generator, grid
from stylegan.errors import StyleGANError
from stylegan.weights import manifest
from stylegan.weights.fetching import fetch
from stylegan.weights.files import WeightFile
from stylegan.weights.hub import Access

MANIFEST = Path(__file__).parents[1] / "stylegan" / "weights_manifest.json"
SEEDS = range(16)


def main(arguments: Sequence[str] | None = None, *, path: Path = MANIFEST) -> int:
    """The command; path: of the manifest that holds the entries. Returns how many of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.zoo", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="entries to try; default: all that were not tried")
    parser.add_argument("--out", type=Path, default=Path("zoo"), help="folder for the grids and zoo.patch")
    parser.add_argument("--cache-dir", help="where downloads are kept")
    options = parser.parse_args(arguments)

    known = manifest.entries()
    names = options.names or [name for name, entry in known.items() if not entry.tried]
    options.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in names:
        try:
            file = try_entry(name, options.out / f"{name}.png", cache_dir=options.cache_dir)
        except StyleGANError as error:
            failed += 1
            print(f"{name}: FAILED: {error}")
            continue
        note(path, name, file, patch=options.out / "zoo.patch")
        print(f"{name}: from {file.source}, sha256 {file.facts['sha256']}: {options.out / name}.png")
    return failed


def try_entry(name: str, picture: Path, *, cache_dir: str | None = None) -> WeightFile:
    """Download an entry, render a grid of it; the file that it came from. Raises StyleGANError for what fails."""
    G = Generator.from_pretrained(name, cache_dir=cache_dir)
    grid(G.sample(seeds=SEEDS, truncation_psi=0.7)).save(picture)
    with fetch(manifest.find(name).name, network="Gs", access=Access(cache_dir)) as file:
        return file  # The one in the cache, that the images are of.


def note(path: Path, name: str, file: WeightFile, *, patch: Path) -> None:
    """Write into the manifest that an entry was tried, and what is now known of its file; keep the difference."""
    before = path.read_text()
    parsed = json.loads(before)
    found: Any = parsed["models"].get(name)
    if found is None or file.fetched is None:
        return  # Of another manifest, or bundled.
    sha256, size = file.fetched.sha256, file.path.stat().st_size
    found["tried"] = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "sha256": sha256}
    for entry, place in zip(found["files"], manifest.find(name).files, strict=True):
        if str(place.source) == file.source:
            entry |= {"size": size, "sha256": sha256}
            entry.pop("sha256_prefix", None)
    after = json.dumps(parsed, indent=2, ensure_ascii=False) + "\n"
    manifest.parse_manifest(after.encode(), where=path.name, bundled=path == MANIFEST)  # Nothing wrong is written.
    path.write_text(after)
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    with patch.open("a") as out:
        out.writelines(difflib.unified_diff(old, new, f"a/stylegan/{path.name}", f"b/stylegan/{path.name}"))


if __name__ == "__main__":
    sys.exit(min(main(), 1))

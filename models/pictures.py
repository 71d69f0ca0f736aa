"""Make the pictures of the documentation again, by the commands that stand beside them.

    python models/pictures.py [NAME ...]

Runs in docs/images what README.md and docs/*.md show as a command ending in `--out NAME`, NAME being a picture there;
without names, all of them. README.md's Python example is faces.webp. The pictures that no command makes are listed.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click

import stylegan

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs/images"

# In backticks, perhaps over several lines, or on a line of its own.
COMMAND = re.compile(r"`(stylegan [^`]+ --out [\w.-]+)`|^(stylegan .+ --out [\w.-]+)$", re.MULTILINE)


def commands() -> dict[str, list[str]]:
    """The command of each picture that has one."""
    found = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for match in COMMAND.finditer(page.read_text()):
            words = shlex.split(match[1] or match[2])
            if (IMAGES / words[-1]).exists():
                found[words[-1]] = words
    return found


@click.command()
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Make the pictures NAMES, or all, again."""
    known = commands()
    pictures = {path.name for path in IMAGES.iterdir()}
    for name in names or sorted(pictures):
        if name == "faces.webp":
            faces = stylegan.Generator.from_pretrained().sample(seeds=range(32), truncation_psi=0.7)
            stylegan.images.save(stylegan.grid(faces, columns=8), IMAGES / name)
        elif name in known:
            click.echo(shlex.join(known[name]))
            subprocess.run([sys.executable, "-m", *known[name]], cwd=IMAGES, check=True)
        else:
            click.echo(f"no command makes {name}", err=True)


if __name__ == "__main__":
    main()

"""One PNG for each seed, in a folder."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from .. import images
from ..errors import InputError
from ..workers import map_in_order
from .job import Job


def write_folder(
    job: Job,
    seeds: Sequence[int],
    folder: str | os.PathLike[str],
    *,
    batch_size: int | None = None,
    resume: bool = False,
    threads: int | None = None,
    progress: bool | None = None,
) -> int:
    """Write the PNG of each seed, seed0005.png for seed 5, and return how many were written.

    batch_size: images computed together; None = by resolution and free memory.
    resume: leave files as they are that an earlier run with the same settings and a model of the same name has made.
    threads: that encode and write while the next images are computed; None = as many as there are CPUs.
    progress: show a bar; None = on a terminal.

    However it ends, each file is complete or not there, or what was there before. Raises InputError for settings that
    do not fit the model, or resume with noise that is different in every run.
    """
    folder = Path(folder)
    if resume and job.noise_mode == "random" and job.noise_seed is None:
        raise InputError("random noise without a noise_seed is different in every run: there is nothing to resume")
    folder.mkdir(parents=True, exist_ok=True)
    if batch_size is None:
        batch_size = job.G.default_batch_size(len(seeds))

    def path(seed: int) -> Path:
        return folder / f"seed{seed:04d}.png"

    def save(rendered: tuple[int, Image.Image]) -> None:
        seed, image = rendered
        images.save(image, path(seed))

    with tqdm(total=len(seeds), unit="img", disable=None if progress is None else not progress) as bar:

        def missing() -> Iterator[int]:
            for seed in seeds:
                if resume and _is_finished(path(seed), job, seed):
                    bar.update()
                else:
                    yield seed

        written = 0
        for _ in map_in_order(save, job.render(missing(), batch_size), threads=threads):
            written += 1
            bar.update()
    return written


def _is_finished(path: Path, job: Job, seed: int) -> bool:
    """Whether a file is the PNG that the job would write, as far as the settings in it tell."""
    settings: dict[str, object] = {"seed": seed} | job.settings()
    if job.label is not None:  # PNGs hold the vector.
        settings["label"] = [float(i == job.label) for i in range(job.G.label_dim)]
    names = ("model", "seed", "truncation_psi", "truncation_cutoff", "noise_mode", "noise_seed", "label")
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return image.width == job.width and all(
                image.info.get(name) == (str(settings[name]) if name in settings else None) for name in names
            )
    except OSError:  # It is not there, or no PNG.
        return False

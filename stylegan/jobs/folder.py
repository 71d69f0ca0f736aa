"""One PNG per seed, in a folder."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from .. import images
from ..errors import DatasetError, InputError, StorageError
from ..images.decoding import open_image
from ..runtime.progress import is_hidden, progress_bar
from ..runtime.threads import map_in_order
from .job import Job

# The text entries of a PNG that resuming compares.
_COMPARED = (
    "model",
    "weights_sha256",
    "seed",
    "truncation_psi",
    "truncation_cutoff",
    "noise_mode",
    "noise_seed",
    "label",
)
# Above the size of any PNG that a job writes; larger files are not read.
MAX_BYTES = 2**28


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

    batch_size: images per batch; None = by resolution and free memory.
    resume: keep intact files of an earlier run with the same settings and weights: each PNG holds the sha256 of its
        pixels. Checking one takes a fraction of the time to make it.
    threads: threads that encode and write while the next images are computed; None = one per CPU.
    progress: show a bar; None = on a terminal.

    However it ends, each file is complete, absent or unchanged. Raises InputError for settings that do not fit the
    model, for resume with noise that differs in every run, and for folders at the paths of images; StorageError if the
    disk is full.
    """
    folder = Path(folder)
    if resume and job.has_fresh_noise:
        raise InputError("random noise without a noise_seed is different in every run: there is nothing to resume")
    folder.mkdir(parents=True, exist_ok=True)
    if batch_size is None:
        batch_size = job.G.default_batch_size(max(1, len(seeds)))  # With few seeds, some shards have none.
    # The text that all files of this job share; the sha256, since a name may stand for several models.
    common = job.settings() | {"weights_sha256": job.G.weights_sha256}

    def path(seed: int) -> Path:
        return folder / f"seed{seed:04d}.png"

    def save(rendered: tuple[int, Image.Image]) -> None:
        seed, image = rendered
        images.save(images.remember(image, {"pixels_sha256": _pixels_sha256(image)}), path(seed))

    with progress_bar(total=len(seeds), unit="img", hidden=is_hidden(progress)) as bar:

        def missing() -> Iterator[int]:
            for seed in seeds:
                check_no_folder(path(seed))
                if resume and _is_finished(path(seed), job, common | {"seed": seed}):
                    bar.update()
                else:
                    yield seed

        written = 0
        try:
            for _ in map_in_order(save, job.render(missing(), batch_size), threads=threads):
                written += 1
                bar.update()
        except StorageError as error:
            raise StorageError(f"{error}; resume=True (--resume) continues with the missing images") from error
    return written


def check_no_folder(path: Path) -> None:
    """Raise InputError, before any computation, if there is a folder at the path of a file."""
    if path.is_dir():
        raise InputError(f"{path} is a folder, where this job writes a file; move it, or choose another folder")


def _is_finished(path: Path, job: Job, expected: dict[str, object]) -> bool:
    """Whether a file is the PNG that the job would write, by settings, size and sha256 of the pixels."""
    if job.label is not None:  # PNGs hold the vector.
        vectors = job.G.label_vectors(job.label, 1)
        expected["label"] = [] if vectors is None else vectors[0].tolist()
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return False
        image = open_image(path.read_bytes())
        if image.format != "PNG" or image.size != (job.width, job.width):
            return False
        if any(image.info.get(name) != (str(expected[name]) if name in expected else None) for name in _COMPARED):
            return False
        return image.info.get("pixels_sha256") == _pixels_sha256(image)
    except (
        OSError,
        DatasetError,
        SyntaxError,
        ValueError,
    ):  # Unreadable, or not an intact PNG.
        return False


def _pixels_sha256(image: Image.Image) -> str:
    return hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).hexdigest()

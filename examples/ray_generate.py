"""Generate a large job with Ray Data: the tars of `stylegan sample --format tar`, made by a pool of workers.

pip install "stylegan[ray]"
python examples/ray_generate.py --seeds 0-9999 --out faces/

On a cluster, submit it with `ray job submit`; --out must be a folder that all nodes see. Only tar numbers go to the
workers, and names come back: no image passes through Ray's object store. Running the script again makes only missing
tars.
"""

import os
from pathlib import Path
from typing import Any

import click
import ray
import ray.data

from stylegan import Generator
from stylegan.jobs import Job, Shard, write_tars
from stylegan.latents.ranges import SeedRanges
from stylegan.weights.manifest import DEFAULT_MODEL


class Worker:
    """A process with its own model, on a GPU if it was given one."""

    def __init__(self, model: str, seeds: str, out: str, count: int, settings: dict[str, Any]):
        device = "cuda" if ray.get_gpu_ids() else "cpu"
        self.job = Job(G=Generator.from_pretrained(model, device=device))
        self.seeds, self.out, self.count, self.settings = SeedRanges.parse(seeds), out, count, settings

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[Any]]:
        """Make the tars with these numbers: each is a separate shard."""
        done: dict[str, list[Any]] = {"tar": [], "made": []}
        for number in rows["id"]:
            shard = Shard(int(number), self.count)
            report = write_tars(self.job, self.seeds, self.out, shard=shard, progress=False, **self.settings)
            done["tar"] += report.written + report.kept
            done["made"] += [bool(report.written)]
        return done


@click.command()
@click.option("--seeds", default="0-9999", show_default=True)
@click.option("--out", default="faces", show_default=True, help="A folder that all workers see.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True)
@click.option("--samples-per-tar", default=1000, show_default=True)
@click.option("--image-format", type=click.Choice(["png", "jpg"]), default="png", show_default=True)
@click.option("--cpus", default=2, show_default=True, help="Of each worker; one worker for each GPU, if there are any.")
def main(seeds: str, out: str, model: str, samples_per_tar: int, image_format: str, cpus: int) -> None:
    """Make tars of samples on a Ray cluster, or on this machine."""
    ray.init()
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    workers = gpus or max(1, int(resources["CPU"]) // cpus)
    count = -(-len(SeedRanges.parse(seeds)) // samples_per_tar)

    folder = str(Path(out).resolve())
    settings = {"samples_per_tar": samples_per_tar, "image_format": image_format}
    # Items rather than ray.data.range, whose tasks would wait for a CPU that the workers never give back.
    numbers = ray.data.from_items(
        [{"id": number} for number in range(count)], override_num_blocks=min(count, 64 * workers)
    )
    tars = numbers.map_batches(
        Worker,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(workers, count)),
        num_cpus=cpus,
        num_gpus=1 if gpus else 0,
        fn_constructor_args=(model, seeds, folder, count, settings),
    )
    made = [row["made"] for row in tars.iter_rows()]
    click.echo(f"made {sum(made)} tars in {folder}, kept {len(made) - sum(made)}")


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    main()

"""The networks of a run's last checkpoint in half precision: G, D and Gs, small enough to keep beside a model's card.

    python models/halve.py RUN OUT

writes OUT/checkpoints/step-N.safetensors. `stylegan train --start-from OUT` takes the networks from there: to fine-tune
the model, to grow it, or to go on with it. With the run's config.yaml in OUT too, --resume goes on at the same step.
The moments of the optimizers are left out; they settle again within some hundred steps.
"""

from pathlib import Path

import click
import safetensors.torch
import torch

from stylegan.runtime.atomic_files import write_atomically
from stylegan.training.state import header, list_checkpoints, read_tensors


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
def main(run: Path, out: Path) -> None:
    """Write the networks of RUN's last checkpoint into OUT/checkpoints."""
    found = list_checkpoints(run / "checkpoints")
    if not found:
        raise click.UsageError(f"{run} has no checkpoints; expected the folder of a run of stylegan train")
    if out.resolve() == run.resolve():
        raise click.UsageError(f"{out} is the run, whose exact checkpoint would be lost; name another folder")
    tensors, counters = read_tensors(found[-1])
    halves = {name: t.to(torch.float16) for name, t in tensors.items() if name.split(".")[0] in ("G", "D", "Gs")}
    for name, tensor in halves.items():
        if not tensor.isfinite().all():
            raise click.ClickException(f"{found[-1]}: {name} does not fit into float16")
    counters["optimizer_steps"] = dict.fromkeys(counters["optimizer_steps"], 0)
    path = out / "checkpoints" / found[-1].name
    write_atomically(path, safetensors.torch.save(halves, header(counters)))
    click.echo(f"wrote {path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

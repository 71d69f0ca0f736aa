"""stylegan train: train a model on your own images."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import click
import yaml

from stylegan.cli.settings import parse_settings, settings_option, without_data
from stylegan.training.presets import PRESETS

# Why training stopped, in words for a terminal.
REASONS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "time": "out of time"}


@click.command()
@click.option("--data", metavar="PATH", help="Data set made by `stylegan dataset`: a zip or folder.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="RUN", help="Folder.")
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint in RUN, if any.")
@click.option("--allow-data-change", is_flag=True, help="Resume with other images than those of RUN so far.")
@click.option("--start-from", metavar="MODEL|RUN", help="Take the networks of a model or another run.")
@click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="Configuration of the paper.  [default: F, or the model's]"
)
@click.option("--resolution", type=int, metavar="N", help="Height and width.  [default: that of the data]")
@click.option("--kimg", type=float, metavar="N", help="Thousands of real images to show.  [default: 25000]")
@click.option("--minutes", type=float, metavar="N", help="Save and stop after N minutes.  [default: no limit]")
@click.option("--batch", metavar="N|{RES: N}", help="Images per step.  [default: 256 at 8x8 ... 32 from 64x64]")
@click.option("--gamma", metavar="X|{RES: X}", help="Weight of R1.  [default: 0.0002 x pixels / batch]")
@click.option("--device", help="cpu, cuda, cuda:1...  [default: a GPU, if there is one]")
@click.option("--dtype", help="auto, float32, bfloat16 or float16.  [default: auto]")
@click.option("--seed", type=int, help="Seed for all random numbers.  [default: 0]")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Settings as YAML.")
@settings_option("Any other setting.")
@click.option("--show-settings", is_flag=True, help="Print all settings as YAML and exit.")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    data: str | None,
    out: Path,
    resume: bool,
    allow_data_change: bool,
    minutes: float | None,
    config: Path | None,
    settings: tuple[str, ...],
    show_settings: bool,
    batch: str | None,
    gamma: str | None,
    **given: Any,
) -> None:
    """Train a model by progressive growing; RUN keeps everything needed to continue.

    Settings come from --config, from RUN when resuming, and from the options, which take precedence. Ctrl-C, SIGTERM
    and --minutes save, then stop; --resume continues exactly. --start-from begins a new run with the networks of a
    model, whose settings need not be given. Several GPUs or processes:
    torchrun --nproc-per-node 8 -m stylegan.training --data ...

    \b
    Examples:
      stylegan train --data faces.zip --out runs/faces
      stylegan train --data faces.zip --out runs/faces --resume --minutes 60
      stylegan train --data faces.zip --out runs/small --resolution 64 --batch 32 --kimg 2000
          --set fmap_base=1024 --set fmap_max=128 --set "training_kimg={8: 60, 16: 100}"
    """
    # Training is not loaded for the other commands.
    from stylegan.training import TrainingConfig, train

    values: dict[str, Any] = {}
    saved = out / "config.yaml"
    source = saved if resume and saved.exists() and config is None else config
    if source is not None:
        values = dataclasses.asdict(TrainingConfig.load(source))
    values |= {name: value for name, value in given.items() if value is not None}
    if data is not None:
        values["data"] = data
    named = [f"batch={batch}"] * (batch is not None) + [f"r1_gamma={gamma}"] * (gamma is not None)
    values |= parse_settings([*named, *settings])
    chosen = TrainingConfig.of(values)
    if show_settings:
        click.echo(yaml.safe_dump(dataclasses.asdict(chosen), sort_keys=False), nl=False)
        return
    if not chosen.data:
        raise without_data(out, resume=resume and not saved.exists())
    outcome = train(chosen, out, resume=resume, allow_data_change=allow_data_change, minutes=minutes)
    if os.environ.get("RANK", "0") == "0":  # Only the first process prints.
        reason = REASONS.get(outcome.reason, outcome.reason)
        click.echo(f"{reason} at {outcome.state.kimg:.1f} kimg; saved in {out.resolve()}")
    ctx.exit(outcome.exit_code)

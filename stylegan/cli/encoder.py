"""stylegan encoder: train the encoder of a model."""

from pathlib import Path

import click

from stylegan.cli.train import REASONS
from stylegan.errors import InputError
from stylegan.runtime.json_yaml import parse_yaml
from stylegan.weights.manifest import DEFAULT_MODEL


@click.group()
def encoder() -> None:
    """Networks that find the latents of a photo at once.

    \b
    Example:
      stylegan encoder train --data faces-128.zip --out runs/encoder
    """


@encoder.command()
@click.option("--model", default=DEFAULT_MODEL, show_default=True, metavar="NAME|PATH|REPO|URL", help="The generator.")
@click.option("--data", required=True, metavar="PATH", help="Images like those of the model, from `stylegan dataset`.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="RUN", help="Folder.")
@click.option("--start-from", metavar="FILE|MODEL", help="Begin with the weights of another encoder.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in RUN, if any.")
@click.option("--kimg", type=float, metavar="N", help="Thousands of images to show, in all.")
@click.option("--minutes", type=float, metavar="N", help="Save and stop after N minutes.  [default: no limit]")
@click.option("--device", help="cpu, cuda, cuda:1...  [default: cpu]")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of EncoderConfig. Repeatable.")
@click.pass_context
def train(
    ctx: click.Context,
    model: str,
    data: str,
    out: Path,
    start_from: str | None,
    resume: bool,
    kimg: float | None,
    minutes: float | None,
    device: str | None,
    settings: tuple[str, ...],
) -> None:
    """Train the encoder of a model, on its own images and on real ones; RUN keeps all that is needed to continue.

    Ctrl-C, SIGTERM and --minutes save, then stop; --resume with the same settings continues exactly. RUN/pictures.png
    shows real images and their reconstructions; RUN/encoder.safetensors is for --encoder of `stylegan project`, edit,
    mix and video. Needs pip install "stylegan[perceptual]", but for --set perceptual_weight=0.

    \b
    Examples:
      stylegan encoder train --data faces-128.zip --out runs/encoder
      stylegan encoder train --model runs/cats --data cats.zip --out runs/cats-encoder --kimg 300
      stylegan encoder train --data faces-128.zip --out runs/encoder --resume --minutes 60
    """
    # Training is not loaded for the other commands.
    from stylegan.discriminator import Discriminator
    from stylegan.encoder import Encoder, EncoderConfig, train_encoder
    from stylegan.errors import WeightsError
    from stylegan.generator import Generator

    values = {} if kimg is None else {"kimg": kimg}
    for item in settings:
        name, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set {item!r}: expected NAME=VALUE, such as learning_rate=0.0005")
        values[name] = parse_yaml(value, where=f"--set {item!r}: expected a value", error=InputError)
    config = EncoderConfig.of(values)
    G, D = Generator.from_pretrained(model, device=device), None
    if config.feature_weight:
        try:
            D = Discriminator.from_pretrained(model, device=device)
        except WeightsError:
            click.echo(f"note: {G.name} has no discriminator, so the loss has no features of one", err=True)
    first = None if start_from is None else Encoder.from_pretrained(start_from, device=device)
    reason = train_encoder(G, data, out, config, D=D, start_from=first, resume=resume, minutes=minutes)
    click.echo(f"{REASONS.get(reason, reason)}; saved in {out.resolve()}")
    ctx.exit(130 if reason == "SIGINT" else 0)

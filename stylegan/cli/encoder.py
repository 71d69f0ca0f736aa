"""stylegan encoder: train the encoder of a model."""

from pathlib import Path

import click

from stylegan.cli.settings import parse_settings, settings_option, without_data
from stylegan.cli.train import REASONS
from stylegan.weights.manifest import DEFAULT_MODEL


@click.group()
def encoder() -> None:
    """Networks that find the latents of a photo at once.

    \b
    Example:
      stylegan encoder train --data faces-128.zip --out runs/encoder
    """


@encoder.command()
@click.option("--model", metavar="NAME|PATH|REPO|URL", help=f"The generator.  [default: {DEFAULT_MODEL}]")
@click.option("--data", metavar="PATH", help="Images like those of the model, from `stylegan dataset`.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="RUN", help="Folder.")
@click.option("--start-from", metavar="FILE|MODEL", help="Begin with the weights of another encoder.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in RUN, if any.")
@click.option("--kimg", type=float, metavar="N", help="Thousands of images to show, in all.")
@click.option("--minutes", type=float, metavar="N", help="Save and stop after N minutes.  [default: no limit]")
@click.option("--device", help="cpu, cuda, cuda:1...  [default: cpu]")
@settings_option("A setting of EncoderConfig.")
@click.pass_context
def train(
    ctx: click.Context,
    model: str | None,
    data: str | None,
    out: Path,
    start_from: str | None,
    resume: bool,
    kimg: float | None,
    minutes: float | None,
    device: str | None,
    settings: tuple[str, ...],
) -> None:
    """Train a model's encoder on its own images and real ones; RUN keeps everything needed to continue.

    Model, data and settings come from RUN when resuming, and from the options, which take precedence. Ctrl-C, SIGTERM
    and --minutes save, then stop; --resume continues exactly. RUN/pictures.png shows real images and their
    reconstructions; RUN/encoder.safetensors is for --encoder of `stylegan project`, edit, mix and video. Needs pip
    install "stylegan[perceptual]", unless --set perceptual_weight=0.

    \b
    Examples:
      stylegan encoder train --data faces-128.zip --out runs/encoder
      stylegan encoder train --model runs/cats --data cats.zip --out runs/cats-encoder --kimg 300
      stylegan encoder train --out runs/encoder --resume --minutes 60
    """
    # Training is not loaded for the other commands.
    from stylegan.discriminator import Discriminator
    from stylegan.encoder import Encoder, EncoderConfig, train_encoder
    from stylegan.encoder.run import EncoderRun
    from stylegan.errors import WeightsError
    from stylegan.generator import Generator

    begun = EncoderRun.load(out) if resume else None
    values = {} if begun is None else begun.config.as_dict()
    values |= ({} if kimg is None else {"kimg": kimg}) | parse_settings(settings)
    config = EncoderConfig.of(values)
    if begun is not None:
        model, data = model or begun.model, data or begun.data
    if not data:
        raise without_data(out, resume=resume and begun is None)
    model = model or DEFAULT_MODEL
    G, D = Generator.from_pretrained(model, device=device), None
    if config.feature_weight:
        try:
            D = Discriminator.from_pretrained(model, device=device)
        except WeightsError:
            click.echo(f"note: {G.name} has no discriminator, so the loss has no feature term", err=True)
    first = None if start_from is None else Encoder.from_pretrained(start_from, device=device)
    reason = train_encoder(G, data, out, config, D=D, start_from=first, resume=resume, minutes=minutes)
    click.echo(f"{REASONS.get(reason, reason)}; saved in {out.resolve()}")
    ctx.exit(130 if reason == "SIGINT" else 0)

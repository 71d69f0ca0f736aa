"""stylegan publish: upload a model to a model hub, with its card."""

from pathlib import Path

import click

from stylegan.cli.options import resolution_option
from stylegan.cli.write import add_metadata, metadata_option, stored_dtype_option
from stylegan.errors import InputError


@click.command()
@click.argument("model", metavar="NAME|PATH|REPO|URL")
@click.argument("target", metavar="USER/NAME|FOLDER/")
@click.option("--public", is_flag=True, help="Make it public.  [default: private]")
@click.option("--token", help="Token for the hub.  [default: HF_TOKEN, or that of `hf auth login`]")
@click.option("--message", default="Upload a StyleGAN generator", show_default=True, help="Commit message.")
@stored_dtype_option
@metadata_option("Facts for the card: name, dataset, license...")
@resolution_option
@click.option("--dry-run", is_flag=True, help="Only write the files into FOLDER.")
def publish(
    model: str,
    target: str,
    public: bool,
    token: str | None,
    message: str,
    dtype: str,
    metadata: tuple[str, ...],
    resolution: int | None,
    dry_run: bool,
) -> None:
    """Publish a generator: weights in safetensors, config, and a card with images, licence, data and metrics.

    \b
    Examples:
      stylegan publish my.safetensors me/my-model --metadata license=MIT --metadata dataset="my photographs"
      stylegan publish my.safetensors card/ --dry-run
    """
    from stylegan.generator import Generator
    from stylegan.runtime.device import check_dtype

    G = Generator.from_pretrained(model, resolution=resolution, token=token)
    add_metadata(G.metadata, metadata)
    if "license" not in G.metadata:
        raise InputError("the model names no licence; add --metadata license=...")
    if dry_run:
        G.save_pretrained(target, dtype=check_dtype(dtype))
        G.save_model_card(target)
        click.echo(f"wrote weights, config and card to {Path(target).resolve()}")
        return
    address = G.push_to_hub(target, private=not public, token=token, commit_message=message, dtype=check_dtype(dtype))
    click.echo(f"published {G.name} ({'public' if public else 'private'}): {address}")

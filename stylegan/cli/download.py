"""stylegan download: fetch a model into the cache."""

import click

from stylegan.cli.models import build
from stylegan.cli.options import ACCESS_OPTIONS, apply_options, resolution_option
from stylegan.weights import manifest


@click.command()
@click.argument("model", metavar="NAME|REPO|URL")
@click.option("--revision", help="Commit, tag or branch of a hub repository.")
@click.option("--force", is_flag=True, help="Download again, even if cached.")
@click.option("--verify", is_flag=True, help="Read cached files again and compare their sha256.")
@resolution_option
@apply_options(ACCESS_OPTIONS)
def download(
    model: str,
    revision: str | None,
    force: bool,
    verify: bool,
    resolution: int | None,
    cache_dir: str | None,
    token: str | None,
    offline: bool,
) -> None:
    """Download a model into the cache, verify and convert it, so that it loads fast and offline.

    \b
    Examples:
      stylegan download ffhq-1024
      stylegan download hf:user/repo/model.safetensors@v1
      stylegan download https://example.org/network.pkl --cache-dir /data/weights
    """
    from stylegan.weights.hub import Access
    from stylegan.weights.loading import read_weights

    access = Access(cache_dir, token, offline, force, verify)
    loaded = read_weights(model, resolution=resolution, revision=revision, access=access)
    network = build(loaded)  # Refuses a file that does not match its own config.
    license = loaded.checkpoint.metadata.get("license", "unknown")
    click.echo(f"{model} is ready: {network.img_resolution}x{network.img_resolution}, licence: {license}")
    click.echo(f"from {loaded.source}, sha256 {loaded.facts.get('sha256', 'of the package')}")
    if model in manifest.entries() and not manifest.find(model).tried:
        click.echo("note: the authors of the manifest have not tried this entry")

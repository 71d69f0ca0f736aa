"""The command line: `stylegan COMMAND`, one file per command.

May import: errors, version, runtime, images, weights, latents, generator, discriminator, data, extractors, encoder,
animation, editing, export, figures, jobs, projection, demo, training, metrics.
"""

import click

from stylegan.cli.average import average
from stylegan.cli.blend import blend
from stylegan.cli.cache import cache
from stylegan.cli.convert import convert
from stylegan.cli.dataset import dataset
from stylegan.cli.demo import demo
from stylegan.cli.directions import directions
from stylegan.cli.download import download
from stylegan.cli.edit import edit
from stylegan.cli.encoder import encoder
from stylegan.cli.evaluate import evaluate
from stylegan.cli.export import export
from stylegan.cli.figure import figure
from stylegan.cli.group import Group
from stylegan.cli.info import info
from stylegan.cli.list import list_models
from stylegan.cli.mix import mix
from stylegan.cli.project import project
from stylegan.cli.publish import publish
from stylegan.cli.remake import remake
from stylegan.cli.sample import sample
from stylegan.cli.table import table
from stylegan.cli.train import train
from stylegan.cli.truncate import truncate
from stylegan.cli.video import video
from stylegan.version import __version__


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="stylegan")
def main() -> None:
    """The style-based generator (StyleGAN): make, mix and study images.

    \b
    First image, from the bundled model, offline:
      stylegan sample
    """


for command in (
    sample,
    mix,
    truncate,
    figure,
    remake,
    video,
    demo,
    edit,
    directions,
    project,
    blend,
    average,
    info,
    list_models,
    download,
    convert,
    export,
    cache,
    publish,
    dataset,
    train,
    encoder,
    evaluate,
    table,
):
    main.add_command(command)

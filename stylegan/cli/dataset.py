"""stylegan dataset: images of any format -> a zip for training."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stylegan.cli.options import choice_option

if TYPE_CHECKING:  # Training is not loaded for the other commands.
    from stylegan.data.prepare import Report
    from stylegan.images.decoding import Crop


class CropType(click.ParamType):
    """A crop: x,y,w,h in pixels."""

    name = "crop"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Crop":
        if isinstance(value, tuple):
            return value
        try:
            x, y, w, h = (int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a crop; write x,y,w,h in pixels, like 25,45,128,128", param, ctx)
        return x, y, w, h


@click.command()
@click.argument("source", metavar="SOURCE", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--resolution",
    type=int,
    metavar="SIZE",
    help="Width and height of the images, a power of two.  [default: the largest that enlarges none]",
)
@click.option(
    "--crop",
    type=CropType(),
    metavar="X,Y,W,H",
    help="Part of each image to use.  [default: all]",
)
@choice_option(
    "--fit",
    ["crop", "pad", "stretch"],
    "crop",
    "How to make squares: crop to the centre, pad with black bars, or stretch.",
)
@choice_option("--format", ["png", "jpeg"], "png", "Image format.")
@choice_option(
    "--channels",
    ["1", "2", "3", "4"],
    "3",
    "1 = grey, 3 = RGB, both composited over white; 2 = grey with alpha, 4 = RGBA.",
)
@click.option(
    "--bit-depth",
    type=click.IntRange(9, 16),
    metavar="BITS",
    help="Bits used in 16-bit images, such as a camera's 12.  [default: from the files, else 16]",
)
@choice_option(
    "--split", ["all", "train", "test"], "all", "Part of the images; in FFHQ, the first 60,000 and the last 10,000."
)
@click.option("--test-every", type=int, metavar="N", help="In other data, every N-th image belongs to the test split.")
@click.option("--max-images", type=click.IntRange(min=1), metavar="N", help="Use only the first N images.")
@choice_option(
    "--labels",
    ["auto", "file", "folders", "none"],
    "auto",
    "From SOURCE's labels.json or dataset.json, a class per sub-folder, or none; auto = file, if there is one.",
)
@click.option(
    "--label-field", metavar="NAME", help="Field of the records in SOURCE's labels.json that holds the class."
)
@choice_option("--animated", ["reject", "first"], "reject", "Treat animations as bad files, or use their first frame.")
@click.option(
    "--allow-upscale", is_flag=True, help="Enlarge images that are too small, instead of treating them as bad files."
)
@click.option("--skip-bad", is_flag=True, help="Skip and list bad files instead of failing.")
@click.option(
    "--max-bad",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.01,
    show_default=True,
    metavar="FRACTION",
    help="With --skip-bad: fail if more than this fraction is bad.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads that decode and encode.  [default: one per CPU]")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def dataset(source: Path, out: Path, *, channels: str, force: bool, **settings: Any) -> None:
    """Prepare a data set for training.

    SOURCE is a folder (with its sub-folders), a zip or a tar of images of any size, or TFRecords of an official data
    set. OUT is a zip of square images of one size, with labels.json if there are labels.

    PNG, JPEG, WebP, BMP, GIF and TIFF are read, rotated by EXIF, composited over white (unless --channels keeps alpha),
    and downscaled with a Lanczos filter. If an image is damaged, nothing is written, unless --skip-bad is given.

    \b
    Examples:
      stylegan dataset photos/ photos-128.zip --resolution 128
      stylegan dataset animals/ animals.zip --resolution 64 --labels folders --skip-bad
      stylegan dataset img_align_celeba.zip celeba.zip --crop 25,45,128,128 --format jpeg
      stylegan dataset cars/ cars-512.zip --resolution 512 --fit pad
      stylegan dataset icons/ icons.zip --channels 4
      stylegan dataset images1024x1024/ ffhq-256.zip --resolution 256 --split train
      stylegan dataset photos/ photos-test.zip --split test --test-every 16
    """
    from stylegan.data.prepare import prepare

    with warnings.catch_warnings(record=True) as caught:
        report = prepare(source, out, channels=int(channels), overwrite=force, **settings)
    for warning in caught:
        click.echo(f"warning: {warning.message}", err=True)
    tell(report, out)


def tell(report: "Report", out: Path) -> None:
    """Print what was made, converted and skipped."""
    from stylegan.data.sources import list_files
    from stylegan.images.decoding import DARK

    if report.is_ffhq:
        click.echo("SOURCE is FFHQ, all 70,000 images", err=True)
    if report.smallest is not None:
        click.echo(f"resolution {report.resolution}: the smallest image is {report.smallest!r}", err=True)
    for what, count in sorted(report.conversions.items()):
        if what == DARK:
            click.echo(
                f"warning: {count} 16-bit images are dark: no value is above a quarter of the range; "
                "if they hold 12-bit values, use --bit-depth 12",
                err=True,
            )
        else:
            click.echo(f"converted: {count} {what}", err=True)
    if report.cropped:
        most = f"up to {report.cropped_most:.0%} of a side"
        click.echo(f"cropped: {report.cropped} to a square ({most}); --fit pad keeps all of them", err=True)
    if report.others:
        others = [(name, "not an image by its suffix") for name in report.others]
        click.echo(f"left out {len(others)} other files:\n{list_files(others, limit=3)}", err=True)
    if report.bad:
        click.echo(f"left out {len(report.bad)} bad files:\n{list_files(report.bad, limit=len(report.bad))}", err=True)
    labels = f" with {report.label_dim} labels" if report.label_dim else ""
    size = f"{report.resolution}x{report.resolution}"
    click.echo(f"wrote {report.images} images of {size}{labels} to {out.resolve()}")

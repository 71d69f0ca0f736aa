"""stylegan video: walks between seeds as MP4, GIF or WebP."""

from pathlib import Path
from typing import Any

import click

from stylegan.cli.arguments import recorded
from stylegan.cli.faces import load_latents
from stylegan.cli.options import (
    ModelOptions,
    choice_option,
    model_options,
    size_option,
    truncation_cutoff_option,
    truncation_psi_option,
)
from stylegan.cli.output import check_writable
from stylegan.cli.photos import Photos, faces_options
from stylegan.cli.types import LayersType, SeedsType
from stylegan.latents.ranges import SeedRanges
from stylegan.runtime.choices import Easing, NoiseKind, Space


@click.command()
@click.option(
    "--seeds",
    "--seed",
    type=SeedsType(),
    multiple=True,
    default=["1,5,9"],
    show_default=True,
    metavar="SEEDS",
    help="Seeds to walk through, such as 1,5,9; repeat the option for a grid of walks.",
)
@faces_options("Walk through the faces of a file from `stylegan project` instead of seeds.")
@click.option(
    "--audio",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="SONG",
    help="Move in time with a song (.mp3, .wav...), which is added to the .mp4. Needs the extra `video`.",
)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Length.  [default: 12, or the song's]")
@click.option("--fps", type=float, default=30.0, show_default=True, help="Frames per second.")
@choice_option("--space", Space, "w", "Straight lines in w, or great circles in z.")
@choice_option("--easing", Easing, "smooth", "Slower near each seed, equal times between seeds, or constant speed.")
@click.option("--loop/--no-loop", default=True, show_default=True, help="Return seamlessly to the first seed.")
@click.option("--layers", type=LayersType(), help="Only these layers walk: a band, 6, 4:8 or 0,3,5.  [default: all]")
@click.option("--base-seeds", type=SeedsType(), help="Seeds between which the other layers walk.  [default: stay]")
@truncation_psi_option
@truncation_cutoff_option
@click.option("--breathe-to", type=float, metavar="PSI", help="Swing from --truncation-psi to this and back.")
@click.option("--breaths", type=click.IntRange(min=1), default=1, show_default=True, help="Number of swings.")
@choice_option("--noise", NoiseKind, "const", "The model's own, smoothly changing, or none.")
@click.option(
    "--noise-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the smooth noise."
)
@click.option(
    "--noise-turns", type=click.IntRange(min=1), default=1, show_default=True, help="Its speed: total number of turns."
)
@click.option("--columns", type=click.IntRange(min=1), help="Walks per row of the grid.  [default: nearly square]")
@size_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A .webp, .gif or .mp4 file; MP4 needs PyAV, the extra `video`.  [default: video.webp, or .mp4 with --audio]",
)
@model_options
def video(
    seeds: tuple[SeedRanges, ...],
    latents: Path | Photos | None,
    audio: Path | None,
    seconds: float | None,
    fps: float,
    base_seeds: SeedRanges | None,
    truncation_psi: float | None,
    out: Path | None,
    options: ModelOptions,
    **walk: Any,
) -> None:
    """Write a video that walks from seed to seed in a loop, or from PHOTO to PHOTO.

    Photos are cropped to their faces and encoded at once; `stylegan project` takes longer and gets closer to them.

    \b
    Examples:
      stylegan video --seeds 1,5,9 --seconds 12 --fps 30 --out faces.mp4
      stylegan video --seeds 1,5,9 --seeds 2,6,8 --noise smooth --out two.webp
      stylegan video --seeds 3-6 --layers fine --base-seeds 8 --seconds 6 --fps 20 --out colours.gif
      stylegan video photo1.jpg photo2.jpg
      stylegan video --latents run/latents.safetensors --out friends.webp
      stylegan video --audio song.mp3 --seeds 1,5,9,14 --out song.mp4
      stylegan video --seeds 4 --truncation-psi 1 --breathe-to -1 --out breathe.webp
      stylegan video --model animals.safetensors --seeds 4,4,4 --label cat,dog,fox --out classes.webp
    """
    from stylegan import animation
    from stylegan.animation.video import check_video
    from stylegan.runtime.checks import check_number

    if out is None:
        out = Path("video.webp" if audio is None else "video.mp4")
    check_video(out, fps, has_sound=audio is not None)
    if seconds is not None:
        check_number(seconds, what="--seconds", low=0, high=86_400)  # A day.
    check_writable(out)
    music = None if audio is None else animation.listen(audio, seconds=seconds)
    if seconds is None:
        seconds = 12.0 if music is None else music.seconds
    G = options.load()
    loaded, kept = (None, {}) if latents is None else load_latents(G, latents, label=options.label)
    ws = None if loaded is None else loaded.ws
    if truncation_psi is None:
        truncation_psi = 0.7 if ws is None else 1.0
    frames = animation.interpolate(
        G,
        None if ws is not None else seeds,
        ws=ws,
        num_frames=max(1, round(seconds * fps)),
        base_seeds=None if base_seeds is None else list(base_seeds),
        truncation_psi=truncation_psi,
        music=music,
        labels=options.label,
        batch_size=options.batch_size,
        **walk,
    )
    frames.settings |= {"fps": fps, **recorded(), **kept}
    animation.save_video(frames, out, fps=fps, audio=audio)
    over = ", composited over white" if G.img_channels in (2, 4) else ""
    click.echo(f"wrote {len(frames)} frames{over}, {len(frames) / fps:g} s, to {out.resolve()}")

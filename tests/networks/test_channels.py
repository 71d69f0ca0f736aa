"""Images of 1 to 4 channels in every verb and command: alpha is kept, or laid over white aloud, and never dropped."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

from stylegan import Generator, animation, figures, grid, images
from stylegan.demo.studio import Look, Studio
from stylegan.errors import InputError
from stylegan.images.decoding import MODES
from stylegan.jobs import Job, write_folder, write_tars
from stylegan.latents.ranges import SeedRanges
from stylegan.metrics.images import Images
from stylegan.projection import load_photo, project
from stylegan.runtime.choices import RenderPath

from ..conftest import FAST_PATHS, ok, tiny_generator
from ..projection.conftest import Blocks

ALPHA = [2, 4]


@pytest.fixture(scope="module", params=MODES, ids=list(MODES.values()))
def G(request: pytest.FixtureRequest) -> Generator:
    return tiny_generator(img_channels=request.param)


@pytest.fixture(scope="module", params=ALPHA, ids=["LA", "RGBA"])
def with_alpha(request: pytest.FixtureRequest) -> Generator:
    return tiny_generator(img_channels=request.param)


def over_white(pixels: np.ndarray) -> np.ndarray:
    """What [..., 2 or 4] of uint8 looks like on white, float [..., 1 or 3]."""
    colour, alpha = pixels[..., :-1].astype(float), pixels[..., -1:] / 255
    return colour * alpha + 255 * (1 - alpha)


def test_samples_have_the_mode_and_the_values_of_the_channels(G: Generator) -> None:
    image = G.sample(seeds=[3])[0]
    array = G.sample(seeds=[3], output_type="np")[0]
    assert image.mode == MODES[G.img_channels]
    np.testing.assert_array_equal(np.asarray(image).reshape(array.shape), array)
    assert image.info["seed"] == "3"


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_every_path_computes_any_number_of_channels(path: RenderPath, channels: int) -> None:
    G = tiny_generator(img_channels=channels)
    images = []
    paths: list[RenderPath] = ["plain", path]
    for G.path in paths:
        images.append(G.sample(3, output_type="pt"))
    assert images[0].shape == (3, channels, 16, 16)
    torch.testing.assert_close(images[1], images[0], rtol=1e-4, atol=1e-4)


def test_more_channels_give_arrays_and_pil_says_why_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    G = tiny_generator(img_channels=5)
    assert G.sample(2, output_type="np").shape == (2, 16, 16, 5)
    monkeypatch.setattr(G.synthesis, "forward", None)  # It is said before anything is computed.
    calls: list[Callable[[], object]] = [
        lambda: G.sample(2),
        lambda: G.render(G.ws([1, 2])),
        lambda: images.to_pil(torch.zeros(1, 5, 8, 8)),
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"PIL has no images of 5 channels.*'np' or 'pt'"):
            call()


def test_files_keep_the_model(G: Generator, tmp_path: Path) -> None:
    G.save(tmp_path / "m.safetensors")
    loaded = Generator.from_pretrained(tmp_path / "m.safetensors")
    assert loaded.sample(1)[0].tobytes() == G.sample(1)[0].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_saved_pictures_keep_alpha(G: Generator, tmp_path: Path, suffix: str) -> None:
    image = G.sample(1)[0]
    images.save(image, tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as read:
        assert (read.mode, read.tobytes()) == (image.mode, image.tobytes())


def test_webp_keeps_alpha(with_alpha: Generator) -> None:
    image = with_alpha.sample(1)[0]
    with Image.open(io.BytesIO(images.encode(image, ".webp"))) as read:
        assert read.getchannel("A").tobytes() == image.getchannel("A").tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".bmp", ".gif", ".ppm"])
def test_formats_without_alpha_are_refused_for_alpha(with_alpha: Generator, tmp_path: Path, suffix: str) -> None:
    image = with_alpha.sample(1)[0]
    with pytest.raises(InputError, match=r"does not keep the alpha of .* use .png or .webp"):
        images.save(image, tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())
    images.save(images.opaque(image), tmp_path / f"a{suffix}")


def test_opaque_is_the_image_on_white_and_keeps_its_settings(with_alpha: Generator) -> None:
    image = with_alpha.sample(seeds=[3])[0]
    flat = images.opaque(image)
    assert (flat.mode, flat.info["seed"]) == (image.mode[:-1], "3")
    pixels = np.asarray(flat).reshape(16, 16, -1)
    assert np.abs(pixels - over_white(np.asarray(image))).max() <= 1
    assert images.opaque(flat) is flat


def test_as_rgb_is_the_image_on_white(G: Generator) -> None:
    img = G.sample(2, output_type="pt").clamp(-1, 1)
    rgb = images.as_rgb(img)
    assert rgb.shape == (2, 3, 16, 16)
    pixels = images.to_numpy(img)
    expected = over_white(pixels) if G.img_channels in ALPHA else pixels
    assert np.abs(images.to_numpy(rgb) - expected).max() <= 2


def test_grids_and_sizes_keep_alpha(with_alpha: Generator) -> None:
    tiles = with_alpha.sample(2)
    picture = grid(tiles, columns=2, padding=2, row_headings=["one"])
    assert picture.mode == "RGBA"
    box = (picture.width - 16, 0, picture.width, 16)
    assert picture.crop(box).tobytes() == tiles[1].convert("RGBA").tobytes()
    assert picture.getpixel((picture.width - 17, 0)) == (255, 255, 255, 255)  # Between the two.
    assert images.resize(tiles[0], 32).mode == images.resize(tiles[0], 8).mode == tiles[0].mode


# Videos, figures, metrics, projection, jobs, demo


def test_videos_show_what_is_transparent_on_white(with_alpha: Generator, tmp_path: Path) -> None:
    frames = with_alpha.sample(2)
    # Of one colour, which GIF has no trouble with: half transparent black.
    half = Image.new(frames[0].mode, (16, 16), (0,) * (len(frames[0].getbands()) - 1) + (128,))
    animation.save_video([half, half], tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as video:
        assert np.abs(np.asarray(video.convert("RGB")).astype(int) - 127).max() <= 4
    animation.save_video(with_alpha.sample(2, output_type="np"), tmp_path / "b.webp")
    animation.save_video(animation.interpolate(with_alpha, [0, 1], num_frames=2), tmp_path / "c.webp")


def test_frames_may_be_arrays_of_any_channels(G: Generator, tmp_path: Path) -> None:
    animation.save_video(G.sample(2, output_type="np"), tmp_path / "a.webp")
    with pytest.raises(InputError, match="1 to 4"):
        animation.save_video([np.zeros((8, 8, 5), np.uint8)], tmp_path / "b.webp")


def test_figures_show_what_is_transparent_on_white(with_alpha: Generator) -> None:
    figure = figures.truncation(with_alpha, seeds=[1], truncation_psi=[1.0], size=16)
    assert figure.mode == "RGB"
    shown = np.asarray(images.opaque(with_alpha.sample(seeds=[1], truncation_psi=1.0)[0]).convert("RGB"))
    places = np.lib.stride_tricks.sliding_window_view(np.asarray(figure), shown.shape)
    assert (places == shown).all(axis=(3, 4, 5)).any()


@pytest.mark.parametrize(
    ("draw", "options"),
    [
        (figures.style_mixing, {"sources_a": [1], "coarse": [2], "middle": [3], "fine": [4]}),
        (figures.noise_examples, {"seeds": [1], "realizations": 4}),
        (figures.noise_layers, {"seeds": [1]}),
        (figures.uncurated, {}),
    ],
    ids=["style_mixing", "noise_examples", "noise_layers", "uncurated"],
)
def test_every_figure_is_drawn_of_any_channels(
    G: Generator, draw: Callable[..., Image.Image], options: dict[str, object]
) -> None:
    assert draw(G, size=32, **options).mode == "RGB"


def test_metrics_see_rgb(G: Generator) -> None:
    assert Images(G).images([0, 1]).shape == (2, 3, 16, 16)


def test_projection_fits_all_channels(G: Generator, tmp_path: Path) -> None:
    target = G.sample(seeds=[5])[0]
    images.save(target, tmp_path / "photo.png")
    photo = load_photo(tmp_path / "photo.png", channels=4 if G.img_channels in ALPHA else 3)
    result = project(photo, G, extractor=Blocks(), steps=2, progress=False)
    assert np.abs(images.to_numpy(result.target)[0] - np.asarray(target).reshape(16, 16, -1).astype(int)).max() <= 1
    assert result.img.shape == result.target.shape


def test_jobs_write_png_with_alpha_and_refuse_jpeg(with_alpha: Generator, tmp_path: Path) -> None:
    job = Job(G=with_alpha)
    write_folder(job, [1], tmp_path / "folder")
    with Image.open(tmp_path / "folder" / "seed0001.png") as image:
        assert image.mode == MODES[with_alpha.img_channels]
    write_tars(job, SeedRanges.parse("1"), tmp_path / "tars")
    with pytest.raises(InputError, match="JPEG holds no alpha"):
        write_tars(job, SeedRanges.parse("1"), tmp_path / "jpegs", image_format="jpg")
    assert not (tmp_path / "jpegs").exists()


def test_the_demo_shows_alpha(with_alpha: Generator, tmp_path: Path) -> None:
    with_alpha.save(tmp_path / "m.safetensors")
    studio = Studio({"m": str(tmp_path / "m.safetensors")})
    for pictures in (studio.faces([1], Look("m")), studio.mix([1, 2], [0], Look("m"))):
        assert {picture.mode for picture in pictures} == {MODES[with_alpha.img_channels]}


# Commands


def test_commands_keep_alpha_or_refuse_before_the_work(run: Callable[..., Result], with_alpha: Generator) -> None:
    with_alpha.save("m.safetensors")
    model = ("--model", "m.safetensors")
    commands = [("sample", "--seeds", "0-1"), ("mix", "--columns", "0", "--rows", "1"), ("truncate", "--seeds", "0")]
    for name, *seeds in commands:
        ok(run(name, *seeds, *model, "--out", f"{name}.png"))
        assert Image.open(f"{name}.png").mode == "RGBA"
        result = run(name, *seeds, *model, "--out", f"{name}.jpg")
        assert result.exit_code == 1
        assert "JPEG does not keep the alpha" in result.output
        assert not Path(f"{name}.jpg").exists()
    ok(run("sample", "--seeds", "0", *model, "--out", "folder/"))
    assert Image.open("folder/seed0000.png").mode == MODES[with_alpha.img_channels]
    video = run("video", *model, "--seconds", "2", "--fps", "1", "--out", "v.webp")
    assert "2 frames, composited over white" in ok(video)
    ok(run("convert", "m.safetensors", "copy.safetensors"))
    ok(run("info", "copy.safetensors"))

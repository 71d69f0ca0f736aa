"""Files of moving pictures: what is in them, and what is left of them when something goes wrong."""

import gc
import itertools
import json
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageSequence

from stylegan import Generator, cli
from stylegan.animation import interpolate, save_video
from stylegan.errors import InputError
from stylegan.images.settings import recall, remember
from stylegan.latents.files import Latents

from ..conftest import ok

needs_av = pytest.mark.skipif(find_spec("av") is None, reason='PyAV is not installed: pip install "stylegan[video]"')
FORMATS = ["gif", "webp", pytest.param("mp4", marks=needs_av)]


def shades(n: int, size: tuple[int, int] = (48, 32)) -> Iterator[Image.Image]:
    """Frames that can be told apart: a gradient that gets redder."""
    x = np.linspace(0, 200, size[0], dtype=np.uint8)[None].repeat(size[1], axis=0)
    for i in range(n):
        red = np.full_like(x, 255 * i // max(1, n - 1))
        yield remember(Image.fromarray(np.stack([red, x, x // 2], axis=-1)), {"seed": 5, "note": "ä\n"})


def decoded(path: Path) -> list[np.ndarray]:
    if path.suffix == ".mp4":
        import av

        with av.open(str(path)) as container:
            return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_frame_arrives_in_its_size_order_and_colours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    save_video(shades(9), path, fps=10)
    frames = decoded(path)
    assert len(frames) == 9
    for frame, given in zip(frames, shades(9), strict=True):
        assert frame.shape == (32, 48, 3)
        assert abs(frame - np.asarray(given)).mean() < 4


@pytest.mark.parametrize("suffix", FORMATS)
def test_arrays_are_frames_too_grey_or_coloured(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    save_video([np.full((32, 48), 90, np.uint8), np.full((32, 48, 3), 180, np.uint8)], path)
    assert [round(frame.mean(), -1) for frame in decoded(path)] == [90, 180]


@pytest.mark.parametrize("fps", [7, 24, 29.97, 30])
@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_durations_add_up_to_the_rate(tmp_path: Path, suffix: str, fps: float) -> None:
    path = tmp_path / f"a.{suffix}"
    save_video(shades(31), path, fps=fps)
    durations = []
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()
            durations.append(frame.info["duration"])
    assert abs(sum(durations) - 31_000 / fps) <= (5 if suffix == "gif" else 0.5)
    assert max(durations) - min(durations) <= (10 if suffix == "gif" else 1)


@needs_av
@pytest.mark.parametrize(("fps", "rate"), [(24, 24), (29.97, 29.97), (12.5, 12.5)])
def test_mp4_is_what_players_expect(tmp_path: Path, fps: float, rate: float) -> None:
    import av

    path = tmp_path / "a.mp4"
    save_video(shades(31), path, fps=fps)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate or 0) == pytest.approx(rate)
        assert stream.frames == 31
        assert float((container.duration or 0) / av.time_base) == pytest.approx(31 / fps, abs=1e-3)
        times = [frame.time for frame in container.decode(video=0)]
    assert np.diff(times) == pytest.approx(1 / fps, abs=1e-3)
    # The index before the pictures: players can start before they have the whole file.
    assert path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")


@needs_av
@pytest.mark.parametrize("size", [(47, 31), (48, 31), (1, 1)])
def test_mp4_repeats_odd_edges(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.mp4"
    save_video(shades(3, size), path)
    for frame, given in zip(decoded(path), shades(3, size), strict=True):
        assert frame.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
        assert abs(frame[: size[1], : size[0]] - np.asarray(given)).mean() < 6


@pytest.mark.parametrize("suffix", FORMATS)
def test_settings_are_stored_where_the_format_has_a_place(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    save_video(shades(3), path)
    assert recall(path) == {"seed": "5", "note": "ä\n"}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_video_tells_its_model_and_all_its_settings(
    tiny: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.save("tiny.safetensors")
    arguments = "video --model tiny.safetensors --seeds 1,5 --seeds 2,6 --seconds 1 --fps 4 --easing linear --no-loop"
    arguments += " --layers 2:4 --base-seeds 8 --truncation-psi 0.9 --truncation-cutoff 3 --breathe-to -1 --breaths 2"
    arguments += f" --noise smooth --noise-seed 3 --noise-turns 2 --columns 1 --size 32 --out a.{suffix}"
    ok(CliRunner().invoke(cli.main, arguments.split()))
    told = recall(f"a.{suffix}")
    assert "--breathe-to=-1.0" in json.loads(told.pop("arguments"))
    G = Generator.from_pretrained("tiny.safetensors")
    known = G.provenance() | {"command": "video", "num_frames": "4", "fps": "4.0", "seeds": "[[1, 5], [2, 6]]"}
    known |= {"space": "w", "easing": "linear", "loop": "False", "layers": "2:4", "base_seeds": "[8]"}
    known |= {"truncation_psi": "0.9", "truncation_cutoff": "3", "breathe_to": "-1.0", "breaths": "2"}
    assert told == known | {"noise": "smooth", "noise_seed": "3", "noise_turns": "2", "columns": "1", "size": "32"}
    assert told["weights_sha256"] == tiny.weights_sha256


@pytest.mark.parametrize("suffix", FORMATS)
def test_videos_of_others_tell_nothing(tmp_path: Path, suffix: str) -> None:
    save_video([Image.new("RGB", (8, 8))], tmp_path / f"a.{suffix}")
    assert recall(tmp_path / f"a.{suffix}") == {}


def test_settings_of_an_mp4_need_pyav_and_an_mp4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(50))
    if find_spec("av"):
        with pytest.raises(InputError, match=r"a\.mp4: not a readable image"):
            recall(tmp_path / "a.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r'a\.mp4: the settings of an MP4 are read with PyAV .*"stylegan\[video\]"'):
        recall(tmp_path / "a.mp4")


def test_long_settings_fit_into_a_gif(tmp_path: Path) -> None:
    save_video([remember(Image.new("RGB", (8, 8)), {"seeds": list(range(500))})], tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        assert json.loads(image.info["comment"])["seeds"] == str(list(range(500)))


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_gif_and_webp_repeat_for_ever(tmp_path: Path, suffix: str) -> None:
    save_video(shades(3), tmp_path / f"a.{suffix}")
    assert Image.open(tmp_path / f"a.{suffix}").info["loop"] == 0


@pytest.mark.parametrize("suffix", FORMATS)
def test_few_frames_are_in_memory_and_the_file_grows_on_the_way(tmp_path: Path, suffix: str) -> None:
    made: list[weakref.ref[Image.Image]] = []
    most, sizes = 0, []

    def frames() -> Iterator[Image.Image]:
        nonlocal most
        noise = np.random.RandomState(0)
        for _ in range(300):
            image = Image.fromarray(noise.randint(0, 255, (64, 64, 3), np.uint8))
            made.append(weakref.ref(image))
            most = max(most, sum(frame() is not None for frame in made))
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            yield image
            del image

    gc.disable()
    try:
        save_video(frames(), tmp_path / f"a.{suffix}")
    finally:
        gc.enable()
    assert most <= 5
    assert sizes[150] > 0.3 * (tmp_path / f"a.{suffix}").stat().st_size


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("suffix", FORMATS)
def test_an_interrupted_video_leaves_what_was_there_before(tmp_path: Path, suffix: str, error: type[Any]) -> None:
    def frames() -> Iterator[Image.Image]:
        yield from shades(3)
        raise error

    path = tmp_path / f"a.{suffix}"
    for before in (None, b"before"):
        if before:
            path.write_bytes(before)
        with pytest.raises(error):
            save_video(frames(), path)
        assert [file.read_bytes() for file in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.parametrize(
    ("frames", "name", "fps", "message"),
    [
        ([], "a.gif", 30, "at least one frame"),
        (itertools.chain(shades(2), shades(1, (8, 8))), "a.webp", 30, "one size"),
        (shades(2), "a.avi", 30, "unknown kind of video"),
        (shades(2), "a.gif", 60, "50 frames a second"),
        (shades(2), "a.webp", 0, "fps must be"),
        (shades(2), "a.webp", float("nan"), "fps must be"),
        (shades(1, (20000, 1)), "a.gif", 30, "16383 pixels"),
        ([np.zeros((8, 8, 3))], "a.gif", 30, "uint8"),
        ([np.zeros((8, 8, 5), np.uint8)], "a.gif", 30, "uint8"),
    ],
)
def test_what_is_no_video_is_an_error_and_leaves_nothing(
    tmp_path: Path, frames: Any, name: str, fps: float, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        save_video(frames, tmp_path / name, fps=fps)
    assert not os.listdir(tmp_path)


def test_without_pyav_the_error_comes_before_the_first_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    frames = shades(2)
    with pytest.raises(InputError, match=r'pip install "stylegan\[video\]".*\.gif and \.webp'):
        save_video(frames, tmp_path / "a.mp4")
    assert len(list(frames)) == 2


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e9"])
def test_a_video_without_end_is_refused(seconds: str) -> None:
    result = CliRunner().invoke(cli.main, ["video", "--seconds", seconds, "--out", "a.webp"])
    assert result.exit_code == 1
    assert "--seconds must be a number from 0 to 86400" in result.output


@pytest.fixture
def run(tiny: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    tiny.save("tiny.safetensors")
    common = ["video", "--model", "tiny.safetensors"]
    return lambda *arguments: CliRunner().invoke(cli.main, [*common, *map(str, arguments)])


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_command_writes_what_the_function_shows(run: Callable[..., Result], tmp_path: Path, suffix: str) -> None:
    result = run("--seeds", "3,4", "--seeds", "5", "--seconds", 0.5, "--fps", 20, "--out", f"a.{suffix}", "--size", 64)
    assert result.exit_code == 0, result.output
    assert str(tmp_path / f"a.{suffix}") in result.output
    expected = list(interpolate(Generator.from_pretrained("tiny.safetensors"), [[3, 4], [5]], num_frames=10, size=64))
    for frame, image in zip(decoded(tmp_path / f"a.{suffix}"), expected, strict=True):
        assert abs(frame[: image.height, : image.width] - np.asarray(image)).mean() < 15


def test_options_of_the_command_reach_the_walk(run: Callable[..., Result], tmp_path: Path) -> None:
    options: list[object] = [
        "--space",
        "z",
        "--easing",
        "linear",
        "--no-loop",
        "--layers",
        "0,1",
        "--base-seeds",
        "7,8",
    ]
    options += ["--truncation-psi", 0.9, "--truncation-cutoff", 4, "--breathe-to", 0.1, "--breaths", 2]
    options += ["--noise", "smooth", "--noise-seed", 3, "--noise-turns", 2, "--size", 64]
    result = run("--seeds", "3,4", "--seconds", 1, "--fps", 6, *options)
    assert result.exit_code == 0, result.output
    expected = interpolate(
        Generator.from_pretrained("tiny.safetensors"),
        [3, 4],
        num_frames=6,
        space="z",
        easing="linear",
        loop=False,
        layers=[0, 1],
        base_seeds=[7, 8],
        truncation_psi=0.9,
        truncation_cutoff=4,
        breathe_to=0.1,
        breaths=2,
        noise="smooth",
        noise_seed=3,
        noise_turns=2,
        size=64,
    )
    with Image.open("video.webp") as image:
        stored = json.loads(image.getexif()[0x010E])
    assert "--space=z" in json.loads(stored.pop("arguments"))
    expected.settings |= {"command": "video", "fps": 6.0}
    assert stored == {key: str(value) for key, value in expected.settings.items()}
    for frame, made in zip(decoded(tmp_path / "video.webp"), expected, strict=True):
        assert abs(frame - np.asarray(made)).mean() < 8


def test_the_command_walks_through_the_latents_of_a_file(
    run: Callable[..., Result], tmp_path: Path, tiny: Generator
) -> None:
    Latents.of(tiny, tiny.ws([3, 4], truncation_psi=1)).save("latents.safetensors")
    options = ["--latents", "latents.safetensors", "--seconds", 1, "--fps", 6, "--size", 64]
    result = run(*options, "--truncation-psi", 0.7)
    assert result.exit_code == 0, result.output
    for frame, image in zip(decoded(tmp_path / "video.webp"), interpolate(tiny, [3, 4], num_frames=6), strict=True):
        assert abs(frame - np.asarray(image.resize((64, 64)))).mean() < 8
    result = run(*options, "--seeds", "3")
    assert result.exit_code == 1
    assert "both choose the faces" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a.avi"], "use .mp4, .gif, .webp"),
        (["--out", "a.gif", "--fps", 60], "50 frames a second"),
        (["--out", "file/a.webp"], "cannot write"),
        (["--base-seeds", "3"], "give layers"),
    ],
)
def test_errors_of_the_command_are_one_line_before_the_work(
    run: Callable[..., Result], arguments: list[Any], message: str
) -> None:
    Path("file").touch()
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.output.strip().splitlines()[-1]
    assert sorted(os.listdir()) == ["file", "tiny.safetensors"]

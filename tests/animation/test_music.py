"""Walks in time with a song: what is heard of it, how walks follow, and the sound of the film."""

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

from stylegan import Generator, animation, cli
from stylegan.animation.music import Music, dance, onsets
from stylegan.errors import InputError
from stylegan.images import recall

from ..conftest import ok, tiny_generator

av = pytest.importorskip("av", reason='PyAV is not installed: pip install "stylegan[video]"')

RATE = 44_100
BEATS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def tone(seconds: float, volume: float) -> np.ndarray:
    return volume * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE)) / RATE)


def song() -> np.ndarray:
    """Four seconds: a soft tone, louder in the second half, with short drum-like sounds every half a second."""
    x = np.concatenate([tone(2, 0.05), tone(2, 0.4)])
    noise = np.random.RandomState(0).uniform(-1, 1, RATE // 20) * np.linspace(1, 0, RATE // 20) ** 2
    for beat in BEATS:
        start = round(beat * RATE)
        x[start : start + len(noise)] += 0.5 * noise
    return x


def write_wav(path: Path, x: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((x.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("songs") / "song.wav", song())


@pytest.fixture(scope="module")
def mp3(wav: Path) -> Path:
    if "libmp3lame" not in av.codecs_available:
        pytest.skip("PyAV cannot write mp3 here")
    path = wav.with_suffix(".mp3")
    with av.open(str(wav)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="mono")
        for frame in source.decode(audio=0):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def G() -> Generator:
    return tiny_generator()


@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_length_loudness_and_beats_are_heard(kind: str, request: pytest.FixtureRequest) -> None:
    music = animation.listen(request.getfixturevalue(kind))
    assert music.seconds == pytest.approx(4, abs=0.1)
    quiet, loud = music.loudness[30:170].mean(), music.loudness[230:370].mean()
    assert quiet < 0.5 * loud
    assert music.loudness.min() >= 0
    assert music.loudness.max() <= 1
    for beat in BEATS:
        assert (music.onsets - beat).abs().min() < 0.06, beat
    # Besides the beats, there are the start of the tone and its rise.
    assert len(music.onsets) <= len(BEATS) + 2


def test_a_part_is_heard_alone_and_what_is_missing_is_silence(wav: Path) -> None:
    assert animation.listen(wav, seconds=1.25).seconds == 1.25
    longer = animation.listen(wav, seconds=6)
    assert longer.seconds == 6
    assert longer.loudness[450:].max() == 0


def test_silence_has_no_onsets() -> None:
    assert len(onsets(torch.zeros(16_000))) == 0
    assert len(onsets(torch.zeros(3))) == 0


def music_of(loudness: list[float], onset_times: list[float], seconds: float = 4.0) -> Music:
    level = torch.tensor(loudness).double().repeat_interleave(round(100 * seconds) // len(loudness))
    return Music(Path("song.wav"), seconds, level, torch.tensor(onset_times).double())


def positions(walk: Callable[[Tensor], Tensor], times: Tensor) -> tuple[Tensor, Tensor]:
    """Where the coarse and the fine layers are."""
    ws = walk(times)
    return ws[:, 0, 0], ws[:, -1, 0]


def line(G: Generator) -> Callable[[Tensor], Tensor]:
    """A walk whose styles are its time."""
    return lambda times: times.float()[:, None, None].expand(-1, G.num_ws, G.w_dim)


def test_a_walk_is_faster_where_louder_and_ends_at_its_end(G: Generator) -> None:
    walk = dance(G, line(G), music_of([0, 1], []), stops=1, loop=False)
    coarse, fine = positions(walk, torch.linspace(0, 1, 5).double())
    torch.testing.assert_close(coarse, torch.tensor([0, 0.15 / 2.3, 0.3 / 2.3, 1.3 / 2.3, 1]))
    torch.testing.assert_close(fine, coarse)


def test_fine_layers_go_on_at_onsets_and_stay_between(G: Generator) -> None:
    walk = dance(G, line(G), music_of([1], [1.0, 2.0]), stops=1, loop=False)
    coarse, fine = positions(walk, torch.tensor([0, 0.9, 1.2, 1.9, 2.3, 4]).double() / 4)
    torch.testing.assert_close(fine, torch.tensor([0, 0, 0.5, 0.5, 1, 1]))
    torch.testing.assert_close(coarse, torch.tensor([0, 0.9, 1.2, 1.9, 2.3, 4]) / 4)


def test_a_loop_comes_round_whole_times(G: Generator) -> None:
    walk = animation.seed_walk(G, [1, 5])
    for seconds, times_round in ((4.0, 1), (15.0, 2)):
        moved = dance(G, walk, music_of([0.2, 1], [0.7, 1.1, 3.0], seconds), stops=2, loop=True)
        start, end = moved(torch.tensor([0.0, 1.0]))
        torch.testing.assert_close(start, end, rtol=0, atol=1e-4)
        torch.testing.assert_close(start[None], G.ws([1], truncation_psi=1), rtol=0, atol=1e-4)
        coarse = dance(G, line(G), music_of([1], [], seconds), stops=2, loop=True)(torch.linspace(0, 1, 400))[:, 0, 0]
        assert (coarse.diff() < -0.5).sum() == times_round


def video(*arguments: object, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.chdir(cwd)
    return CliRunner().invoke(cli.main, ["video", "--fps", "10", "--size", "16", *map(str, arguments)])


def test_the_command_writes_a_film_with_the_sound_of_the_song(
    G: Generator, wav: Path, mp3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    G.save(tmp_path / "tiny.safetensors")
    options = ["--model", "tiny.safetensors", "--seeds", "1,5"]
    ok(video(*options, "--audio", wav, cwd=tmp_path, monkeypatch=monkeypatch))
    ok(video(*options, "--audio", mp3, "--seconds", "2", "--out", "b.mp4", cwd=tmp_path, monkeypatch=monkeypatch))
    for name, seconds in (("video.mp4", 4), ("b.mp4", 2)):
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].frames == 10 * seconds
            assert container.streams.audio[0].codec_context.name == "aac"
        heard = animation.listen(tmp_path / name)
        assert heard.seconds == pytest.approx(seconds, abs=0.1)
        for beat in (beat for beat in BEATS if beat < seconds):
            assert (heard.onsets - beat).abs().min() < 0.06, beat
    assert recall(tmp_path / "video.mp4")["music"] == "song.wav"
    again = ok(CliRunner().invoke(cli.main, ["remake", "video.mp4", "--model", "tiny.safetensors", "--file", str(wav)]))
    assert "bit for bit" in again


def test_the_same_seeds_and_song_give_the_same_frames(G: Generator, wav: Path) -> None:
    def frames() -> list[np.ndarray]:
        walk = animation.interpolate(G, [1, 5], num_frames=8, music=animation.listen(wav))
        return [np.asarray(frame) for frame in walk]

    assert all(np.array_equal(a, b) for a, b in zip(frames(), frames(), strict=True))


def silent_film(path: Path) -> Path:
    animation.save_video([np.zeros((16, 16, 3), np.uint8)] * 3, path, fps=10)
    return path


def test_what_has_no_sound_is_refused_before_a_model_is_loaded(
    wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.mp3").write_text("no song")
    cases = [(silent_film(tmp_path / "silent.mp4"), "has no sound"), (tmp_path / "text.mp3", "cannot be decoded")]
    cases += [(write_wav(tmp_path / "empty.wav", np.zeros(0)), "has no sound|cannot be decoded")]
    for path, message in cases:
        with pytest.raises(InputError, match=message):
            animation.listen(path)
        result = video("--model", "none", "--audio", path, "--out", "a.mp4", cwd=tmp_path, monkeypatch=monkeypatch)
        assert result.exit_code == 1
        assert not (tmp_path / "a.mp4").exists()
    result = video("--audio", wav, "--out", "a.webp", cwd=tmp_path, monkeypatch=monkeypatch)
    assert ".webp has no sound; write an .mp4 file" in result.output
    with pytest.raises(InputError, match="has no sound"):
        animation.save_video([np.zeros((16, 16, 3), np.uint8)], tmp_path / "a.mp4", audio=tmp_path / "silent.mp4")
    assert not (tmp_path / "a.mp4").exists()

"""Progress bars: moving on a terminal, lines in the log of a command, nothing in a script's."""

import pytest

from stylegan.runtime.progress import in_lines, progress_bar, start_at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that tqdm reads."""
    now = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


def run(clock: list[float], seconds: int) -> None:
    with progress_bar(total=100, unit="step", hidden=None) as bar:
        for _ in range(seconds):
            clock[0] += 1
            bar.update()


def test_a_command_without_a_terminal_writes_lines(clock: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    with in_lines():
        run(clock, 95)
    said = capfd.readouterr().err
    assert "\r" not in said
    lines = said.splitlines()
    assert [line.split("%")[0].strip() for line in lines] == ["30", "60", "90"]
    assert "30/100 [00:30<01:10" in lines[0]


def test_a_short_command_and_a_script_say_nothing(clock: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    with in_lines():
        run(clock, 20)
    run(clock, 95)
    assert capfd.readouterr().err == ""


def test_a_continued_bar_tells_the_time_of_the_rest(clock: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    with in_lines(), progress_bar(total=100, unit="step", hidden=None) as bar:
        clock[0] += 10  # Reads its checkpoint.
        start_at(bar, 40)
        for _ in range(45):
            clock[0] += 1
            bar.update()
    assert "70/100 [00:30<00:30" in capfd.readouterr().err


def test_what_is_hidden_stays_hidden(clock: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    with in_lines(), progress_bar(range(3), hidden=True) as bar:
        for _ in bar:
            clock[0] += 60
    assert capfd.readouterr().err == ""

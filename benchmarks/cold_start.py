"""From a cold start to the first image: python -m benchmarks.cold_start

Each step runs in its own process, the steps in turn, round after round, so that whatever else the machine does hits
them alike; the medians are printed as a table. What `import torch` takes is nobody's to change here: the last column is
what comes on top. Files are in the system's cache after the first round. For what the imports are:
python -X importtime -c "import stylegan.cli".
"""

import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import torch

SAMPLE = ("-m", "stylegan", "sample", "--out", "picture.png", "--seeds")
STEPS = {
    "python -c pass": ("-c", "pass"),
    "import torch": ("-c", "import torch"),
    "import stylegan": ("-c", "import stylegan"),
    "stylegan --version": ("-m", "stylegan", "--version"),
    "stylegan sample --seeds 0": (*SAMPLE, "0"),
    "stylegan sample (32 images)": (*SAMPLE, "0-31"),
}


@click.command()
@click.option("--rounds", default=5, show_default=True)
def main(rounds: int) -> None:
    """Measure cold starts."""
    seconds: dict[str, list[float]] = {name: [] for name in STEPS}
    with tempfile.TemporaryDirectory() as folder:
        for name in list(STEPS) + list(STEPS) * rounds:
            begun = time.perf_counter()
            subprocess.run([sys.executable, *STEPS[name]], check=True, capture_output=True, cwd=folder)
            seconds[name].append(time.perf_counter() - begun)
        assert (Path(folder) / "picture.png").exists()
    medians = {name: statistics.median(measured[1:]) for name, measured in seconds.items()}  # The first one warms up.
    click.echo(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, {rounds} rounds\n")
    click.echo("| | s | beyond `import torch` |\n|---|---|---|")
    for name, median in medians.items():
        click.echo(f"| `{name}` | {median:.2f} | {max(0.0, median - medians['import torch']):.2f} |")


if __name__ == "__main__":
    main()

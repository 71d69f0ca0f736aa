"""The plot of a run's log."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from .. import images

# The fields that are drawn, and their colours.
LOSSES = {"D_loss": "#1f77b4", "G_loss": "#d62728", "r1": "#2ca02c", "D_real": "#9467bd", "D_fake": "#8c564b"}
_WIDTH, _HEIGHT, _MARGIN = 960, 480, 64


def plot_curves(entries: list[dict[str, Any]], path: Path) -> None:
    """Draw the losses over thousands of images, with a line where the resolution changes."""
    curves = {name: [(e["kimg"], e[name]) for e in entries if e.get(name) is not None] for name in LOSSES}
    curves = {name: points for name, points in curves.items() if len(points) > 1}
    if not curves:
        return
    every = [point for points in curves.values() for point in points]
    x0, x1 = min(x for x, _ in every), max(x for x, _ in every)
    # Outliers must not flatten the curves.
    ys = sorted(y for _, y in every)
    y0, y1 = ys[len(ys) // 100], ys[-1 - len(ys) // 100]
    if x1 <= x0 or y1 <= y0:
        return

    def place(x: float, y: float) -> tuple[float, float]:
        y = min(max(y, y0), y1)
        return (
            _MARGIN + (x - x0) / (x1 - x0) * (_WIDTH - 2 * _MARGIN),
            _HEIGHT - _MARGIN - (y - y0) / (y1 - y0) * (_HEIGHT - 2 * _MARGIN),
        )

    canvas = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=13)
    draw.rectangle([place(x0, y1), place(x1, y0)], outline="#bbbbbb")
    for before, entry in pairwise(entries):
        if entry.get("resolution") != before.get("resolution"):
            draw.line([place(entry["kimg"], y0), place(entry["kimg"], y1)], fill="#dddddd")
            draw.text(place(entry["kimg"], y1), f"{entry.get('resolution')}", fill="#888888", font=font, anchor="lb")
    for i, (name, points) in enumerate(curves.items()):
        draw.line([place(x, y) for x, y in _thin(points)], fill=LOSSES[name], width=2)
        draw.text((_MARGIN + 90 * i, 6), name, fill=LOSSES[name], font=font)
    draw.text((_WIDTH / 2, _HEIGHT - 8), "thousands of images", fill="black", font=font, anchor="ms")
    for x, y, anchor in ((x0, y0, "lt"), (x1, y0, "rt")):
        px, py = place(x, y)
        draw.text((px, py + 6), f"{x:g}", fill="black", font=font, anchor=anchor)
    for y in (y0, y1):
        px, py = place(x0, y)
        draw.text((px - 4, py), f"{y:.3g}", fill="black", font=font, anchor="rm")
    images.save(canvas, path)


def _thin(points: list[tuple[float, float]], limit: int = 400) -> list[tuple[float, float]]:
    """At most `limit` points, by averaging neighbours."""
    size = -(-len(points) // limit)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]

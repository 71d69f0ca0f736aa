"""What articles say about StyleGAN: the images of docs/paper.md that no command of the library makes.

    python examples/paper.py KIND [--model NAME] --out IMAGE

Most of them compute the steps after each convolution differently from training: `Epilogue`.
The file is long because each statement has its own function.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stylegan import Generator, grid, images
from stylegan.figures import layout
from stylegan.networks import ops
from stylegan.networks.layers import Modules, SynthesisLayer, activate
from stylegan.weights.manifest import DEFAULT_MODEL

Norm = Literal["instance", "batch", "none"]
Cells = list[Image.Image]


class Epilogue(Modules):
    """The steps after a convolution, with another normalization, or with the noise after AdaIN.

    seen: takes the features before they are normalized. spike: added to all features at one place of each 32x32 layer,
    in their standard deviations.
    """

    def __init__(
        self,
        norm: Norm = "instance",
        *,
        noise_last: bool = False,
        seen: list[Tensor] | None = None,
        spike: float = 0.0,
    ):
        self.norm, self.noise_last, self.seen, self.spike = norm, noise_last, seen, spike

    def epilogue(self, layer: SynthesisLayer, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """Noise, bias, activation, normalization, style; for networks as the official code makes them."""
        assert layer.style is not None
        if noise is not None and layer.noise_strength is not None:
            noise = noise * layer.noise_strength[:, None, None]
            x = x if self.noise_last else x + noise
        x = activate(x + layer.bias[:, None, None], layer.nonlinearity)
        if self.seen is not None:
            self.seen.append(x)
        if self.spike and layer.resolution == 32:
            x = x.clone()
            x[:, :, 10, 26] += self.spike * x.std((2, 3))
        if self.norm == "instance":
            x = ops.instance_norm(x, layer.quirks.instance_norm_epsilon)
        elif self.norm == "batch":
            x = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, correction=0) + 1e-8).sqrt()
        scale, shift = layer.style(w)[:, :, None, None].chunk(2, dim=1)
        x = x * (scale + 1) + shift
        return x + noise if self.noise_last and noise is not None else x


@torch.no_grad()
def render(G: Generator, ws: Tensor, kernels: Epilogue, *, noise: Sequence[Tensor | None] | None = None) -> Tensor:
    """Images made with other steps than the network's own: [N, 3, H, W]."""
    synthesis = G.synthesis
    kept = synthesis.renderer, synthesis.kernels
    synthesis.renderer, synthesis.kernels = None, kernels
    try:
        img: Tensor = synthesis(ws, noise=noise)
    finally:
        synthesis.renderer, synthesis.kernels = kept
    return img


def norms(G: Generator) -> Image.Image:
    """Instance norm, as in AdaIN; statistics of the batch instead, in two batches; no normalization."""
    ws = G.ws([9, 6, 21, 2])
    others = G.ws([18, 23, 14])
    alone = [render(G, torch.cat([one, others]), Epilogue("batch"))[:1] for one in ws.split(1)]
    rows = {
        "instance norm": render(G, ws, Epilogue("instance")),
        "batch norm": render(G, ws, Epilogue("batch")),
        "in another batch": torch.cat(alone),
        "no norm": render(G, ws, Epilogue("none")),
    }
    return table({name: images.to_pil(img) for name, img in rows.items()}, [f"seed {s}" for s in (9, 6, 21, 2)])


def noise_order(G: Generator) -> Image.Image:
    """Noise before the activation and AdaIN, as the official code has it, and after AdaIN; what each adds, 4 times."""
    seeds = (6, 13)
    ws, maps = G.ws(seeds, truncation_psi=1), G.noise(0)
    nothing: list[Tensor | None] = [None] * len(maps)
    none = render(G, ws, Epilogue(), noise=nothing)
    rows: dict[str, Cells] = {"no noise": [], "before": [], "after": [], "before, x4": [], "after, x4": []}
    rows["no noise"] = images.to_pil(none)
    for name, last in (("before", False), ("after", True)):
        img = render(G, ws, Epilogue(noise_last=last), noise=maps)
        rows[name] = images.to_pil(img)
        rows[f"{name}, x4"] = images.to_pil(4 * (img - none).mean(1, keepdim=True).expand(-1, 3, -1, -1))
        click.echo(f"noise {name} AdaIN changes the images by {127.5 * (img - none).square().mean().sqrt():.2f} of 255")
    return table(
        dict(zip([f"seed {seed}" for seed in seeds], zip(*rows.values(), strict=True), strict=True)), list(rows)
    )


def noise_deviation(G: Generator, *, draws: int = 100) -> Image.Image:
    """Each pixel's deviation over draws of the noise in one layer, with the level shown white; then in all layers."""
    ws = G.ws([6], truncation_psi=1)
    shapes, count = G.synthesis.noise_shapes, G.synthesis.num_layers
    tiles, headings = [], []
    for layer in [*range(count), None]:
        shown = []
        for start in range(0, draws, 10):
            maps = G.noise(range(start, start + 10))
            noise = [one if layer in (i, None) else None for i, one in enumerate(maps)]
            with torch.no_grad():
                shown.append(G.synthesis(ws.expand(10, -1, -1), noise=noise).mean(1) * 127.5)
        deviation = torch.cat(shown).std(0)
        name = "all layers" if layer is None else f"{layer} ({shapes[layer][0]}x{shapes[layer][0]})"
        click.echo(f"{name}: {deviation.mean():.2f} of 255 on average, {deviation.max():.1f} at most")
        white = deviation.quantile(0.995)
        tiles.append(grey((deviation / white).clamp(max=1), G.img_resolution))
        headings.append(f"{name}: {white:.1f}")
    face = images.to_pil(G.synthesis(ws, noise_mode="none").detach())[0]
    return labelled([face, *tiles], ["no noise", *headings], columns=7)


def truncation_z(G: Generator) -> Image.Image:
    """Truncation in W; z shortened, which normalization undoes; z with numbers beyond 2 psi redrawn."""
    psis, seed = [1.0, 0.7, 0.5, 0.3, 0.1], 9
    z = G.z([seed])
    w = G.mapping(z)
    redrawn = []
    for psi in psis:
        narrow, state = z.clone(), torch.Generator().manual_seed(seed)
        while (outside := narrow.abs() > 2 * psi).any():
            narrow[outside] = torch.randn(int(outside.sum()), generator=state)
        redrawn.append(narrow)
    rows = {
        "w nearer to its average": torch.cat([G.truncate(G.broadcast(w), psi) for psi in psis]),
        "z times psi": torch.cat([G.broadcast(G.mapping(psi * z)) for psi in psis]),
        "z drawn within 2 psi": torch.cat([G.broadcast(G.mapping(narrow)) for narrow in redrawn]),
    }
    usual = (G.mapping(G.z(range(1000))) - G.w_avg).norm(dim=1).mean()
    for name, ws in rows.items():
        lengths = (ws[:, 0] - G.w_avg).norm(dim=1) / usual
        click.echo(f"{name}: distance to w_avg {', '.join(f'{length:.2f}' for length in lengths)} of the mean")
    return table({name: G.render(ws) for name, ws in rows.items()}, [f"psi {psi:g}" for psi in psis])


def w_average(G: Generator) -> Image.Image:
    """Images of the means of growing numbers of w, and of the stored average."""
    counts = [1, 10, 100, 1_000, 10_000, 100_000]
    total, done, means = torch.zeros(G.w_dim, dtype=torch.float64), 0, []
    with torch.no_grad():
        spread = (G.mapping(G.z(range(1000))) - G.w_avg).norm(dim=1).mean()
        for count in counts:
            for start in range(done, count, 10_000):
                seeds = range(start, min(start + 10_000, count))
                total += G.mapping(G.z(seeds)).double().sum(0)
            done = count
            means.append((total / count).float())
            error = (means[-1] - G.w_avg).norm() / spread
            click.echo(f"mean of {count:,} w: {error:.4f} of the mean distance from w_avg")
        shown = G.render(G.broadcast(torch.stack([*means, G.w_avg])))
    return grid(shown, columns=len(shown), column_headings=[*(f"{count:,}" for count in counts), "w_avg"], padding=2)


def paths(G: Generator) -> Image.Image:
    """From one face to another along the sphere in Z, and along the straight line in W."""
    steps = torch.linspace(0, 1, 9)
    z = G.z([18, 9])
    w = G.mapping(z)
    rows = {
        "in Z": G.mapping(torch.cat([slerp(z[0], z[1], float(t))[None] for t in steps])),
        "in W": torch.stack([torch.lerp(w[0], w[1], t) for t in steps]),
    }
    shown = {name: G.render(G.truncate(G.broadcast(one), 0.7)) for name, one in rows.items()}
    return table(shown, [f"{t:g}" for t in steps.tolist()])


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The point at t from 0 to 1 on the great circle between two directions."""
    a, b = a / a.norm(), b / b.norm()
    angle = (a @ b).clamp(-1, 1).acos()
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


def features(G: Generator) -> Image.Image:
    """The size of the features of each layer before they are normalized, over all channels: where blobs would be."""
    seeds = (9, 6, 12)
    rows: dict[str, Cells] = {}
    for seed, ws in zip(seeds, G.ws(seeds, truncation_psi=1).split(1), strict=True):
        img, sizes = feature_sizes(G, ws)
        rows[f"seed {seed}"] = [
            *images.to_pil(img),
            *(grey(size[0] / size.max(), G.img_resolution) for size in sizes[1::2]),
        ]
    edges = [f"{size.shape[-1]}x{size.shape[-1]}" for size in sizes]
    most = [0.0] * len(edges)
    for ws in G.ws(range(96), truncation_psi=1).split(8):
        peaks = [(size.amax((1, 2)) / size.mean((1, 2))).max().item() for size in feature_sizes(G, ws)[1]]
        most = [max(pair) for pair in zip(most, peaks, strict=True)]
    for i, (edge, peak) in enumerate(zip(edges, most, strict=True)):
        click.echo(f"layer {i} ({edge}), seeds 0 to 95: the largest is {peak:.1f} times the mean of its map")
    return table(rows, ["image", *edges[1::2]])


def feature_sizes(G: Generator, ws: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Images, and the root mean square over channels of each layer's features before normalization, [N, R, R]."""
    seen: list[Tensor] = []
    img = render(G, ws, Epilogue(seen=seen))
    return img, [x.square().mean(1).sqrt() for x in seen]


def blobs(G: Generator) -> Image.Image:
    """A provoked blob: at 32x32, all features get a spike at one place, and normalization shrinks them elsewhere."""
    seeds, spikes = (9, 6), (0, 8, 16, 32, 64)
    rows: dict[str, Cells] = {f"seed {seed}": [] for seed in seeds}
    for spike in spikes:
        shown = images.to_pil(render(G, G.ws(seeds), Epilogue(spike=spike)))
        for row, tile in zip(rows.values(), shown, strict=True):
            row.append(tile)
    return table(rows, [f"spike {spike}" for spike in spikes])


def entanglement(G: Generator) -> Image.Image:
    """Figure 6 on a toy: two features without one combination, on z and on w."""
    side = 256
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(1, -1, side))
    # The features fill a square except one quarter; every ray from this point leaves them once.
    centre, angles = np.array([-0.3, -0.3]), np.linspace(-np.pi, np.pi, 4096)
    rays = np.stack([np.cos(angles), np.sin(angles)])
    reach = np.linspace(0, 3, 1500)[:, None, None] * rays + centre[:, None]
    inside = (np.abs(reach) <= 1).all(1) & ~(reach > 0).all(1)
    edge = np.cumprod(inside, axis=0).sum(0) * 3 / 1500
    share = np.cumsum(edge**2)
    share = share / share[-1]

    # In z, a normal distribution, equal areas of features have equal probability.
    radius, angle = np.hypot(3 * x, 3 * y), np.arctan2(y, x)
    turned = np.interp((angle + np.pi) / (2 * np.pi), share, angles)
    far = np.sqrt(1 - np.exp(-(radius**2) / 2)) * np.interp(turned, angles, edge)
    of_z = centre[0] + far * np.cos(turned), centre[1] + far * np.sin(turned)
    missing = (x > 0) & (y > 0)
    tiles = [colours(x, y, missing), colours(*of_z, radius > 3), colours(x, y, missing)]
    return labelled(
        tiles,
        ["(a) features in the data", "(b) on Z, which is normal", "(c) on W, which may have any shape"],
        columns=3,
    )


def colours(first: np.ndarray, second: np.ndarray, hidden: np.ndarray) -> Image.Image:
    """Two features as red and blue, in bands that show lines of equal features; hidden parts are white."""
    bands = [np.floor((one + 1) * 4).clip(0, 7) for one in (first, second)]
    lines = (bands[0] + bands[1]) % 2 * 24
    rgb = np.stack([bands[0] * 28 + 30, 90 + lines, bands[1] * 28 + 30], axis=-1)
    rgb[hidden] = 255
    return Image.fromarray(rgb.astype(np.uint8))


def grey(levels: Tensor, size: int) -> Image.Image:
    """Levels from 0 to 1, [H, W], as grey pixels of one size."""
    return Image.fromarray((levels * 255).byte().numpy()).convert("RGB").resize((size, size), Image.Resampling.NEAREST)


def table(rows: Mapping[str, Sequence[Image.Image]], headings: list[str]) -> Image.Image:
    """Rows of images with names to the left and above."""
    tiles = [tile for row in rows.values() for tile in row]
    return grid(tiles, columns=len(headings), column_headings=headings, row_headings=list(rows), padding=2)


def labelled(tiles: Cells, names: list[str], *, columns: int) -> Image.Image:
    """Images with a name below each."""
    width = tiles[0].width
    cells = [
        layout.column([tile, layout.text(name, size=13, width=width)]) for tile, name in zip(tiles, names, strict=True)
    ]
    return layout.column([layout.row(cells[i : i + columns], gap=4) for i in range(0, len(cells), columns)], gap=4)


KINDS: dict[str, Callable[[Generator], Image.Image]] = {
    function.__name__.replace("_", "-"): function
    for function in (norms, noise_order, noise_deviation, truncation_z, w_average, paths, features, blobs, entanglement)
}


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("--model", default=DEFAULT_MODEL, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The image file to write.  [default: KIND.png]")
def main(kind: str, model: str, out: Path | None) -> None:
    """Make an image of docs/paper.md, and print its numbers."""
    G = Generator.from_pretrained(model)
    image = images.remember(KINDS[kind](G), {**G.provenance(), "kind": kind})
    images.save(image, out or f"{kind}.png")
    click.echo(f"wrote {out or f'{kind}.png'}")


if __name__ == "__main__":
    main()

"""Trains classifiers of attributes: of faces, which ship with the package, and of rendered heads, to find directions.

    python models/attributes/train.py gender --data faces-128.zip --out stylegan/assets
    python models/attributes/train.py light-hair light-skin --data pictures --out build/heads

writes a file for each attribute; those named together share their convolutions. A tenth of the images, drawn by a fixed
seed, is held out; the figures on it are printed and stored in the files. About three minutes on one core.
"""

import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import click
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # For the module next to this script.

from models.attributes.labels import FACES, HEADS, Attribute, Record
from stylegan.data.dataset import ImageDataset, shuffled_indices
from stylegan.extractors.attributes import AttributeClassifier
from stylegan.extractors.base import conv2d
from stylegan.images.convert import as_rgb, from_uint8
from stylegan.weights.checkpoint import Checkpoint, save_checkpoint

BATCH = 64
CHANNELS = (24, 48, 96, 160)
RATE = 3e-3
OF_FACES = {
    "license": "non-commercial research",
    "license_url": "https://susanqq.github.io/UTKFace/",
    "dataset": "UTKFace (adults only, 15,798 pictures)",
    "attribution": "Zhang, Song, Qi, Age Progression/Regression by Conditional Adversarial Autoencoder, CVPR 2017.",
}
OF_HEADS = {
    "license": "CC BY 4.0",
    "license_url": "https://creativecommons.org/licenses/by/4.0/",
    "dataset": "DiceBear toonHead (rendered cartoon heads)",
    "attribution": "Remixes of ToonHead by Johan Melin (johanmelin.com), CC BY 4.0, rendered with DiceBear.",
}


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True, type=click.Choice([*FACES, *HEADS]))
@click.option(
    "--data", required=True, type=Path, help="Images with records: a zip with labels.json, or render.mjs's folder."
)
@click.option("--out", required=True, type=Path, help="The folder of the files.")
@click.option("--resolution", default=64, show_default=True)
@click.option("--epochs", default=8, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(names: tuple[str, ...], data: Path, out: Path, resolution: int, epochs: int, seed: int) -> None:
    """Train classifiers, and write them."""
    if len({name in FACES for name in names}) > 1:
        raise click.UsageError("attributes of faces and of heads have different data; train them one after another")
    dataset = ImageDataset(data, resolution=resolution, use_labels=False)
    attributes = {name: (FACES | HEADS)[name] for name in names}
    labels = labels_of(dataset.names, read_records(data), attributes)
    classifiers = fit(dataset, labels, attributes, epochs=epochs, seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    for name, (classifier, figures) in classifiers.items():
        click.echo(f"{name}: {json.dumps(figures)}")
        metadata = {"name": name, **(OF_FACES if name in FACES else OF_HEADS), "metrics": figures}
        checkpoint = Checkpoint("AttributeClassifier", classifier.config, classifier.state_dict(), metadata)
        save_checkpoint(out / f"{name}.safetensors", checkpoint, dtype=torch.float16)


def read_records(data: Path) -> dict[str, Record]:
    """The records by the names of images."""
    if data.is_dir():
        text = (data / "attributes.json").read_bytes()
    else:
        with zipfile.ZipFile(data) as archive:
            text = archive.read("labels.json")
    found: dict[str, Record] = json.loads(text)
    return found


def labels_of(names: Sequence[str], records: Mapping[str, Record], attributes: Mapping[str, Attribute]) -> Tensor:
    """The labels of images, float32 [N, attributes]; NaN = unknown."""
    rows = [[a.label(records.get(name) or records[Path(name).name]) for a in attributes.values()] for name in names]
    return torch.tensor([[float("nan") if label is None else label for label in row] for row in rows])


@dataclass(frozen=True)
class Split:
    """Images with their labels: a tenth held out, and the rest."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, images: Tensor, labels: Tensor, seed: int) -> "Split":
        """The tenth is drawn by the seed."""
        order = torch.tensor(shuffled_indices(len(images), 0, len(images), seed))
        test, train = order[: len(images) // 10], order[len(images) // 10 :]
        return cls((images[train], labels[train]), (images[test], labels[test]))


def fit(
    dataset: ImageDataset, labels: Tensor, attributes: Mapping[str, Attribute], *, epochs: int, seed: int = 0
) -> dict[str, tuple[AttributeClassifier, dict[str, float]]]:
    """For each attribute, its classifier with float16 weights, and its figures on held-out images.

    labels: of the images of the data set, [N, attributes], NaN = unknown.
    """
    known = (~labels.isnan().all(dim=1)).nonzero()[:, 0]
    split = Split.of(dataset.batch(known.tolist())[0], labels[known], seed)
    columns = zip(attributes.items(), split.train[1].T, strict=True)
    new = [new_classifier(name, a, column[~column.isnan()], dataset.resolution) for (name, a), column in columns]
    network = train_together(new, list(attributes.values()), split.train, epochs=epochs, seed=seed)
    found = {}
    for i, (classifier, attribute) in enumerate(zip(new, attributes.values(), strict=True)):
        classifier.load_state_dict({name: t.half().float() for name, t in network.folded(i).items()})
        classifier.eval().requires_grad_(False)
        figures = judge(classifier, attribute, split.test[0], split.test[1][:, i])
        classifier.scale = classifier.config["scale"] = figures.pop("scale", 1.0)
        found[classifier.name] = classifier, figures
    return found


def new_classifier(name: str, attribute: Attribute, labels: Tensor, resolution: int) -> AttributeClassifier:
    """Of two classes, the output is the log-odds; of a quantity, in standard deviations from the mean."""
    common: dict[str, Any] = {"name": name, "channels": list(CHANNELS), "resolution": resolution}
    if not attribute.is_quantity:
        return AttributeClassifier(positive=attribute.positive, **common)
    median = float(labels.median())
    mean, std = float(labels.mean()), float(labels.std())
    positive = attribute.positive.format(f"{median:g}")
    return AttributeClassifier(positive=positive, mean=mean, std=std, threshold=median, **common)


class TrainingNetwork(nn.Module):
    """The layers of the classifiers, with batch norm after every convolution and dropout before the last layer."""

    def __init__(self, outputs: int, seed: int):
        super().__init__()
        self.convs = nn.ModuleList(
            conv2d(i, o, 3, stride=2, padding=1, bias=False) for i, o in pairwise([3, *CHANNELS])
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in CHANNELS)
        self.head = nn.Linear(CHANNELS[-1], outputs)
        random = torch.Generator().manual_seed(seed)
        for weight in (parameter for parameter in self.parameters() if parameter.ndim > 1):
            nn.init.normal_(weight, std=(2 / weight[0].numel()) ** 0.5, generator=random)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, 3, R, R]; returns [N, outputs]."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.1)
        output: Tensor = self.head(F.dropout(x.mean(dim=(2, 3)), 0.3, self.training))
        return output

    def folded(self, output: int) -> dict[str, Tensor]:
        """The tensors of one classifier, with the batch norms' statistics folded into the convolutions."""
        chosen = slice(output, output + 1)
        tensors = {f"head.{name}": tensor[chosen] for name, tensor in self.head.state_dict().items()}
        for i, (module, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            conv, norm = cast(nn.Conv2d, module), cast(nn.BatchNorm2d, norm)
            gain = norm.weight / (cast(Tensor, norm.running_var) + norm.eps).sqrt()
            tensors[f"convs.{i}.weight"] = (conv.weight * gain[:, None, None, None]).detach()
            tensors[f"convs.{i}.bias"] = (norm.bias - cast(Tensor, norm.running_mean) * gain).detach()
        return tensors


def train_together(
    classifiers: list[AttributeClassifier],
    attributes: list[Attribute],
    data: tuple[Tensor, Tensor],
    *,
    epochs: int,
    seed: int,
) -> TrainingNetwork:
    """AdamW with a rate that rises over the first tenth and falls to zero."""
    images, labels = data
    network = TrainingNetwork(len(attributes), seed).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    units = torch.tensor([(classifier.mean, classifier.std) for classifier in classifiers])
    targets = (labels - units[:, 0]) / units[:, 1]
    steps = max(1, epochs * (len(images) // BATCH))
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    random = torch.Generator().manual_seed(seed)
    # Dropout draws from the global state, which is restored afterwards.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for step in range(steps):
            i = torch.tensor(shuffled_indices(len(images), step * BATCH, BATCH, seed + 1))
            output = network(augment(as_rgb(from_uint8(images[i])), random))
            loss = sum_of_losses(attributes, output, targets[i])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 100 == 0:
                click.echo(f"step {step} of {steps}, loss {loss.item():.4f}", err=True)
    return network.eval()


def sum_of_losses(attributes: list[Attribute], outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy with softened labels for classes, as some may be wrong; Huber's loss for quantities."""
    total = outputs.new_zeros(())
    for attribute, output, target in zip(attributes, outputs.T, targets.T, strict=True):
        known = ~target.isnan()
        output, target = output[known], target[known]
        if attribute.is_quantity:
            loss = F.huber_loss(output, target, delta=0.5, reduction="sum")
        else:
            loss = F.binary_cross_entropy_with_logits(output, target * 0.9 + 0.05, reduction="sum")
        total = total + loss / max(1, len(target))
    return total


def augment(images: Tensor, random: torch.Generator) -> Tensor:
    """Mirror, shift by up to 4 pixels, vary the light, and soften some, as generated faces are soft."""
    n, resolution = len(images), images.shape[3]

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, generator=random) * (high - low) + low

    images = torch.where(uniform(0, 1) < 0.5, images, images.flip(3))
    dx, dy = torch.randint(0, 9, (2,), generator=random).tolist()
    images = F.pad(images, (4, 4, 4, 4), mode="replicate")[:, :, dy : dy + resolution, dx : dx + resolution]
    images = images * uniform(0.8, 1.25) + uniform(-0.15, 0.15)
    soft = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear", align_corners=False)
    images = torch.lerp(images, soft, uniform(-1, 1).clamp(min=0))
    return images.clamp(-1, 1).contiguous(memory_format=torch.channels_last)


def judge(classifier: AttributeClassifier, attribute: Attribute, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Figures on held-out images: accuracy; of a quantity, also its mean absolute error."""
    known = ~labels.isnan()
    images, labels = images[known], labels[known]
    with torch.no_grad():
        values = torch.cat([classifier(as_rgb(from_uint8(chunk))) for chunk in images.split(256)])
    limit = classifier.threshold if attribute.is_quantity else 0.5
    right = (values > classifier.threshold) == (labels > limit)
    figures = {"held_out": len(labels), "accuracy": round(right.float().mean().item(), 4)}
    if not attribute.is_quantity:
        return figures
    error = labels - values
    # A logistic distribution with the deviation of the errors gives the log-odds.
    scale = round(error.std().item() * 3**0.5 / torch.pi, 3)
    return figures | {"mean_absolute_error": round(error.abs().mean().item(), 2), "scale": scale}


if __name__ == "__main__":
    main()

"""Trains the classifiers of gender and age that ship with the package.

    python models/attributes/train.py gender --data faces-128.zip --out stylegan/assets/gender.safetensors

The data set is a zip of images with a labels.json of records {age, gender}. A tenth of it, drawn by a fixed seed, is
held out; the figures on it are printed and stored in the file. About three minutes on one core.
"""

import argparse
import json
import zipfile
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan.data.dataset import ImageDataset, shuffled_indices
from stylegan.extractors.attributes import AttributeClassifier
from stylegan.extractors.base import conv2d
from stylegan.images.convert import from_uint8
from stylegan.weights.checkpoint import Checkpoint, save_checkpoint

RESOLUTION = 64
BATCH = 64
CHANNELS = [24, 48, 96, 160]
RATE = 3e-3
LICENSE = {
    "license": "non-commercial research",
    "license_url": "https://susanqq.github.io/UTKFace/",
    "dataset": "UTKFace (adults only, 15,798 pictures)",
    "attribution": "Zhang, Song, Qi, Age Progression/Regression by Conditional Adversarial Autoencoder, CVPR 2017.",
}


def main() -> None:
    """Train one classifier and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attribute", choices=["gender", "age"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    dataset = ImageDataset(given.data, resolution=RESOLUTION, label_field="gender")
    known, labels = read_labels(dataset, given.attribute)
    images = dataset.batch(known.tolist())[0]
    test, train = split(len(images), given.seed)
    classifier = new_classifier(given.attribute, labels[train])
    trained = fit(classifier, images[train], labels[train], epochs=given.epochs, seed=given.seed)
    classifier.load_state_dict({name: t.half().float() for name, t in trained.folded().items()})
    figures = judge(classifier, images[test], labels[test])
    print(json.dumps(figures))
    config = classifier.config | {"scale": figures.pop("scale", 1.0)}
    metadata = {"name": given.attribute, **LICENSE, "metrics": {"held_out": len(test), **figures}}
    checkpoint = Checkpoint("AttributeClassifier", config, classifier.state_dict(), metadata)
    save_checkpoint(given.out, checkpoint, dtype=torch.float16)


def read_labels(dataset: ImageDataset, attribute: str) -> tuple[Tensor, Tensor]:
    """The indices of the images with a label, int64 [N], and their labels, float32 [N]."""
    with zipfile.ZipFile(dataset.path) as archive:
        records = json.loads(archive.read("labels.json"))
    known = [i for i, name in enumerate(dataset.names) if records[name][attribute] is not None]
    labels = torch.tensor([float(records[dataset.names[i]][attribute]) for i in known])
    return torch.tensor(known), labels


def split(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """The held-out tenth of n indices, and those for training."""
    order = torch.tensor(shuffled_indices(n, 0, n, seed))
    return order[: n // 10], order[n // 10 :]


def new_classifier(attribute: str, labels: Tensor) -> AttributeClassifier:
    """Gender: the output is the log-odds of female. Age: the output is in standard deviations from the mean."""
    common: dict[str, Any] = {"channels": CHANNELS, "resolution": RESOLUTION}
    if attribute == "gender":
        return AttributeClassifier(name="gender", positive="female", **common)
    median = float(labels.median())
    mean, std = float(labels.mean()), float(labels.std())
    positive = f"older than {median:g}"
    return AttributeClassifier(name="age", positive=positive, mean=mean, std=std, threshold=median, **common)


class TrainingNetwork(nn.Module):
    """The layers of a classifier, with batch norm after every convolution and dropout before the last layer."""

    def __init__(self, channels: list[int], seed: int):
        super().__init__()
        self.convs = nn.ModuleList(
            conv2d(i, o, 3, stride=2, padding=1, bias=False) for i, o in pairwise([3, *channels])
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in channels)
        self.head = nn.Linear(channels[-1], 1)
        random = torch.Generator().manual_seed(seed)
        for weight in (parameter for parameter in self.parameters() if parameter.ndim > 1):
            nn.init.normal_(weight, std=(2 / weight[0].numel()) ** 0.5, generator=random)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, 3, R, R]; returns [N]."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.1)
        output: Tensor = self.head(F.dropout(x.mean(dim=(2, 3)), 0.3, self.training))
        return output[:, 0]

    def folded(self) -> dict[str, Tensor]:
        """The tensors of the classifier, with the batch norms' statistics folded into the convolutions."""
        tensors = {f"head.{name}": tensor for name, tensor in self.head.state_dict().items()}
        for i, (module, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            conv, norm = cast(nn.Conv2d, module), cast(nn.BatchNorm2d, norm)
            gain = norm.weight / (cast(Tensor, norm.running_var) + norm.eps).sqrt()
            tensors[f"convs.{i}.weight"] = (conv.weight * gain[:, None, None, None]).detach()
            tensors[f"convs.{i}.bias"] = (norm.bias - cast(Tensor, norm.running_mean) * gain).detach()
        return tensors


def fit(classifier: AttributeClassifier, images: Tensor, labels: Tensor, *, epochs: int, seed: int) -> TrainingNetwork:
    """AdamW with a rate that rises over the first tenth and falls to zero."""
    network = TrainingNetwork(CHANNELS, seed).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    targets = (labels - classifier.mean) / classifier.std
    steps = epochs * (len(images) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    random = torch.Generator().manual_seed(seed)
    # Dropout draws from the global state, which is restored afterwards.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for step in range(steps):
            i = torch.tensor(shuffled_indices(len(images), step * BATCH, BATCH, seed + 1))
            output = network(augment(from_uint8(images[i]), random))
            loss = loss_of(classifier.name, output, targets[i])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 100 == 0:
                print(f"step {step} of {steps}, loss {loss.item():.4f}", flush=True)
    return network.eval()


def loss_of(attribute: str, output: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy with softened labels for gender, as some of the data's are wrong; Huber's loss for age."""
    if attribute == "gender":
        return F.binary_cross_entropy_with_logits(output, targets * 0.9 + 0.05)
    return F.huber_loss(output, targets, delta=0.5)


def augment(images: Tensor, random: torch.Generator) -> Tensor:
    """Mirror, shift by up to 4 pixels, vary the light, and soften some, as generated faces are soft."""
    n = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, generator=random) * (high - low) + low

    images = torch.where(uniform(0, 1) < 0.5, images, images.flip(3))
    dx, dy = torch.randint(0, 9, (2,), generator=random).tolist()
    images = F.pad(images, (4, 4, 4, 4), mode="replicate")[:, :, dy : dy + RESOLUTION, dx : dx + RESOLUTION]
    images = images * uniform(0.8, 1.25) + uniform(-0.15, 0.15)
    soft = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear", align_corners=False)
    images = torch.lerp(images, soft, uniform(-1, 1).clamp(min=0))
    return images.clamp(-1, 1).contiguous(memory_format=torch.channels_last)


def judge(classifier: AttributeClassifier, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Results on held-out images: accuracy for gender, mean absolute error in years and accuracy for age."""
    with torch.no_grad():
        values = torch.cat([classifier(from_uint8(chunk)) for chunk in images.split(256)])
    if classifier.name == "gender":
        return {"accuracy": round(((values > 0) == (labels > 0.5)).float().mean().item(), 4)}
    error = labels - values
    right = (values > classifier.threshold) == (labels > classifier.threshold)
    return {
        "mae_years": round(error.abs().mean().item(), 2),
        "accuracy": round(right.float().mean().item(), 4),
        # A logistic distribution with the deviation of the errors gives the log-odds.
        "scale": round(error.std().item() * 3**0.5 / torch.pi, 3),
    }


if __name__ == "__main__":
    main()

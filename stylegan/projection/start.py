"""Start of a projection: the average w, or the sample most similar to the target."""

import torch
from torch import Tensor

from ..generator import Generator
from ..latents.samples import sample_w
from .objective import Embed, embed_images


def average_start(G: Generator, n: int, *, label: int | str | None = None) -> Tensor:
    """The average w for each of n images, [n, w_dim]: the model's, or of 1,000 samples of a class."""
    w = G.w_avg if label is None else sample_w(G, 1000, label=label).mean(dim=0).to(G.device)
    return w.expand(n, -1).clone()


def compare_with_samples(
    G: Generator,
    target: Tensor,
    embed: Embed,
    *,
    samples: int = 64,
    truncation_psi: float = 0.7,
    label: int | str | None = None,
) -> tuple[Tensor, float]:
    """How far targets are from a model's images, before any optimization.

    target: [N, D], their embeddings. Returns the perceptual distance of each to the nearest sample, [N], and the median
        distance of two samples. label: class of the samples; None = all in turn.
    """
    nearest = torch.full((len(target),), float("inf"), device=target.device, dtype=torch.float32)
    between: list[Tensor] = []
    last: Tensor | None = None
    for part in sample_w(G, samples, label=label).to(G.device).split(4):
        with torch.no_grad():
            found = embed_images(G.synthesis(G.broadcast(torch.lerp(G.w_avg, part, truncation_psi))), embed)
        for embedding in found:  # One by one: embeddings are large.
            nearest = torch.minimum(nearest, (target - embedding).square().sum(dim=1))
            if last is not None:
                between.append((last - embedding).square().sum())
            last = embedding
    return nearest, torch.stack(between).median().item()


def best_start(
    G: Generator,
    target: Tensor,
    embed: Embed,
    *,
    candidates: int,
    truncation_psi: float = 0.7,
    label: int | str | None = None,
) -> tuple[Tensor, Tensor]:
    """For each target the w, of the seeds 0 to candidates - 1, whose image is nearest, and its distance.

    label: class of the candidates; None = all in turn.

    target: [N, D], the embeddings. Returns w [N, w_dim] and perceptual distances [N].
    """
    best, nearest = (
        average_start(G, len(target)),
        torch.full((len(target),), float("inf"), device=target.device, dtype=torch.float32),
    )
    for part in sample_w(G, max(candidates, 2), label=label)[:candidates].to(G.device).split(16):
        w = torch.lerp(G.w_avg, part, truncation_psi)
        with torch.no_grad():
            found = embed_images(G.synthesis(G.broadcast(w)), embed)
        # Row by row: all pairs at once would copy every embedding for each target.
        distances = torch.stack([(found - row).square().sum(dim=1) for row in target])  # [N, candidates]
        least, which = distances.min(dim=1)
        better = least < nearest
        best, nearest = torch.where(better[:, None], w[which], best), torch.where(better, least, nearest)
    return best, nearest

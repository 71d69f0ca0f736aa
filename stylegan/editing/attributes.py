"""Directions of attributes: samples are drawn, scored by a classifier, and separated by boundaries."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..generator import Generator
from ..images.convert import as_rgb
from ..latents.bands import Layers
from ..latents.directions import Direction
from ..latents.samples import sample_w
from ..runtime.checks import typed
from ..runtime.choices import SAMPLES
from ..runtime.precision import no_autocast
from ..runtime.progress import is_hidden, progress_bar
from .boundaries import boundary, orthogonalize


@typed
@no_autocast()
def attribute_directions(
    G: Generator,
    classifiers: Mapping[str, Callable[[Tensor], Tensor]],
    *,
    layers: Layers | None = None,
    samples: int = SAMPLES,
    truncation_psi: float = 0.7,
    progress: bool | None = None,
) -> list[Direction]:
    """A direction for each attribute, orthogonal to the others'.

    classifiers: by attribute, from images [N, 3, H, W] in [-1, 1] to a score [N]; more = further along.
    layers: those that the directions move; None = all, or as in `mix_styles`.
    samples: the seeds 0 to samples - 1.
    truncation_psi: of the images that the classifiers see; truncated ones are cleaner.
    progress: show a bar; None = on a terminal.

    The boundaries come from `boundary`; with two or more attributes, each is made orthogonal to all others.
    """
    w = sample_w(G, samples)
    scores = score_images(G, w, classifiers, truncation_psi=truncation_psi, progress=progress)
    found = [boundary(G, name, w, scores[name], layers=layers) for name in classifiers]
    if len(found) == 1:
        return found
    return [orthogonalize(G, own, [other for other in found if other is not own]) for own in found]


@no_autocast()
def score_images(
    G: Generator,
    w: Tensor,
    classifiers: Mapping[str, Callable[[Tensor], Tensor]],
    *,
    truncation_psi: float,
    progress: bool | None = None,
) -> dict[str, Tensor]:
    """The scores of classifiers for the images of w [N, w_dim]: [N] each, on the CPU."""
    scores: dict[str, list[Tensor]] = {name: [] for name in classifiers}
    batch_size = 100
    with torch.no_grad(), progress_bar(total=len(w), unit="img", hidden=is_hidden(progress)) as bar:
        for part in w.to(G.device).split(batch_size):
            ws = G.truncate(G.broadcast(part), truncation_psi)
            img = G.render(ws, output_type="pt", progress=False)
            for name, classifier in classifiers.items():
                scores[name].append(classifier(as_rgb(img)).cpu())
            bar.update(len(part))
    return {name: torch.cat(parts) for name, parts in scores.items()}

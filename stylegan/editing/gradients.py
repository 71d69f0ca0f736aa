"""Directions of attributes from the gradients of classifiers: one least-squares problem over many faces."""

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..errors import InputError
from ..generator import Generator
from ..images.convert import as_rgb
from ..latents.bands import Layers
from ..latents.directions import Direction
from ..latents.samples import sample_w
from ..runtime.checks import typed
from ..runtime.choices import GRADIENT_SAMPLES
from ..runtime.gradients import with_gradients
from ..runtime.precision import no_autocast
from ..runtime.progress import is_hidden, progress_bar
from .space import layer_range, make_direction

# The mean of each channel: brightness and tint, to which classifiers respond, are not the attribute.
COLOURS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "red": lambda img: img[:, 0].mean(dim=(1, 2)),
    "green": lambda img: img[:, 1].mean(dim=(1, 2)),
    "blue": lambda img: img[:, 2].mean(dim=(1, 2)),
}

# A direction's range moves its attribute this many standard deviations up and down.
_RANGE = 1.5


@typed
@no_autocast()
@with_gradients()
def gradient_directions(
    G: Generator,
    classifiers: Mapping[str, Callable[[Tensor], Tensor]],
    *,
    hold: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    layers: Layers | None = None,
    samples: int = GRADIENT_SAMPLES,
    truncation_psi: float = 0.7,
    caution: float = 0.01,
    progress: bool | None = None,
) -> list[Direction]:
    """For each attribute, the direction that raises it equally on every face and leaves the others unchanged.

    Let g_a be the gradient of attribute a with respect to w, in the attribute's standard deviations among faces, and C
    the covariance of w. The direction of a is that of the d that minimizes

        E[(g_a d - 1)^2] + sum over the others E[(g_b d)^2] + caution d^T C^-1 d.

    The first two terms are squared per face, so that changes of opposite sign do not cancel. The last keeps edits
    within the distribution of w: without it, d would change the scores of these classifiers more than those of others.

    classifiers: by attribute, from images [N, 3, H, W] in [-1, 1] to a score [N], differentiable; more = further along.
    hold: further scores that all directions keep constant; None = none. See COLOURS.
    layers: those that the directions move; None = all, or as in `mix_styles`.
    samples: the seeds 0 to samples - 1. Four fifths of them give the direction; the fact "rises" is the share of the
        others whose gradient points along it.
    truncation_psi: of the images that the classifiers see.
    progress: show a bar; None = on a terminal.

    Raises InputError for scores that have no gradient, are all equal or do not depend on the layers, or for too few
    samples.
    """
    if samples < 50:
        raise InputError(f"gradients of {samples} samples are too few; expected 50 or more")
    if hold and not set(hold).isdisjoint(classifiers):
        raise InputError(f"{', '.join(set(hold) & set(classifiers))}: both wanted and held; name it once")
    if not caution > 0:
        raise InputError(f"caution must be above 0, got {caution}")
    chosen = layer_range(G, layers)
    w = sample_w(G, samples)
    scores = dict(classifiers) | dict(hold or {})
    gradients = _gradients(G, w, scores, layers=chosen, truncation_psi=truncation_psi, progress=progress)
    fitted = {name: g[: samples * 4 // 5] for name, g in gradients.items()}
    # One matrix serves every attribute: all terms have the same quadratic part.
    matrix = sum(g.T @ g / len(g) for g in fitted.values()) + caution * _inverse_covariance(G)
    found = []
    for name in classifiers:
        g = gradients[name]
        vector = torch.linalg.solve(matrix, fitted[name].mean(dim=0))
        vector = vector / vector.norm()
        rises = (g[len(fitted[name]) :] @ vector > 0).double().mean().item()
        facts = {"rises": rises, "samples": samples, "caution": caution, "against": [n for n in gradients if n != name]}
        direction = make_direction(G, name, vector, sample_w(G), method="gradient", layers=chosen, facts=facts)
        rise = (fitted[name].mean(dim=0) @ vector).item() * direction.std
        if rise < 1e-3:
            raise InputError(f"the layers {chosen[0]}:{chosen[1]} hardly change {name!r}; choose others")
        reach = _RANGE / rise
        found.append(dataclasses.replace(direction, strengths=(-round(reach, 2), round(reach, 2))))
    return found


def _gradients(
    G: Generator,
    w: Tensor,
    functions: Mapping[str, Callable[[Tensor], Tensor]],
    *,
    layers: tuple[int, int],
    truncation_psi: float,
    progress: bool | None,
) -> dict[str, Tensor]:
    """By attribute, the gradients of its score by w in these layers, in deviations: float64 [N, w_dim], on the CPU."""
    scores: dict[str, list[Tensor]] = {name: [] for name in functions}
    gradients: dict[str, list[Tensor]] = {name: [] for name in functions}
    with progress_bar(total=len(w), unit="img", hidden=is_hidden(progress)) as bar:
        for part in w.to(G.device).split(50):
            ws = G.truncate(G.broadcast(part), truncation_psi).detach().requires_grad_()
            img = as_rgb(G.synthesis(ws))
            for name, function in functions.items():
                score = function(img)
                if score.shape != (len(part),) or not score.requires_grad:
                    raise InputError(
                        f"the score of {name!r} must be [N] and have a gradient by the images; for one that has none, "
                        "use attribute_directions"
                    )
                (gradient,) = torch.autograd.grad(score.sum(), ws, retain_graph=True)
                scores[name].append(score.detach().cpu().double())
                gradients[name].append(gradient[:, slice(*layers)].sum(dim=1).cpu().double())
            bar.update(len(part))
    return {name: torch.cat(gradients[name]) / _deviation(name, torch.cat(scores[name])) for name in functions}


def _deviation(name: str, scores: Tensor) -> Tensor:
    deviation = scores.std()
    if not 0 < deviation < float("inf"):
        raise InputError(f"the scores of {name!r} must be finite and differ, or no direction raises them")
    return deviation


def _inverse_covariance(G: Generator) -> Tensor:
    """Of w, float64 [w_dim, w_dim], regularized for components that hardly vary."""
    covariance = torch.cov(sample_w(G).double().T)
    floor = 1e-6 * covariance.trace() / G.w_dim
    inverse: Tensor = torch.linalg.inv(covariance + floor * torch.eye(G.w_dim, dtype=torch.float64, device="cpu"))
    return inverse

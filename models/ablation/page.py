"""The page of the miniature: the paper's tables next to our numbers, and what agrees."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stylegan.metrics.tables import TABLES, make_table

# Names of networks as the tables have them, where they are others.
ROWS = {
    "configurations": {name: name for name in "ABCDEF"},
    "mixing": {"0": "E", "50": "50", "90": "F", "100": "100"},
    "paths": {"B": "B", "D": "D", "E": "E", "50": "50", "F": "F"},
    "mapping": {
        "traditional-0": "B",
        "traditional-8": "traditional-8",
        "style-0": "style-0",
        "style-1": "style-1",
        "style-2": "style-2",
        "style-8": "F",
    },
}


PAGE = """# The paper in miniature

Tables 1 to 4 of the paper with 32x32 networks on rendered heads, next to the published numbers, which are for 1024x1024
photographs with Inception and LPIPS: compare the order of the rows, never the numbers. Made by
`python models/ablation/run.py --work FOLDER`: {kimg} thousand images each; {made}.

![Heads of every network](images/ablation.webp)

## What agrees

A claim holds if it does for every training seed. Where seeds disagree, the difference is no larger than chance.

{agreement}

## The tables

Own numbers are means over the seeds.

{tables}
## Each seed

{spread}

## The attributes

Separability asks how well a plane splits what classifiers see. They were trained on the renderer's attributes of each
head; their accuracy on held-out images: {accuracy}.
"""


@dataclass(frozen=True)
class Claim:
    """Something that the paper's tables say: one number is lower than another."""

    says: str
    metric: str  # Its kind.
    lower: str  # A network, with the number of latents where it is not 1: F@2.
    higher: str
    higher_metric: str | None = None  # None = the same.


CLAIMS = (
    Claim("B has a lower FID than A", "fid", "B", "A"),
    Claim("C has a lower FID than B", "fid", "C", "B"),
    Claim("E has a lower FID than D", "fid", "E", "D"),
    Claim("F has a lower FID than A", "fid", "F", "A"),
    Claim("of two latents, mixing 90% has a lower FID than none", "fid", "F@2", "E@2"),
    Claim("of four latents, mixing 100% has a lower FID than 50%", "fid", "100@4", "50@4"),
    Claim("without mixing, two latents cost FID", "fid", "E", "E@2"),
    Claim("noise shortens the paths in W (E, D)", "ppl_w", "E", "D"),
    Claim("ends of paths are shorter than whole ones (D)", "ppl_wend", "D", "D", "ppl_w"),
    Claim("mixing lengthens the paths in W (F, E)", "ppl_w", "E", "F"),
    Claim("W of D is more separable than Z of B", "ls_w", "D", "B", "ls_z"),
    Claim("8 mapping layers have a lower FID than none", "fid", "F", "style-0"),
    Claim("8 mapping layers are more separable than none", "ls_w", "F", "style-0", "ls_z"),
    Claim("8 mapping layers are more separable than 2", "ls_w", "F", "style-2"),
    Claim("in a traditional generator, mapping shortens paths: W against Z", "ppl_w", "traditional-8", "B", "ppl_z"),
)


def value(results: Mapping[str, Any], network: str, seed: int, kind: str) -> float | None:
    """A metric of a network, F or F@2, trained with a seed; None = not measured."""
    name, _, latents = network.partition("@")
    metrics = results.get(f"{name}-{seed}", {}).get(latents or "1", {}).get("metrics", {})
    return next((entry["value"] for key, entry in metrics.items() if key.rstrip("0123456789k") == kind), None)


def seeds_of(results: Mapping[str, Any]) -> list[int]:
    """The seeds of training."""
    return sorted({int(stem.rpartition("-")[2]) for stem in results})


def averaged(results: Mapping[str, Any], network: str, latents: int) -> dict[str, Any] | None:
    """A result whose values are the means over the seeds."""
    found = [results[key][str(latents)] for s in seeds_of(results) if (key := f"{network}-{s}") in results]
    if not found:
        return None
    metrics = {}
    for name, entry in found[0]["metrics"].items():
        values = [one["metrics"][name]["value"] for one in found]
        metrics[name] = entry | {"value": None if None in values else statistics.mean(values)}
    return {**found[0], "metrics": metrics}


def tables(results: Mapping[str, Any]) -> str:
    """All four, with the mean of the seeds."""
    parts = []
    for name in TABLES:
        rows = ROWS[name]
        latents = (1, 2, 3, 4) if name == "mixing" else (1,)
        own = [(row, one) for row, net in rows.items() for n in latents if (one := averaged(results, net, n))]
        parts.append(make_table(name, own))
    return "\n".join(parts)


def spread(results: Mapping[str, Any]) -> list[str]:
    """A table of each network's numbers for every seed."""
    seeds = seeds_of(results)
    kinds = ("fid", "ppl_z", "ppl_w", "ppl_zend", "ppl_wend", "ls_z", "ls_w")
    networks = list(dict.fromkeys(stem.rpartition("-")[0] for stem in results))
    lines = [line(["network", *kinds]), line(["---"] * (1 + len(kinds)))]
    for network in networks:
        cells = []
        for kind in kinds:
            found = [value(results, network, seed, kind) for seed in seeds]
            cells.append(", ".join("" if one is None else f"{one:.3g}" for one in found))
        lines.append(line([network, *cells]))
    return lines


def agreement(results: Mapping[str, Any]) -> list[str]:
    """For each claim, with how many of the seeds it holds, and by how much."""
    lines = [line(["the paper's tables say", "holds here", "lower, higher (mean)"]), line(["---"] * 3)]
    for claim in CLAIMS:
        other = claim.higher_metric or claim.metric
        pairs = [
            (value(results, claim.lower, seed, claim.metric), value(results, claim.higher, seed, other))
            for seed in seeds_of(results)
        ]
        known = [(low, high) for low, high in pairs if low is not None and high is not None]
        if known:
            count = sum(low < high for low, high in known)
            means = ", ".join(f"{statistics.mean(side):.3g}" for side in zip(*known, strict=True))
            held = "yes" if count == len(known) else "no" if not count else "in part"
            lines.append(line([claim.says, f"{held} ({count} of {len(known)})", means]))
    return lines


def page(results: Mapping[str, Any], right: Mapping[str, float]) -> str:
    """The page as Markdown. results: by network and seed, as E-0, then by number of latents."""
    accuracy = ", ".join(f"{name} {share:.1%}" for name, share in right.items())
    found = [result["1"] for result in results.values()]
    versions, devices = ({one["software"]["torch"] for one in found}, {one["device"] for one in found})
    dates = sorted(one["date"][:10] for one in found)
    (kimg,) = {one["kimg"] for one in found}
    return PAGE.format(
        kimg=f"{kimg:g}",
        made=f"torch {', '.join(sorted(versions))}, {', '.join(sorted(devices))}, {dates[0]} to {dates[-1]}",
        agreement="\n".join(agreement(results)),
        tables=tables(results),
        spread="\n".join(spread(results)),
        accuracy=accuracy,
    )


def line(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"

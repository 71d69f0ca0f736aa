"""The model card of a published generator: a README.md with what users must know."""

import json
import re
from collections.abc import Mapping
from typing import Any

# The hub's names of licences, by ours in lower case without spaces.
_LICENSES = {"mit": "mit", "apache-2.0": "apache-2.0", "cc0": "cc0-1.0", "cc0-1.0": "cc0-1.0", "ccby4.0": "cc-by-4.0"}
_LICENSES |= {"ccby-nc4.0": "cc-by-nc-4.0", "ccby-nc-sa4.0": "cc-by-nc-sa-4.0", "ccby-sa4.0": "cc-by-sa-4.0"}

_TEXT = """
# {name}

![Images of the seeds 0 to {last}]({picture})

A StyleGAN generator (Karras, Laine, Aila 2018): {size} images, {parameters:.1f} M parameters. The grid shows the seeds
0 to {last} with truncation psi {psi:g}.

```python
import stylegan

G = stylegan.Generator.from_pretrained({repo})
G.sample(seeds=[0], truncation_psi={psi:g})[0].save("image.png")
```

| | |
|---|---|
{facts}

{numbers}Made with [stylegan](https://pypi.org/project/stylegan/); weights in safetensors, which hold no code.
"""

_ROWS = {
    "license": "licence",
    "license_url": "terms",
    "attribution": "attribution",
    "dataset": "training data",
    "start_from": "trained on from",
    "kimg": "trained for (thousands of images)",
    "limits": "limits",
    "citation": "citation",
    "source": "converted from",
}


def model_card(
    metadata: Mapping[str, Any], *, repo: str, size: str, parameters: int, psi: float, images: int, picture: str
) -> str:
    """The text of README.md: a YAML header for the hub, a grid of images, code, licence, data and published metrics.

    metadata: of the generator. repo: how to name the model in `from_pretrained`. size: as in "64x64".
    parameters: their number. psi, images, picture: the grid's truncation, number of images and file name.
    """
    name = _line(metadata.get("name", "unnamed"))
    known = {key: metadata[key] for key in _ROWS if metadata.get(key)} | (
        {} if metadata.get("license") else {"license": "unknown: ask the authors before any use"}
    )
    facts = "\n".join(f"| {title} | {_line(known[key])} |" for key, title in _ROWS.items() if key in known)
    metrics = metadata.get("metrics")
    numbers = ""
    if isinstance(metrics, Mapping) and metrics:
        rows = "\n".join(f"| {_line(key)} | {_line(value)} |" for key, value in metrics.items())
        numbers = f"## Metrics\n\nAs published by the model's authors:\n\n| metric | value |\n|---|---|\n{rows}\n\n"
    text = _TEXT.format(
        name=name,
        last=images - 1,
        picture=picture,
        size=size,
        parameters=parameters / 1e6,
        psi=psi,
        repo=json.dumps(repo),
        facts=facts,
        numbers=numbers,
    )
    return _header(metadata) + text


def _header(metadata: Mapping[str, Any]) -> str:
    """YAML front matter; JSON strings are YAML strings, whatever is in them."""
    license = str(metadata.get("license", "unknown"))
    known = _LICENSES.get(re.sub(r"\s+|\(commercial use allowed\)", "", license.lower()))
    lines = [f"license: {known or 'other'}"]
    if not known:
        lines.append(f"license_name: {json.dumps(_line(license))}")
        if metadata.get("license_url"):
            lines.append(f"license_link: {json.dumps(_line(metadata['license_url']))}")
    lines += ["library_name: stylegan", "pipeline_tag: unconditional-image-generation", "tags:", "- stylegan", "- gan"]
    return "---\n" + "\n".join(lines) + "\n---\n"


def _line(value: Any) -> str:
    """A value in one table cell."""
    return " ".join(str(value).split()).replace("|", "\\|")

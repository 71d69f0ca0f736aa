"""Texts of the demo: one word per setting, above its control and below the image, and texts about the model."""

from html import escape
from typing import get_args

from PIL import Image

from ..generator import Generator
from ..runtime.choices import NoiseMode
from ..weights import manifest

# Noise modes that the page calls otherwise.
_NOISE_WORDS = {"const": "stored"}
NOISE = [(_NOISE_WORDS.get(mode, mode), mode) for mode in get_args(NoiseMode)]

# Settings by their names in images, and what the page calls them, above controls and below the image.
LABELS = {
    "model": "Model",
    "seed": "Seed",
    "seeds": "Seed",
    "layers": "Layers from B",
    "position": "From A to B",
    "label": "Class",
    "truncation_psi": "Truncation psi",
    "truncation_cutoff": "Truncated layers",
    "noise_mode": "Noise",
    "noise_seed": "Noise seed",
}

BAND_TEXTS = {
    "coarse": "pose, shape",
    "middle": "features, hair",
    "fine": "colour, light",
}


def title(G: Generator, source: str) -> str:
    """The heading of the page. source: where the model is from, as in `Studio`."""
    entry = manifest.entries().get(source)
    what = entry.description.split(":")[0] if entry else f"Pictures of {G.img_resolution}x{G.img_resolution}"
    return f"<h1>stylegan</h1><p>{escape(what)}<span>, made on this computer</span></p>"


def no_encoder(model: str) -> str:
    """What the tab of photos says about a model without an encoder."""
    return (
        f"{escape(model)} has no encoder, which photos need: <code>stylegan encoder train</code> makes one, and "
        "<code>stylegan demo --encoder FILE</code> uses it."
    )


def no_edits(model: str) -> str:
    """The text instead of editing sliders if there are none."""
    return f"{escape(model)} comes without editing directions."


def class_names(G: Generator) -> str | None:
    """What the numbers of a conditional model's classes mean; None = unknown."""
    return ", ".join(f"{i} {name}" for i, name in enumerate(G.classes[: G.label_dim])) or None


def caption(image: Image.Image) -> str:
    """The settings that make an image again, in the words of the controls."""
    info = {str(key): str(value) for key, value in image.info.items()}
    pairs = []
    for key, label in LABELS.items():
        value = info.get(key, "").strip("[]")
        if key == "seeds" and value:
            pairs += [(f"{label} {side}", seed) for side, seed in zip("AB", value.split(", "), strict=True)]
        elif value or (key == "layers" and key in image.info):
            pairs.append((label, _NOISE_WORDS.get(value, value) if key == "noise_mode" else value or "none"))
    pairs += [(key.removeprefix("direction "), value) for key, value in info.items() if key.startswith("direction ")]
    return " ".join(f"<span>{escape(label)} <b>{escape(value)}</b></span>" for label, value in pairs)


def licence(G: Generator) -> str:
    """The model's name, licence, source and limits."""
    parts = [f"{G.name}, {G.img_resolution}x{G.img_resolution}"]
    parts += [f"Licence of the pictures: {G.metadata.get('license', 'unknown')}"]
    parts += [str(G.metadata[key]) for key in ("attribution", "limits") if key in G.metadata]
    return " &middot; ".join(escape(part) for part in parts)

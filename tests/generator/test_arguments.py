"""Odd arguments to every public call: one clear error of ours, or a right result; never another exception."""

import inspect
import random
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import stylegan
from stylegan import (
    Discriminator,
    Generator,
    MappingNetwork,
    SynthesisNetwork,
    animation,
    editing,
    figures,
    images,
    metrics,
    projection,
)
from stylegan import latents as L
from stylegan.errors import StyleGANError
from stylegan.latents import files as latent_files
from stylegan.latents.directions import edit
from stylegan.runtime.checks import shown

from ..conftest import GOLDEN, tiny_generator

# Of the odd values, so many are tried for each argument of each call: the same ones every time.
SAMPLED = 20


class Something:
    """An object that is nothing of what is asked for."""


ODD: list[Any] = [
    *(None, True, False, 0, -1, -2, 3, 2**31, 2**70, 0.5, -0.5, 1e300, float("nan"), float("inf"), 1j),
    *(
        "",
        "x",
        "fine",
        "4:99",
        "a" * 5000,
        "a\0b",
        "\ud800",
        "~nobody/x",
        b"x",
        [],
        [1, 2],
        (),
        [[1], [2, 3]],
        [None],
        ["x"],
        {},
        {"a": 1},
        {1, 2},
        range(3),
    ),
    *(
        Something(),
        Something,
        len,
        slice(4, 99),
        slice("a", None),
        np.float32(2),
        np.array(1),
        np.zeros((2, 3)),
        np.array("x"),
    ),
    *(
        torch.tensor(1.0),
        torch.tensor(2),
        torch.tensor(True),
        torch.tensor(float("nan")),
        torch.zeros(0),
        torch.zeros(2),
    ),
    *(torch.zeros(2, 8), torch.zeros(1, 4, 8), torch.zeros(1, 4, 8, dtype=torch.int64), torch.zeros(1, 4, 9)),
    *(torch.zeros(1, 4, 8, dtype=torch.complex64), torch.zeros(1, 4, 8, device="meta"), torch.zeros(0, 4, 8)),
    *(torch.zeros(1, 8).to_sparse(), torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 1, 1, 1), Image.new("L", (3, 2))),
]


def network() -> Generator:
    return tiny_generator(img_resolution=8, z_dim=8, w_dim=8, mapping={"hidden_dim": 8, "num_layers": 2})


def calls(folder: Path) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Each public call with arguments that work."""
    G = network()
    ws, w, z = G.ws([1, 2]), G.mapping(G.z([1, 2])), G.z([1, 2])
    img = torch.zeros(2, 3, 8, 8)
    tiles = G.sample(2)
    direction = editing.sefa(G, n=1)[0]
    features = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    D = Discriminator(img_resolution=8, fmap_base=64, fmap_max=8)
    small = {"img_resolution": 8, "synthesis": {"fmap_base": 64, "fmap_max": 8}, "z_dim": 8, "w_dim": 8}
    conditional = tiny_generator(img_resolution=8, z_dim=8, w_dim=8, label_dim=3)
    figure = {"size": 8, "batch_size": 2, "progress": False}
    seeds = [1]
    latents = latent_files.Latents.of(G, ws)
    latents.save(folder / "latents.safetensors")
    np.save(folder / "w.npy", w.numpy())
    editing.save_directions(folder / "directions.safetensors", [direction])
    tiles[0].save(folder / "face.png")
    points = [(2, 2), (5, 2), (4, 4), (3, 6), (5, 6)]
    return {
        "save": (G.save, {"path": folder / "G.safetensors"}),
        "save_pretrained": (G.save_pretrained, {"folder": folder / "G"}),
        "D.save": (D.save, {"path": folder / "D.safetensors"}),
        "save_model_card": (G.save_model_card, {"folder": folder / "G", "num_images": 2}),
        "Latents.of": (latent_files.Latents.of, {"G": G, "ws": ws}),
        "Latents.save": (latents.save, {"path": folder / "latents.safetensors"}),
        "Latents.load": (latent_files.Latents.load, {"path": folder / "latents.safetensors", "G": G}),
        "Latents.load of arrays": (latent_files.Latents.load, {"path": folder / "w.npy", "G": G}),
        "save_directions": (
            editing.save_directions,
            {"path": folder / "directions.safetensors", "directions": [direction]},
        ),
        "load_directions": (editing.load_directions, {"path": folder / "directions.safetensors"}),
        "images.save": (images.save, {"image": tiles[0], "path": folder / "a.png"}),
        "recall": (images.recall, {"path": folder / "face.png"}),
        "load_photo": (projection.load_photo, {"path": folder / "face.png"}),
        "to_square": (projection.to_square, {"photo": tiles[0], "resolution": 8}),
        "align": (projection.align, {"photo": tiles[0], "points": points, "resolution": 8}),
        "template_of": (projection.template_of, {"G": G}),
        "Generator": (Generator, small | {"mapping": {}, "seed": 0}),
        "MappingNetwork": (MappingNetwork, {"z_dim": 8, "w_dim": 8, "hidden_dim": 8, "num_layers": 2}),
        "SynthesisNetwork": (SynthesisNetwork, {"w_dim": 8, "img_resolution": 8, "fmap_base": 64, "fmap_max": 8}),
        "Discriminator": (Discriminator, {"img_resolution": 8, "fmap_base": 64, "fmap_max": 8}),
        "from_pretrained": (
            Generator.from_pretrained,
            {"name_or_path": str(GOLDEN / "T" / "network_nosrc.pkl"), "local_files_only": True},
        ),
        "sample": (G.sample, {"progress": False}),
        "sample of classes": (conditional.sample, {"labels": 1, "progress": False}),
        "render": (G.render, {"ws": ws, "progress": False}),
        "z": (G.z, {"seeds": 1}),
        "noise": (G.noise, {"seeds": 1}),
        "ws": (G.ws, {"seeds": 1}),
        "broadcast": (G.broadcast, {"w": w}),
        "G.truncate": (G.truncate, {"ws": ws}),
        "G.mix_styles": (G.mix_styles, {"ws_a": ws, "ws_b": ws, "layers": "coarse"}),
        "G.edit": (G.edit, {"ws": ws, "direction": direction, "strength": 1.0}),
        "G": (G, {"z": z}),
        "mapping": (G.mapping, {"z": z}),
        "synthesis": (G.synthesis, {"ws": ws}),
        "D": (D, {"img": img}),
        "default_batch_size": (G.default_batch_size, {"n": 4}),
        "edit": (edit, {"ws": ws, "direction": direction, "strength": 1.0}),
        "grid": (stylegan.grid, {"images": tiles}),
        "z_from_seeds": (stylegan.z_from_seeds, {"seeds": 1, "z_dim": 8}),
        "truncate": (stylegan.truncate, {"ws": ws, "w_avg": G.w_avg}),
        "mix_styles": (stylegan.mix_styles, {"ws_a": ws, "ws_b": ws, "layers": 2}),
        "slerp": (L.slerp, {"a": z, "b": z, "t": 0.5}),
        "noise_from_seeds": (L.noise_from_seeds, {"seeds": 1, "shapes": [(4, 4)]}),
        "latents.broadcast": (L.broadcast, {"w": w, "num_ws": 4}),
        "to_uint8": (images.to_uint8, {"img": img}),
        "from_uint8": (images.from_uint8, {"img": img.to(torch.uint8)}),
        "to_numpy": (images.to_numpy, {"img": img}),
        "to_pil": (images.to_pil, {"img": img}),
        "display_size": (images.display_size, {"img_resolution": 8, "size": 16}),
        "resize": (images.resize, {"image": tiles[0], "size": 16}),
        "encode": (images.encode, {"image": tiles[0], "suffix": ".png"}),
        "style_mixing": (
            figures.style_mixing,
            {"sources_a": seeds, "coarse": seeds, "middle": [], "fine": seeds} | figure | {"G": G},
        ),
        "noise_examples": (figures.noise_examples, {"seeds": seeds, "realizations": 4} | figure | {"G": G}),
        "noise_layers": (figures.noise_layers, {"seeds": seeds, "size": 8, "progress": False, "G": G}),
        "truncation": (figures.truncation, {"seeds": seeds, "truncation_psi": [1.0]} | figure | {"G": G}),
        "uncurated": (figures.uncurated, {"seeds": seeds} | figure | {"G": G}),
        "noise_deviation": (figures.noise_deviation, {"G": G, "ws": ws[:1], "noise_seeds": [1, 2], "progress": False}),
        "interpolate": (lambda **a: next(iter(animation.interpolate(G, **a))), {"seeds": [1, 2], "num_frames": 2}),
        "seed_walk": (animation.seed_walk, {"G": G, "seeds": [1, 2]}),
        "ws_walk": (animation.ws_walk, {"ws": ws}),
        "sefa": (editing.sefa, {"G": G, "n": 1}),
        "pca": (editing.pca, {"G": G, "n": 1, "samples": 20}),
        "boundary": (editing.boundary, {"G": G, "name": "a", "w": w, "scores": torch.arange(2.0)}),
        "orthogonalize": (editing.orthogonalize, {"G": G, "direction": direction, "others": []}),
        "find_direction": (editing.find_direction, {"G": G, "name": "sefa:0"}),
        "bundled_directions": (editing.bundled_directions, {"G": G}),
        "frechet_distance": (metrics.frechet_distance, {"a": features, "b": features}),
        "kernel_distance": (metrics.kernel_distance, {"a": features, "b": features, "subsets": 2, "subset_size": 4}),
        "precision_recall": (metrics.precision_recall, {"real": features, "fake": features}),
        "separability": (metrics.separability, {"latents": features, "logits": features[:, 0]}),
    }


# Not odd here: they lead to files, to other networks, or to work without end that was asked for.
SKIPPED = {"cache_dir", "token", "revision", "self", "args", "kwargs", "force_download", "local_files_only"}


def arguments(function: Callable[..., Any], given: dict[str, Any]) -> list[str]:
    """The names of what can be given."""
    target = function.forward if isinstance(function, torch.nn.Module) else function
    parameters = [p.name for p in inspect.signature(target).parameters.values() if p.kind is not p.VAR_KEYWORD]
    return [name for name in dict.fromkeys([*given, *parameters]) if name not in SKIPPED]


_FOLDER = tempfile.TemporaryDirectory()
CALLS = calls(Path(_FOLDER.name))


@pytest.mark.parametrize("name", CALLS)
def test_odd_arguments_give_our_error_or_a_result(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # Odd names of files are names.
    function, given = CALLS[name]
    wrong = []
    for argument in arguments(function, given):
        for value in random.Random(f"{name} {argument}").sample(ODD, SAMPLED):
            try:
                with warnings.catch_warnings(), torch.no_grad():
                    warnings.simplefilter("ignore")
                    function(**given | {argument: value})
            except StyleGANError:
                pass
            except Exception as error:
                wrong.append(f"{argument}={shown(value):.60}: {type(error).__name__}: {str(error)[:100]}")
    assert not wrong, "\n".join([f"{name}: {len(wrong)}", *wrong])

"""The words of other libraries in Python: they work, or the error names ours."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan import Discriminator, Generator
from stylegan.editing import find_direction
from stylegan.errors import InputError, UnsafeFileError
from stylegan.images import recall, save
from stylegan.networks.generator import whole_config

from ..conftest import tiny_generator


@pytest.mark.parametrize(
    ("arguments", "ours"),
    [
        ({"torch_dtype": torch.float16}, "there is no argument torch_dtype; write dtype=torch.float16"),
        ({"subfolder": "a"}, "name the file in the repository"),
        ({"variant": "fp16"}, "name the file in the repository"),
        ({"device_map": "auto"}, 'write device="cuda"'),
    ],
)
def test_words_for_files_are_answered_with_ours(arguments: dict[str, Any], ours: str) -> None:
    with pytest.raises(InputError) as error:
        Generator.from_pretrained("faces-64", **arguments)
    assert ours in str(error.value)


def test_words_for_networks_and_samples_too(tiny: Generator) -> None:
    arguments: dict[str, Any] = {"resolution": 64}
    with pytest.raises(InputError, match="there is no argument resolution; write img_resolution=64"):
        Generator(**arguments)
    make: Any = Generator
    with pytest.raises(InputError, match=r"arguments have names here; .*from_pretrained\('faces-64'\)"):
        make("faces-64")
    arguments = {"psi": 0.5}
    with pytest.raises(InputError, match=r"there is no argument psi; write truncation_psi=0.5"):
        tiny.sample(**arguments)
    arguments = {"colour": 1}
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        tiny.sample(**arguments)
    assert "img_resolution" in whole_config(tiny.config)  # The signature is seen through.


def test_a_generator_draws_seeds_that_pictures_remember(tiny: Generator, tmp_path: Path) -> None:
    first = tiny.sample(3, generator=torch.Generator().manual_seed(1))
    again = tiny.sample(3, generator=torch.Generator().manual_seed(1))
    assert [image.tobytes() for image in first] == [image.tobytes() for image in again]
    save(first[2], tmp_path / "a.png")
    seed = int(recall(tmp_path / "a.png")["seed"])
    assert tiny.sample(seeds=[seed])[0].tobytes() == first[2].tobytes()
    source = torch.Generator().manual_seed(1)
    assert tiny.sample(generator=source)[0].tobytes() != tiny.sample(generator=source)[0].tobytes()
    with pytest.raises(InputError, match="generator draws the seeds"):
        tiny.sample(seeds=[1], generator=source)
    wrong: Any = 5
    with pytest.raises(InputError, match=r"a torch.Generator, without seeds; got 5"):
        tiny.sample(generator=wrong)


def test_edits_by_the_names_of_what_ships_with_a_model(faces: Generator, tiny: Generator) -> None:
    ws = faces.ws([1, 2])
    assert torch.equal(faces.edit(ws, "age", 2), faces.edit(ws, find_direction(faces, "age"), 2))
    with pytest.raises(InputError, match=r"no direction 'agee' ships with faces-64; it has .*age"):
        faces.edit(ws, "agee", 2)
    with pytest.raises(InputError, match="it has none"):
        tiny.edit(tiny.ws([1]), "age", 2)


def test_state_dicts_of_ours_are_read_back(tmp_path: Path) -> None:
    for options in ({}, {"label_dim": 3, "z_dim": 20}, {"synthesis": {"use_noise": False}}):
        G = tiny_generator(**options)
        torch.save(G.state_dict(), tmp_path / "G.pt")
        again = Generator.from_pretrained(tmp_path / "G.pt")
        labels = 1 if G.label_dim else None
        assert torch.equal(
            again.sample(2, labels=labels, output_type="pt"), G.sample(2, labels=labels, output_type="pt")
        )
        assert "a state dict tells no config" in again.metadata["notes"][0]
    D = Discriminator(img_resolution=16, fmap_base=128, fmap_max=16)
    torch.save(D.state_dict(), tmp_path / "D.pt")
    img = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Discriminator.from_pretrained(tmp_path / "D.pt")(img), D(img))


def test_a_pickled_generator_is_answered_with_save(tmp_path: Path, tiny: Generator) -> None:
    torch.save(tiny, tmp_path / "G.pt")
    with pytest.raises(UnsafeFileError, match=r'pickled with its code; G.save\("model.safetensors"\)'):
        Generator.from_pretrained(tmp_path / "G.pt")


@pytest.mark.parametrize("place", ["cpu", "meta"])
def test_globals_of_torch_around_loading_change_nothing(place: str, faces: Generator) -> None:
    expected = faces.sample(seeds=[1], output_type="np")
    with torch.device(place), torch.inference_mode():
        G = Generator.from_pretrained("faces-64")
        assert G.device.type == "cpu"
        assert (G.sample(seeds=[1], output_type="np") == expected).all()
        blend = G.blend(G)
    assert not any(tensor.is_inference() for tensor in [*G.state_dict().values(), *blend.state_dict().values()])
    assert (blend.sample(seeds=[1], output_type="np") == expected).all()

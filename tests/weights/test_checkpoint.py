"""Our checkpoint: one file is one model; strict, atomic, and nothing but finite numbers."""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from stylegan import Discriminator, Generator
from stylegan.errors import InputError, IntegrityError, NotFoundError, WeightsError
from stylegan.runtime.atomic_files import write_atomically
from stylegan.weights import manifest
from stylegan.weights.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

from ..conftest import tiny_generator


@pytest.fixture
def saved(tiny: Generator, tmp_path: Path) -> Path:
    tiny.save(tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_a_saved_generator_comes_back(tiny: Generator, saved: Path) -> None:
    G = Generator.from_pretrained(saved)
    assert same(G, tiny)
    assert G.config == tiny.config
    assert not G.training
    assert not any(p.requires_grad for p in G.parameters())
    assert torch.equal(G.sample(2, output_type="pt"), tiny.sample(2, output_type="pt"))


def test_every_option_comes_back(tmp_path: Path) -> None:
    options = {
        "label_dim": 2,
        "img_channels": 1,
        "truncation_psi": 0.5,
        "truncation_cutoff": None,
        "mapping": {"num_layers": 3, "lr_multiplier": 0.1, "nonlinearity": "relu", "normalize_z": False},
        "synthesis": {"use_noise": False, "const_input": False, "blur_filter": [1, 3, 3, 1], "progressive": False},
    }
    G = tiny_generator(**options)
    G.metadata = {"name": "odd", "license": "MIT", "kimg": 12.5}
    G.save(tmp_path / "odd.safetensors")
    again = Generator.from_pretrained(tmp_path / "odd.safetensors")
    assert (again.config, again.metadata) == (G.config, G.metadata)
    assert same(again, G)


def test_level_of_detail_comes_back(tmp_path: Path) -> None:
    G, D = tiny_generator(), Discriminator(img_resolution=16, fmap_base=64, fmap_max=8)
    G.synthesis.lod = D.lod = 0.5
    G.save(tmp_path / "G.safetensors")
    D.save(tmp_path / "D.safetensors")
    assert Generator.from_pretrained(tmp_path / "G.safetensors").synthesis.lod == 0.5
    again = Discriminator.from_pretrained(tmp_path / "D.safetensors")
    assert again.lod == 0.5
    assert same(again, D)


def test_float16_storage_halves_the_file(tiny: Generator, saved: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    tiny.save(half, dtype=torch.float16)
    assert half.stat().st_size < 0.6 * saved.stat().st_size
    G = Generator.from_pretrained(half)
    assert all(t.dtype == torch.float32 for t in G.state_dict().values())
    torch.testing.assert_close(G.sample(output_type="pt"), tiny.sample(output_type="pt"), rtol=0, atol=0.05)


def test_the_largest_numbers_are_finite(saved: Path) -> None:
    rewrite(saved, state_dict=lambda s: s | {"w_avg": torch.full([24], 3e38)})  # Their sum is not.
    assert Generator.from_pretrained(saved).w_avg[0] == 3e38


def test_hub_folder(tiny: Generator, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path / "model")
    assert sorted(os.listdir(tmp_path / "model")) == ["config.json", "model.safetensors"]
    assert same(Generator.from_pretrained(tmp_path / "model"), tiny)
    # The file alone is a model too,
    assert same(Generator.from_pretrained(tmp_path / "model" / "model.safetensors"), tiny)
    # and so are bare tensors beside their config.
    safetensors.torch.save_file(tiny.state_dict(), tmp_path / "model" / "model.safetensors")
    assert same(Generator.from_pretrained(tmp_path / "model"), tiny)


def test_hub_folder_whose_config_was_changed(tiny: Generator, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path)
    described = json.loads((tmp_path / "config.json").read_text())
    described["config"]["truncation_psi"] = 0.123
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(WeightsError, match="different networks"):
        Generator.from_pretrained(tmp_path)


def test_saving_is_atomic(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(saved, b"half a fi")
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_saved_files_have_ordinary_permissions(saved: Path) -> None:
    plain = saved.with_name("plain")
    plain.touch()
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def rewrite(path: Path, **changes: Any) -> None:
    """Save a checkpoint again with another config, tensors or header."""
    loaded = load_checkpoint(path)
    for name, value in changes.items():
        setattr(loaded, name, value(getattr(loaded, name)))
    save_checkpoint(path, loaded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {k: v for k, v in s.items() if k != "w_avg"}, "missing 'w_avg'"),
        (lambda s: s | {"extra": torch.zeros(1)}, "unexpected 'extra'"),
        (lambda s: s | {"w_avg": torch.zeros(7)}, r"'w_avg' is \[7\], expected \[24\]"),
        (lambda s: {}, "missing 'w_avg'.* and [0-9]+ more"),
        (lambda s: s | {"w_avg": torch.zeros(24, dtype=torch.int64)}, "'w_avg' is torch.int64"),
        (lambda s: s | {"w_avg": torch.zeros(24).to(torch.float8_e4m3fn)}, "'w_avg' is torch.float8"),
        (lambda s: s | {"w_avg": torch.full([24], torch.nan)}, "'w_avg' holds NaN"),
        (lambda s: s | {"w_avg": torch.tensor([torch.inf, -torch.inf] * 12)}, "'w_avg' holds NaN"),
        (lambda s: s | {"w_avg": torch.full([24], -torch.inf)}, "'w_avg' holds NaN or infinity"),
    ],
)
def test_tensors_that_do_not_fit(saved: Path, change: Callable[..., Any], message: str) -> None:
    rewrite(saved, state_dict=change)
    with pytest.raises(WeightsError, match=message):
        Generator.from_pretrained(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"w_dim": 25},
        {"unknown": 1},
        {"img_resolution": 12},
        {"img_resolution": 2**40},
        {"img_resolution": "big"},
        {"w_dim": -1},
        {"w_dim": 10**30},
        {"w_dim": None},
        {"mapping": {"num_layers": 10**9}},
        {"mapping": {"typo": 1}},
        {"mapping": []},
        {"mapping": {"nonlinearity": "system"}},
        {"synthesis": {"fmap_max": 1e300}},
        {"synthesis": {"fmap_base": 0}},
        {"synthesis": {"fmap_decay": "x"}},
        {"synthesis": {"blur_filter": [1] * 100000}},
        {"synthesis": {"blur_filter": "121"}},
        {"synthesis": {"lod": float("nan")}},
        {"seed": 3},
    ],
)
def test_configs_that_describe_no_such_network(saved: Path, change: dict[str, Any]) -> None:
    rewrite(saved, config=lambda config: config | change)
    with pytest.raises(WeightsError, match=r"tiny\.safetensors"):
        Generator.from_pretrained(saved)


def test_a_discriminator_is_no_generator(tiny: Generator, saved: Path, tmp_path: Path) -> None:
    Discriminator(img_resolution=8, fmap_base=64, fmap_max=8).save(tmp_path / "D.safetensors")
    with pytest.raises(WeightsError, match="holds a Discriminator, expected a Generator"):
        Generator.from_pretrained(tmp_path / "D.safetensors")
    with pytest.raises(WeightsError, match="holds a Generator, expected a Discriminator"):
        Discriminator.from_pretrained(saved)


def test_newer_formats_and_foreign_files(saved: Path, tiny: Generator) -> None:
    state = tiny.state_dict()
    safetensors.torch.save_file(state, saved, {"stylegan_format_version": "9"})
    with pytest.raises(WeightsError, match="pip install -U stylegan"):
        Generator.from_pretrained(saved)
    safetensors.torch.save_file(state, saved)
    with pytest.raises(WeightsError, match="without our header"):
        Generator.from_pretrained(saved)
    deep = "[" * 100_000
    for config in ("{", "[]", "7", deep, '{"a": ' + deep):
        header = {"stylegan_format_version": "1", "network": "Generator", "config": config}
        safetensors.torch.save_file(state, saved, header)
        with pytest.raises(WeightsError):
            Generator.from_pretrained(saved)


def test_damaged_files(saved: Path) -> None:
    data = saved.read_bytes()
    huge = (2**63 - 1).to_bytes(8, "little") + data[8:]
    for damaged in (data[:20], data[:-1], data + b"x", huge):
        saved.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"tiny\.safetensors: not a safetensors file, or damaged") as error:
            Generator.from_pretrained(saved)
        assert ("incomplete download" in str(error.value)) == (len(damaged) < len(data))


def raw(header: object, data: bytes = b"") -> bytes:
    """A safetensors file with this header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        raw({"a": ONE}),
        raw({"a": ONE}, bytes(7)),
        raw({"a": ONE}, bytes(9)),
        raw({"a": ONE, "b": ONE}, bytes(8)),
        raw({"a": ONE, "b": ONE | {"data_offsets": [12, 20]}}, bytes(20)),
        raw({"a": ONE | {"shape": [3]}}, bytes(8)),
        raw({"a": ONE | {"shape": [2**62, 2**62]}}, bytes(8)),
        raw({"a": ONE | {"shape": [-2]}}, bytes(8)),
        raw({"a": ONE | {"dtype": "F31"}}, bytes(8)),
        raw({"a": ONE | {"data_offsets": [8, 0]}}, bytes(8)),
        raw({"a": ONE | {"data_offsets": [0]}}, bytes(8)),
        raw({"a": {"dtype": "F32"}}, bytes(8)),
        raw({"a": 3}),
        raw([]),
        raw({"__metadata__": {"a": 1}}),
        raw({"__metadata__": "x"}),
        raw(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},' * 2 + b'"c": 0}', bytes(8)),
        raw(b'{"a": \xff}'),
        raw(b"{" * 10_000),
        raw(b""),
        (10**12).to_bytes(8, "little") + b"{}",
        b"\x80\x04K\x01.",
        b"PK\x03\x04" + bytes(100),
        raw({}),
    ],
)
def test_w1_malformed_safetensors(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match=r"a\.safetensors"):
        Generator.from_pretrained(tmp_path / "a.safetensors")


def test_names_and_paths_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, message in {
        "face-64": "did you mean 'faces-64'.*stylegan list",
        "zzzz": "unknown model 'zzzz'",
        "gone.pkl": "no such file",
        "./a/folder": "no such file or folder",
        ".": "config.json and model.safetensors",
    }.items():
        with pytest.raises(NotFoundError, match=message):
            Generator.from_pretrained(name)
    (tmp_path / "weights.bin").touch()
    with pytest.raises(WeightsError):
        Generator.from_pretrained("weights.bin")
    (tmp_path / "weights.png").touch()
    with pytest.raises(WeightsError, match=r"weights\.png: an empty file"):
        Generator.from_pretrained("weights.png")


def test_a_folder_where_a_file_is(tiny: Generator, saved: Path) -> None:
    with pytest.raises(InputError, match="is a file"):
        tiny.save_pretrained(saved)


def test_manifest_entries_are_their_files() -> None:
    """After replacing a bundled file, this says what the manifest must say."""
    for entry in (entry for entry in manifest.entries().values() if entry.is_bundled):
        with manifest.open_file(entry.files[0]) as path:
            G = Generator.from_pretrained(path)
        assert (G.name, G.img_resolution) == (entry.name, entry.resolution)
        assert (G.metadata["license"], G.metadata["license_url"]) == (entry.license, entry.license_url)
    assert Generator.from_pretrained().name == manifest.default_name()


def test_a_bundled_file_that_changed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = manifest.find("faces-64")
    changed = {"faces-64": replace(entry, files=(replace(entry.files[0], sha256="0" * 64),))}
    monkeypatch.setattr(manifest, "entries", lambda: changed)
    with pytest.raises(IntegrityError, match="the manifest expects"):
        Generator.from_pretrained("faces-64")


def test_checkpoint_of_any_network(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", Checkpoint("Other", {"x": 1}, {"t": torch.ones(2)}, {"name": "é"}))
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert (loaded.network, loaded.config, loaded.metadata) == ("Other", {"x": 1}, {"name": "é"})
    assert loaded.state_dict["t"].tolist() == [1, 1]


@pytest.mark.parametrize("name", ["faces-128", "faces-64", "avatars-128"])
def test_a_bundled_model_brings_its_discriminator(name: str) -> None:
    G, D = Generator.from_pretrained(name), Discriminator.from_pretrained(name)
    assert (D.img_resolution, D.name, D.metadata["license"]) == (G.img_resolution, name, G.metadata["license"])
    fakes = G.sample(8, output_type="pt")
    assert D(fakes).mean() < 0  # At the end of training, it can still tell.

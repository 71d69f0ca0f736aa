"""ONNX files: they compute what PyTorch computes, at any batch size, and are written as a whole or not at all."""

import copy
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from click.testing import CliRunner

from stylegan import Encoder, Generator, cli
from stylegan.editing import bundled_directions
from stylegan.encoder import new_encoder
from stylegan.errors import ExportError, InputError
from stylegan.export import OPSET, export_onnx
from stylegan.export import folder as export_folder
from stylegan.export import network as export_network

from .conftest import ROOT, tiny_generator

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")

TRADITIONAL = {"use_styles": False, "const_input": False, "use_noise": False, "use_instance_norm": False}


def run(path: Path, **inputs: Any) -> list[np.ndarray]:
    arrays = {key: np.asarray(value) for key, value in inputs.items()}
    return list(onnxruntime.InferenceSession(path).run(None, arrays))


@pytest.fixture(scope="module")
def exported(tiny: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network with noise inputs."""
    folder = tmp_path_factory.mktemp("exported") / "v1.0"
    export_onnx(tiny, folder, noise="input")
    return folder


@pytest.mark.parametrize("n", [1, 3, 4])
def test_truncation_and_mixing_outside_give_the_same_image(exported: Path, tiny: Generator, n: int) -> None:
    w, w_avg = run(exported / "mapping.onnx", z=tiny.z(range(n)))
    ws = np.repeat((w_avg + 0.6 * (w - w_avg))[:, None], tiny.num_ws, axis=1)
    ws[:, 2:] = ws[::-1, 2:]
    noise = tiny.noise(range(n))
    maps = {f"noise_{i}": map for i, map in enumerate(noise)}
    img = run(exported / "synthesis.onnx", ws=ws, **maps)[0]

    expected = tiny.ws(range(n), truncation_psi=0.6)
    expected = tiny.mix_styles(expected, expected.flip(0), 2)
    assert np.abs(img - tiny.synthesis(expected, noise=noise).numpy()).max() < 1e-4


def test_stored_noise_maps_lie_beside_the_network(exported: Path, tiny: Generator) -> None:
    stored = safetensors.numpy.load_file(exported / "noise_const.safetensors")
    ws = tiny.ws([5])
    img = run(exported / "synthesis.onnx", ws=ws, **stored)[0]
    assert np.abs(img - tiny.synthesis(ws).numpy()).max() < 1e-4
    weak = {key: value / 2 for key, value in stored.items()}
    img = run(exported / "synthesis.onnx", ws=ws, **weak)[0]
    expected = tiny.synthesis(ws, noise=[torch.from_numpy(map) for map in weak.values()])
    assert np.abs(img - expected.numpy()).max() < 1e-4


def test_files_say_what_they_are(exported: Path) -> None:
    described = json.loads((exported / "model.json").read_text())
    assert (described["img_resolution"], described["num_ws"], described["noise"]) == (16, 6, "input")
    for name, digest in described["files"].items():
        assert hashlib.sha256((exported / name).read_bytes()).hexdigest() == digest
    for name in ("mapping.onnx", "synthesis.onnx"):
        model = onnx.load(exported / name)
        properties = {p.key: p.value for p in model.metadata_props}
        assert (properties["name"], properties["num_ws"]) == ("unnamed", "6")
        assert model.opset_import[0].version == OPSET
        assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
        # Nothing of the machine that made it.
        assert str(ROOT).encode() not in (exported / name).read_bytes()


def test_what_depends_on_weights_alone_is_computed_before(exported: Path) -> None:
    """Each of the layers is one convolution with a constant kernel, transposed where it doubles the size."""
    graph = onnx.load(exported / "synthesis.onnx").graph
    weights = {tensor.name for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose")]
    assert all(node.input[1] in weights for node in convolutions)
    assert [node.op_type for node in graph.node].count("ConvTranspose") == 2


@pytest.fixture(scope="module")
def small_encoder(tiny: Generator) -> Encoder:
    return new_encoder(tiny)


@pytest.fixture(scope="module")
def with_encoder(tiny: Generator, small_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network with its encoder."""
    folder = tmp_path_factory.mktemp("with-encoder")
    export_onnx(tiny, folder, encoder=small_encoder)
    return folder


@pytest.mark.parametrize("n", [1, 4])
def test_looks_of_the_exported_encoder_give_its_ws(
    with_encoder: Path, tiny: Generator, small_encoder: Encoder, n: int
) -> None:
    described = json.loads((with_encoder / "model.json").read_text())
    assert set(described["files"]) == {"mapping.onnx", "synthesis.onnx", "encoder.onnx"}
    img = tiny(tiny.z(range(n)))
    _, w_avg = run(with_encoder / "mapping.onnx", z=tiny.z([0]))
    ws = np.broadcast_to(w_avg, (n, tiny.num_ws, tiny.w_dim))
    for _ in range(described["looks"]):
        (current,) = run(with_encoder / "synthesis.onnx", ws=ws)
        (ws,) = run(with_encoder / "encoder.onnx", img=img, current=current, ws=ws)
    expected = small_encoder.encode(img, tiny).numpy()
    assert np.abs(expected - w_avg).max() > 0.1
    assert np.abs(ws - expected).max() < 1e-4


def test_the_encoder_of_another_model_is_refused(tmp_path: Path, tiny: Generator) -> None:
    with pytest.raises(InputError, match="the encoder"):
        export_onnx(tiny, tmp_path / "out", encoder=Encoder.from_pretrained())
    assert not (tmp_path / "out").exists()


def test_exported_directions_move_ws_as_edit_does(
    tmp_path: Path, default: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_folder, "_mapping_file", lambda *given: b"")
    monkeypatch.setattr(export_folder, "_synthesis_file", lambda *given: b"")
    export_onnx(default, tmp_path)
    directions = json.loads((tmp_path / "directions.json").read_text())
    assert "directions.json" in json.loads((tmp_path / "model.json").read_text())["files"]
    known = bundled_directions(default)
    assert [d["name"] for d in directions] == sorted(known)
    ws = default.ws([5])
    for d in directions:
        first, stop = d["layers"]
        moved = ws.clone()
        moved[:, first:stop] += d["strengths"][1] * d["std"] * torch.tensor(d["vector"])
        direction = known[d["name"]]
        assert torch.allclose(moved, default.edit(ws, direction, direction.strengths[1]), atol=1e-5)
        assert d["positive"] == direction.positive


@pytest.mark.parametrize(
    "options",
    [
        {"synthesis": TRADITIONAL, "mapping": {"num_layers": 0}},
        {
            "label_dim": 3,
            "img_channels": 1,
            "synthesis": {"lod": 0.5, "bilinear_upscale": True, "blur_filter": (1, 3, 3, 1)},
        },
    ],
    ids=["traditional", "conditional and growing"],
)
def test_every_kind_of_network_is_exported(tmp_path: Path, options: dict[str, Any]) -> None:
    """The export itself compares with PyTorch; here the batch size differs from those that it tries."""
    G = tiny_generator(**options)
    mapping, synthesis, _ = export_onnx(G, tmp_path)
    labels = {"labels": torch.eye(G.label_dim)[[0, 1, 2, 0]]} if G.label_dim else {}
    w = run(mapping, z=G.z(range(4)), **labels)[0]
    img = run(synthesis, ws=np.repeat(w[:, None], G.num_ws, axis=1))[0]
    assert np.abs(img - G(G.z(range(4)), *labels.values()).numpy()).max() < 1e-4


def test_a_network_that_came_out_wrong_is_not_written(
    tmp_path: Path, tiny: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylegan.export.network.TOLERANCE", 1e-12)
    with pytest.raises(ExportError, match=r"mapping.onnx: differs from PyTorch by .* at batch size 1"):
        export_onnx(tiny, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("folder", "noise", "message"), [("a.onnx", "const", "a file's name"), ("a", "random", "one of 'const', 'input'")]
)
def test_wrong_arguments_are_refused(tmp_path: Path, tiny: Generator, folder: str, noise: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export_onnx(tiny, tmp_path / folder, noise=noise)


def test_without_the_packages_the_error_names_the_extra(
    tmp_path: Path, tiny: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r'pip install "stylegan\[onnx\]"'):
        export_onnx(tiny, tmp_path)


def test_the_command_replaces_existing_files_only_by_force(
    tmp_path: Path, tiny: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.save("tiny.safetensors")
    out = Path("web/model")
    out.mkdir(parents=True)
    (out / "noise_const.safetensors").write_bytes(b"mine")
    (out / "encoder.onnx").write_bytes(b"mine too")
    command = ["export", "tiny.safetensors", "--format", "onnx", "--out", str(out)]
    refused = CliRunner().invoke(cli.main, command)
    assert refused.exit_code == 1
    assert "holds noise_const.safetensors, encoder.onnx;" in refused.output
    assert sorted(path.name for path in out.iterdir()) == ["encoder.onnx", "noise_const.safetensors"]
    new_encoder(tiny).save("encoder.safetensors")
    result = CliRunner().invoke(cli.main, [*command, "--force", "--encoder", "encoder.safetensors"])
    assert result.exit_code == 0, result.output
    written = ["encoder.onnx", "mapping.onnx", "model.json", "synthesis.onnx"]
    assert sorted(path.name for path in out.iterdir()) == written


def flat_network() -> Generator:
    """Its maps hardly vary about a large mean, as those of young networks: float32 is off by over the tolerance."""
    G = tiny_generator()
    for layer in G.synthesis.layers:
        layer.bias.data += 3000
    return G


def test_networks_inexact_in_float32_are_exported_with_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    G = flat_network()
    ws = G.ws([7])
    exact = copy.deepcopy(G).double().synthesis(ws.double()).numpy()
    rounding = np.abs(G.synthesis(ws).numpy() - exact).max()
    assert rounding > 1e-4 * np.abs(exact).max()
    export_onnx(G, tmp_path)
    assert "synthesis.onnx: float32 is off by" in caplog.text
    img = run(tmp_path / "synthesis.onnx", ws=ws)[0]
    assert np.abs(img - exact).max() < 10 * rounding


def test_more_than_rounding_is_refused_on_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan.export.network._ROUNDING", 1e-3)
    with pytest.raises(ExportError, match=r"synthesis.onnx: differs from PyTorch by"):
        export_onnx(flat_network(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_well_conditioned_networks_are_held_to_the_tolerance(
    tmp_path: Path, tiny: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where float32 is exact, nothing else excuses a difference."""
    compare = export_network.compare

    def compare_with_others(name: Any, data: Any, inputs: Any, rounded: Any, exact: Any) -> None:
        off = 2e-4 * max(1, exact[0].abs().max()) * (name == "synthesis.onnx")
        compare(name, data, inputs, [value + off for value in rounded], [value + off for value in exact])

    monkeypatch.setattr(export_folder, "compare", compare_with_others)
    with pytest.raises(ExportError, match=r"synthesis\.onnx: differs"):
        export_onnx(tiny, tmp_path / "out")

"""Latents and boundaries that other tools wrote: read by content, never unpickled, refused with their shapes."""

import io
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from stylegan import Generator
from stylegan.editing import directions_in, find_direction
from stylegan.errors import InputError
from stylegan.latents.files import Latents
from stylegan.weights.formats.arrays import is_array_file, read_arrays


def write(path: Path, array: np.ndarray, kind: str) -> Path:
    """An array as tools keep it; the name says nothing."""
    if kind == "npy":
        with path.open("wb") as file:
            np.save(file, array)
    elif kind == "npz":  # projected_w.npz of stylegan2-ada.
        with path.open("wb") as file:
            np.savez(file, w=array)
    elif kind == "pt":
        torch.save(torch.from_numpy(array), path)
    elif kind == "old pt":
        torch.save(torch.from_numpy(array), path, _use_new_zipfile_serialization=False)
    else:  # rosinality's projector.
        noise = [torch.zeros(1, 1, 4, 4)]
        torch.save({"a/face.png": {"img": torch.zeros(3), "latent": torch.from_numpy(array), "noise": noise}}, path)
    return path


@pytest.mark.parametrize("kind", ["npy", "npz", "pt", "old pt", "projected pt"])
@pytest.mark.parametrize("suffix", ["npy", "bin"])
def test_every_container_is_known_by_its_content(tiny: Generator, tmp_path: Path, kind: str, suffix: str) -> None:
    ws = tiny.ws([1, 2])
    ws[:, 3:] *= 0.5  # One w for each layer.
    path = write(tmp_path / f"faces.{suffix}", ws.numpy(), kind)
    latents = Latents.load(path, tiny)
    assert torch.equal(latents.ws, ws)
    stem = "face" if kind == "projected pt" else "faces"
    assert (latents.names, latents.noise) == ([f"{stem}-0", f"{stem}-1"], None)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_w_of_every_shape_becomes_styles(tiny: Generator, tmp_path: Path, dtype: str, order: Literal["C", "F"]) -> None:
    w = tiny.mapping(tiny.z([1, 2, 3])).half().float()
    expected = tiny.broadcast(w)
    for array, n in (
        (w, 3),
        (w[0], 1),
        (w[:, None], 3),
        (expected, 3),
        (expected[0], 1),  # [num_ws, w_dim], as stylegan-encoder keeps one face.
    ):
        path = write(tmp_path / "w.npy", np.asarray(array.numpy(), dtype=dtype, order=order), "npy")
        assert torch.equal(Latents.load(path, tiny).ws, expected[:n])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 18, 24), r"w \[N, 24\] or styles \[N, 6, 24\] for unnamed, got \[3, 18, 24\]"),
        ((2, 512), r"got \[2, 512\]"),
        ((1, 1, 6, 24), r"got \[1, 1, 6, 24\]"),
        ((0, 24), r"floating point, got .* \[0, 24\]"),
    ],
)
def test_shapes_that_do_not_fit_are_named(
    tiny: Generator, tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    path = write(tmp_path / "w.npy", np.zeros(shape, np.float32), "npy")
    with pytest.raises(InputError, match=message):
        Latents.load(path, tiny)


def npy(header: str, data: bytes = b"") -> bytes:
    """A .npy file with a header of one's own."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def zipped(**members: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return data.getvalue()


def pickled(tmp_path: Path) -> bytes:
    np.save(tmp_path / "object.npy", np.array({"w": 1}, dtype=object), allow_pickle=True)
    return (tmp_path / "object.npy").read_bytes()


ZEROS = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 24), }", bytes(96))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 512), }"), "claims .* does not hold"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 512), }", bytes(99)), "no array of latents"),
        (npy("{'descr': 'O', 'fortran_order': False, 'shape': (1,), }", b"cos\nsystem\n."), "Python objects"),
        (npy("{'descr': '<U9', 'fortran_order': False, 'shape': (1,), }", bytes(99)), "its type is"),
        (npy("__import__('os').system('false')"), "no array of latents, or damaged"),
        (
            npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1, 24), }", bytes(96)),
            "floating point, got torch.int32",
        ),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", b"\0\0\xc0\x7f"), "NaN or infinity"),
        (zipped(a=ZEROS, b=ZEROS), r"holds a \[1, 24\], b \[1, 24\]; expected one array"),
        (ZEROS[:-1], "does not hold"),
        (b"\x93NUMPY", "or damaged"),
        (b"PK\x03\x04", "no|not"),
        (b"\x80\x02cposix\nsystem\n(S'false'\ntR.", "posix"),
    ],
)
def test_files_that_lie_are_refused_and_nothing_runs(
    tiny: Generator, tmp_path: Path, data: bytes, message: str
) -> None:
    (tmp_path / "w.npy").write_bytes(data)
    with pytest.raises(InputError, match=message):
        Latents.load(tmp_path / "w.npy", tiny)


def test_pickled_arrays_are_refused(tiny: Generator, tmp_path: Path) -> None:
    (tmp_path / "w.npy").write_bytes(pickled(tmp_path))
    with pytest.raises(InputError, match=r"w\.npy: .*Python objects \(pickled\)"):
        Latents.load(tmp_path / "w.npy", tiny)


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bomb.npz").write_bytes(zipped(w=bytes(10**6)))
    monkeypatch.setattr("stylegan.weights.formats.arrays.MAX_BYTES", 10**5)
    with pytest.raises(InputError, match="unpacks to more than 100,000 bytes"):
        read_arrays(tmp_path / "bomb.npz", what="latents")
    (tmp_path / "large.npy").write_bytes(ZEROS + bytes(10**5))
    with pytest.raises(InputError, match="are too many for latents"):
        read_arrays(tmp_path / "large.npy", what="latents")


def test_our_own_files_are_no_arrays(tiny: Generator, tmp_path: Path) -> None:
    Latents.of(tiny, tiny.ws([1])).save(tmp_path / "l.safetensors")
    assert not is_array_file(tmp_path / "l.safetensors")
    assert not is_array_file(tmp_path / "gone")


@pytest.mark.parametrize("kind", ["npy", "npz", "pt"])
def test_boundaries_of_other_tools_are_directions(tiny: Generator, tmp_path: Path, kind: str) -> None:
    vector = np.random.RandomState(0).randn(1, tiny.w_dim).astype(np.float32) * 7
    path = write(tmp_path / "smile.npy", vector, kind)
    direction = find_direction(tiny, "smile", path=path)
    assert (direction.model, direction.layers, direction.method) == (tiny.name, (0, tiny.num_ws), "boundary")
    assert torch.allclose(direction.vector * 1.0, torch.from_numpy(vector[0] / np.linalg.norm(vector)), atol=1e-6)
    moved = tiny.edit(tiny.ws([1]), direction, 2.0) - tiny.ws([1])
    assert torch.allclose(moved[0, 0].norm(), torch.tensor(2 * direction.std), rtol=1e-4)


def test_boundaries_are_numbered_and_wrong_shapes_named(tiny: Generator, tmp_path: Path) -> None:
    many = np.eye(3, tiny.w_dim, dtype=np.float32)
    assert list(directions_in(tiny, write(tmp_path / "pc.npy", many, "npy"))) == ["pc:0", "pc:1", "pc:2"]
    for shape, message in (
        ((tiny.num_ws, tiny.w_dim), "for each layer"),
        ((1, 512), r"expected directions \[24\] or \[N, 24\] for unnamed, got \[1, 512\]"),
    ):
        with pytest.raises(InputError, match=message):
            directions_in(tiny, write(tmp_path / "b.npy", np.ones(shape, np.float32), "npy"))
    with pytest.raises(InputError, match=r"got \[24\], all of it 0"):
        directions_in(tiny, write(tmp_path / "b.npy", np.zeros(tiny.w_dim, np.float32), "npy"))
    with pytest.raises(InputError, match="there are pc:0, pc:1, pc:2"):
        find_direction(tiny, "age", path=tmp_path / "pc.npy")

"""The reader of torch.save files: gives what torch.load gives, runs nothing, and bounds what a file can claim."""

import io
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylegan.errors import UnsafeFileError, WeightsError
from stylegan.weights.formats.torch_files import read_torch_file
from stylegan.weights.ports import read_port_file

from ..ports import writers as ports
from ..ports.golden_sets import golden_set
from .hostile import calls, check_harmless, payloads
from .limits import read_within_limits


def save(value: Any, path: Path, *, legacy: bool = False) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


def training_state() -> dict[str, object]:
    """What training files hold: weights, an optimizer, a schedule, numbers."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 3)).sum().backward()
    optimizer.step()
    tensors = OrderedDict(
        transposed=torch.randn(4, 5).T,
        window=torch.randn(10)[3:7],
        half=torch.randn(3).half(),
        bfloat=torch.randn(3).bfloat16(),
        double=torch.randn(3).double(),
        integers=torch.arange(4),
        truth=torch.tensor([True, False]),
        scalar=torch.tensor(1.5),
        empty=torch.empty(0, 3),
        parameter=nn.Parameter(torch.ones(3)),
    )
    return {
        "model": model.state_dict(),
        "tensors": tensors,
        "optimizer": optimizer.state_dict(),
        "schedule": torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2]).state_dict(),
        "numbers": [1, 2.5, None, True, "text", (3, 4), torch.Size([5]), -(2**40)],
    }


def assert_same(given: Any, expected: Any) -> None:
    if isinstance(expected, Tensor):
        assert given.dtype == expected.dtype
        assert torch.equal(given, expected)
    elif isinstance(expected, dict):
        assert list(given) == list(expected)
        for key, value in expected.items():
            assert_same(given[key], value)
    elif isinstance(expected, list | tuple):
        assert len(given) == len(expected)
        for one, two in zip(given, expected, strict=True):
            assert_same(one, two)
    else:
        assert given == expected


@pytest.mark.parametrize("legacy", [False, True])
def test_reads_what_torch_load_reads(tmp_path: Path, legacy: bool) -> None:
    path = save(training_state(), tmp_path / "a.pth", legacy=legacy)
    expected = torch.load(path, weights_only=False)
    assert_same(read_torch_file(path), expected)


def test_cuda_and_windowed_storages_of_old_files(tmp_path: Path) -> None:
    """As torch before 0.4 wrote them on a GPU: written by hand here, for want of one."""
    code = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
        pickle.dump(value, code, 2)
    code.write(
        b"\x80\x02}U\x01wctorch._utils\n_rebuild_tensor\n"
        b"((U\x07storagectorch.cuda\nFloatStorage\nU\x0294U\x06cuda:0K\x06U\x0295K\x02K\x04\x87tQ"
        b"K\x01K\x03\x85K\x01\x85tRs."
    )
    pickle.dump(["94"], code, 2)
    code.write((6).to_bytes(8, "little") + np.arange(6, dtype="<f4").tobytes())
    path = tmp_path / "old.pth"
    path.write_bytes(code.getvalue())
    assert read_torch_file(path)["w"].tolist() == [3, 4, 5]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("where", ["tracker.RunningMean", "runners.running_stats.SingleStats"])
def test_reads_past_the_records_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, legacy: bool
) -> None:
    class Record:
        def __init__(self) -> None:
            self.mean, self.number = torch.ones(3), np.float64(2.5)

    Record.__module__, Record.__qualname__ = where.rsplit(".", 1)
    for i in range(1, where.count(".") + 1):
        name = ".".join(where.split(".")[:i])
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    setattr(sys.modules[Record.__module__], Record.__qualname__, Record)
    golden = golden_set("T")
    models = {
        "generator_s": ports.podgorskiy_generator(golden.g, multiplied=True),
        "mapping_s": ports.podgorskiy_mapping(golden.g, multiplied=True),
    }
    path = save(
        {"models": models, "auxiliary": {"tracker": {"tracks": {"loss": Record()}}}}, tmp_path / "a.pth", legacy=legacy
    )
    monkeypatch.delitem(sys.modules, Record.__module__)
    assert [checkpoint.network for checkpoint in read_port_file(path)] == ["Generator"]


# Hostile files


def hostile() -> dict[str, object]:
    """Hostile objects, and what files of plain weights never hold, alone and in containers."""
    bad = payloads() | {
        "numpy array": np.ones(3),
        "module": nn.Linear(2, 2),
        "storage called": calls(torch.FloatStorage, 10**12),
    }
    nested = {f"nested {name}": {"generator": {"a": [payload]}} for name, payload in bad.items()}
    as_key = {f"key {name}": {(name,): payload} for name, payload in list(bad.items())[:2]}
    return bad | nested | as_key


def run_hostile_files() -> None:
    """In a process of its own: every hostile file, as torch.save writes it and as plain pickles."""
    folder = Path(os.environ["SENTINEL"]).parent
    refused = 0
    for name, payload in hostile().items():
        files = []
        for legacy in (False, True):
            files.append(save(payload, folder / f"hostile{legacy}.pth", legacy=legacy))
        for protocol in range(6):
            files.append(folder / f"hostile{protocol}.pkl")
            try:
                files[-1].write_bytes(pickle.dumps(payload, protocol))
            except (pickle.PicklingError, AttributeError, TypeError):
                files.pop()
        for path in files:
            try:
                read_port_file(path)
            except WeightsError as error:
                # Plain pickles may be refused as no torch file, before their content is looked at.
                if not isinstance(error, UnsafeFileError) and path.suffix != ".pkl":
                    raise AssertionError(f"{name} in {path.name}: {error}") from error
                refused += 1
                continue
            raise AssertionError(f"{name} in {path.name} was read")
    print("refused", refused)


def test_hostile_files_are_refused_and_do_nothing(tmp_path: Path) -> None:
    check_harmless(__name__, tmp_path, least=200)


def archive(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return path


def entries_of(value: Any) -> dict[str, bytes]:
    """The entries of the archive that torch.save writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    with zipfile.ZipFile(buffer) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_unsafe_archives(tmp_path: Path) -> None:
    good = entries_of({"a": torch.ones(1000)})
    path = tmp_path / "a.pth"
    assert read_torch_file(archive(path, good))["a"].sum() == 1000
    for changes, compression, expected in [
        ({"../escape": b"x"}, zipfile.ZIP_STORED, "unsafe or repeated name"),
        ({"/absolute": b"x"}, zipfile.ZIP_STORED, "unsafe or repeated name"),
        ({"C:\\windows": b"x"}, zipfile.ZIP_STORED, "unsafe or repeated name"),
        ({}, zipfile.ZIP_DEFLATED, "compressed"),
        ({"archive/data/1": b"0" * 10**8}, zipfile.ZIP_DEFLATED, "compressed"),
        ({"archive/constants.pkl": b"x"}, zipfile.ZIP_STORED, "TorchScript"),
    ]:
        with pytest.raises(UnsafeFileError, match=expected):
            read_torch_file(archive(path, good | changes, compression))
    for changes, expected in [
        ({"archive/byteorder": b"big"}, "big-endian"),
        ({"other/data.pkl": b"x"}, "no single NAME/data.pkl"),
        ({"archive/data/0": b"0" * 3999}, "claims 1000 values"),
    ]:
        with pytest.raises(WeightsError, match=expected):
            read_torch_file(archive(path, good | changes))
    # Many entries of the same bytes: all but the first are in the directory alone.
    data = archive(path, good | {f"archive/data/{i}": b"" for i in range(10, 13)}).read_bytes()
    directory = data.index(b"PK\x01\x02")
    sizes = bytearray(data[directory:])
    for i in range(10, 13):
        header = sizes.index(f"archive/data/{i}".encode()) - 46
        sizes[header + 20 : header + 28] = (len(data) // 2).to_bytes(4, "little") * 2
    path.write_bytes(data[:directory] + sizes)
    with pytest.raises(UnsafeFileError, match="claim more than the file holds"):
        read_torch_file(path)
    # The same name twice: one entry renamed within the file, where it has the same length.
    data = archive(path, good | {"archive/data/1": b"x"}).read_bytes()
    path.write_bytes(data.replace(b"archive/data/1", b"archive/data/0"))
    with pytest.raises(UnsafeFileError, match="repeated name"):
        read_torch_file(path)


def with_pickle(code: bytes) -> dict[str, bytes]:
    return {"archive/data.pkl": code, "archive/data/0": b"\0" * 24, "archive/version": b"3\n"}


def tensor_code(
    numel: int = 6, offset: int = 0, size: tuple[Any, ...] = (2, 3), stride: tuple[Any, ...] = (3, 1), key: str = "0"
) -> bytes:
    """The pickle of {"a": a tensor}, with these claims."""

    def number(n: int) -> bytes:
        return b"\x8a\x08" + n.to_bytes(8, "little", signed=True)

    def sizes(values: tuple[Any, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    return (
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        + b"X\x01\x00\x00\x00"
        + key.encode()
        + b"X\x03\x00\x00\x00cpu"
        + number(numel)
        + b"tQ"
        + number(offset)
        + sizes(size)
        + sizes(stride)
        + b"\x89ccollections\nOrderedDict\n)RtRs."
    )


def laughs() -> bytes:
    value: list[Any] = ["lol"]
    for _ in range(60):
        value = [value] * 10
    return pickle.dumps({"models": {"generator": {"a": value}}}, 4)


BOMBS = {
    "a terabyte": tensor_code(numel=2**38, size=(2**38,), stride=(1,)),
    "a repeated value": tensor_code(size=(2**20, 2**20), stride=(0, 0)),
    "beyond the storage": tensor_code(offset=1),
    "before the storage": tensor_code(offset=-1),
    "backwards": tensor_code(stride=(-3, -1)),
    "another storage": tensor_code(key="7"),
    "sizes": tensor_code(size=(1,) * 1000, stride=(1,) * 1000),
    "bytes": b"\x80\x04\x8e" + (10**12).to_bytes(8, "little") + b"x.",
    "memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "opcodes": b"(" * 2_000_000,
    "laughs": laughs(),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_bombs_are_refused_in_little_memory_and_time(tmp_path: Path) -> None:
    assert read_torch_file(archive(tmp_path / "good.pth", with_pickle(tensor_code())))["a"].shape == (2, 3)
    paths = []
    for name, code in BOMBS.items():
        paths.append(archive(tmp_path / f"{name}.pth", with_pickle(code)))
        legacy = io.BytesIO()
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(value, legacy, 2)
        legacy.write(code + pickle.dumps(["0"], 2) + (2**38).to_bytes(8, "little"))
        paths.append(tmp_path / f"{name}.legacy.pth")
        paths[-1].write_bytes(legacy.getvalue())
    for path in paths:
        said = read_within_limits(partial(read_port_file, path), megabytes=400)
        assert said in ("WeightsError", "UnsafeFileError"), path


# Damaged files


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    for legacy in (False, True):
        data = save({"a": torch.ones(100)}, path, legacy=legacy).read_bytes()
        for damaged in (b"", data[:3], data[:100], data[: len(data) // 2], data[:-1], data[:-30]):
            path.write_bytes(damaged)
            with pytest.raises(WeightsError):
                read_torch_file(path)
    for other in (b"<html>404</html>", b"version https://git-lfs", b"\x89PNG\r\n", b"\x08" + b"\0" * 7 + b"{}      "):
        path.write_bytes(other)
        with pytest.raises(WeightsError):
            read_torch_file(path)


def test_values_that_are_not_finite_are_named(tmp_path: Path) -> None:
    state = ports.genforce_generator(golden_set("T").g)
    state["synthesis.layer3.bias"] = torch.full_like(state["synthesis.layer3.bias"], torch.nan)
    with pytest.raises(WeightsError, match=r"a\.pth: tensor 'synthesis\.layer3\.bias' holds NaN or infinity"):
        read_port_file(save(state, tmp_path / "a.pth"))

"""Files that are not for this library are named, with their path and what to do; a name alone counts for nothing."""

import argparse
import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from stylegan import Generator
from stylegan.errors import UnsafeFileError, WeightsError
from stylegan.runtime import file_kinds as kinds
from stylegan.runtime.file_kinds import kind_of

from ..conftest import GOLDEN
from ..weights.ports import writers as ports
from ..weights.ports.golden_sets import golden_set

OFFICIAL = GOLDEN / "T" / "network_nosrc.pkl"
SUFFIXES = [".pkl", ".pt", ".bin", ".safetensors"]


def picture(format: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, format)
    return file.getvalue()


def tar(mode: Any) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        archive.addfile(tarfile.TarInfo("network.pkl"))
    return file.getvalue()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zip:
        for name in names:
            zip.writestr(name, b"x")
    return file.getvalue()


def torch_script() -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), file)
    return file.getvalue()


def saved(function: Any, *values: Any) -> bytes:
    file = io.BytesIO()
    function(file, *values)
    return file.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 325000000\n"
FOREIGN = {
    "nothing": (b"", "an empty file; write, copy or download it again"),
    "zeros": (bytes(10_000), "nothing but zeros"),
    "html": (b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title>", r"a web page \(HTML\)"),
    "html after blanks": (b"\xef\xbb\xbf\n  <!-- a -->\n<HTML lang=en>", "a web page"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
    "lfs": (LFS, "a Git LFS pointer.*git lfs pull"),
    "annex": (b"/annex/objects/SHA256E-s1--00.pkl\n", "git annex get"),
    "png": (picture("PNG"), r"an image \(PNG\)"),
    "jpeg": (picture("JPEG"), r"an image \(JPEG\)"),
    "webp": (picture("WEBP"), r"an image \(WebP\)"),
    "gif": (picture("GIF"), r"an image \(GIF\)"),
    "bmp": (picture("BMP"), r"an image \(BMP\)"),
    "tiff": (picture("TIFF"), r"an image \(TIFF\)"),
    "mp4": (b"\0\0\0\x20ftypisom" + bytes(20), "a video"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
    "gz": (gzip.compress(b"x"), r"\(gzip\); unpack it"),
    "tar.gz": (tar("w:gz"), r"\(gzip\); unpack it"),
    "bz2": (bz2.compress(b"x"), r"\(bzip2\); unpack it"),
    "xz": (lzma.compress(b"x"), r"\(xz\); unpack it"),
    "tar": (tar("w"), r"an archive \(tar\)"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(20), r"an archive \(7z\)"),
    "rar": (b"Rar!\x1a\x07\x01\0" + bytes(20), r"an archive \(RAR\)"),
    "zip": (archive("network.pkl", "README.md"), "a zip archive.*network.pkl"),
    "zip of pictures": (archive("a/1.png", "a/2.png"), "a zip archive of images.*stylegan dataset"),
    "empty zip": (archive(), "an empty zip archive"),
    "half a zip": (saved(lambda f: torch.save({"a": torch.ones(1000)}, f))[:3000], "incomplete download"),
    "npz": (saved(np.savez, np.zeros(3)), "arrays of NumPy"),
    "npy": (saved(np.save, np.zeros(3)), "an array of NumPy"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file"),
    "keras": (archive("config.json", "model.weights.h5"), "a model of Keras"),
    "matlab": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "a file of MATLAB"),
    "gguf": (b"GGUF\3\0\0\0" + bytes(20), "GGUF"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(20), "TensorFlow Lite"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:", "an ONNX model"),
    "saved model": (b"\x08\x01\x12\xd0\x8e\x02\n\x9f\x01", "a SavedModel of TensorFlow"),
    "index": (b"\0\0\0\0\1\1" + bytes(60) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "a checkpoint of TensorFlow"),
    "torchscript": (torch_script(), "a TorchScript program.*state_dict"),
    "json": (b'{"message": "Not Found"}', 'a JSON file, which begins with .{"message"'),
    "text": (b"Not Found. See (this).", "a text file, which begins with 'Not Found"),
    "utf8": ("Fehler: «nicht gefunden»".encode() * 500, "a text file"),
    "noise": (bytes(range(200, 256)) * 9, "an unknown kind of file.* c8 c9 ca"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_for_us_is_named(tmp_path: Path, name: str, suffix: str) -> None:
    data, message = FOREIGN[name]
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(data)
    if (name, suffix) == ("noise", ".safetensors"):
        message = "not a safetensors file, or damaged"  # The name is all that there is to go by.
    with pytest.raises(WeightsError, match=rf"weights\{suffix}: .*{message}") as error:
        Generator.from_pretrained(path)
    assert "opcode" not in str(error.value)


def test_half_files_are_said_to_be_incomplete(tmp_path: Path, tiny: Generator) -> None:
    tiny.save(tmp_path / "a.safetensors")
    torch.save(ports.genforce_generator(golden_set("T").g), tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    for source in (tmp_path / "a.safetensors", tmp_path / "b.pth", OFFICIAL):
        data = source.read_bytes()
        for part in (0.3, 0.6, 0.99):
            (tmp_path / "half").write_bytes(data[: int(len(data) * part)])
            with pytest.raises(WeightsError, match=r"half: .*(incomplete download|does not hold)"):
                Generator.from_pretrained(tmp_path / "half")


@pytest.mark.parametrize(
    "name", ["m.bin", "m.pt", "m.pkl", "m.SAFETENSORS", "m", "m.png", "m.tar.gz", "m.json", "m.mat"]
)
def test_a_name_says_nothing_of_what_is_in_a_file(tmp_path: Path, tiny: Generator, name: str) -> None:
    path = tmp_path / name
    tiny.save(path)
    assert torch.equal(Generator.from_pretrained(path).w_avg, tiny.w_avg)
    path.write_bytes(OFFICIAL.read_bytes())
    expected = Generator.from_pretrained(OFFICIAL).w_avg
    assert torch.equal(Generator.from_pretrained(path).w_avg, expected)
    for legacy in (False, True):
        torch.save(ports.stylegan_zoo(golden_set("B").g), path, _use_new_zipfile_serialization=not legacy)
        assert Generator.from_pretrained(path).img_resolution == 256


def test_a_port_in_safetensors(tmp_path: Path) -> None:
    state = {k: v.contiguous() for k, v in ports.genforce_generator(golden_set("T").g).items()}
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        G = Generator.from_pretrained(path)
        torch.testing.assert_close(G.w_avg, Generator.from_pretrained(OFFICIAL).w_avg)
    safetensors.torch.save_file({"synthesis.b4.const": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"model\.safetensors: holds a StyleGAN2 \(ada-pytorch\)"):
        Generator.from_pretrained(tmp_path)


def test_old_pickles_are_pickles(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    for protocol in (0, 1, 2, 4, 5):
        path.write_bytes(pickle.dumps([{"a": 1}], protocol))
        assert kind_of(path) == "pickle"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnsafeFileError, match="asks for 'os'"):
        Generator.from_pretrained(path)


@pytest.mark.parametrize("kind", ["training", "latents", "direction"])
def test_our_other_files_are_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"w_avg": torch.ones(2)}, path, {f"stylegan_{kind}_version": "1"})
    what = "a checkpoint of training" if kind == "training" else f"a file of {kind}"
    with pytest.raises(WeightsError, match=rf"other\.safetensors: {what}.*expected a network"):
        Generator.from_pretrained(path)


# Networks of others, by their tensors.

STYLEGAN2 = {
    "rosinality": {"g_ema": {"convs.0.conv.modulation.weight": 0}, "latent_avg": 0},
    "rosinality training": {"g": {"convs.0.conv.modulation.weight": 0}, "args": "Namespace"},
    "lucidrains": {"GAN": {"G.initial_conv.weight": 0, "G.blocks.0.to_rgb.conv.weight": 0}, "version": "1.8"},
    "ada": {"G_ema": {"synthesis.b4.const": 0, "mapping.fc0.weight": 0}},
    "mmgeneration": {"state_dict": {"generator_ema.convs.0.conv.style_modulation.weight": 0}},
    "genforce": {"generator_smooth": {"synthesis.early_layer.const": 0}},
}


@pytest.mark.parametrize("name", STYLEGAN2)
def test_stylegan2_and_3_in_torch_files(tmp_path: Path, name: str) -> None:
    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        return {0: torch.ones(2, 2), "Namespace": argparse.Namespace(size=256)}.get(value, value)

    torch.save(fill(STYLEGAN2[name]), tmp_path / "model.pt")
    with pytest.raises(WeightsError, match=r"model\.pt: holds a StyleGAN2.*reads StyleGAN 1"):
        Generator.from_pretrained(tmp_path / "model.pt")
    torch.save({"G_ema": {"synthesis.input.freqs": torch.ones(2)}}, tmp_path / "model.pt")
    with pytest.raises(WeightsError, match=r"holds a StyleGAN3"):
        Generator.from_pretrained(tmp_path / "model.pt")


def test_a_whole_module_says_how_to_save_its_weights(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(UnsafeFileError, match=r"asks for 'torch\.nn.*state_dict"):
        Generator.from_pretrained(tmp_path / "model.pt")


def test_the_header_of_a_cut_file_is_read_within_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for header in (b"[1]", b"{" * 1000, json.dumps({"a": 1}).encode(), b'{"a": {"data_offsets": [0, "x"]}}'):
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        assert kinds.cut_off(path) is None
    path.write_bytes((2**40).to_bytes(8, "little"))
    assert kinds.cut_off(path) is None

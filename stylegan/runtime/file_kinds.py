"""Recognizes a file by its first bytes, not by its name: weights in one of three containers, or something else.

Errors name a file that is not for this library and say what to do: a web page instead of a download, a Git LFS
pointer, half a file, an image, an archive, another program's model. Nothing is unpacked or executed.
"""

import re
import zipfile
from pathlib import Path
from typing import Literal

from ..errors import UnsafeFileError, WeightsError
from .json_yaml import Limits, parse_json

# Containers of weights: safetensors; torch.save, a zip archive since 1.6; pickle, as in official files.
Kind = Literal["safetensors", "torch", "pickle"]

_HEAD = 4096
_HEADER = Limits(bytes=10**8, depth=8, values=10**7)  # For a safetensors file.
_ZIP = b"PK\x03\x04"
_TORCH_LEGACY = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # The number that such files begin with, pickled.
# Protocols 0 and 1 have no magic number: a call or a container, and a full stop at the end.
_OLD_PICKLE = rb"[(\]}lNIS]*c[\w.]+\r?\n[\w.]+\r?\n|[(\]}]"

_READ = "this library reads safetensors, official pickles and torch.save files of StyleGAN 1"
_AGAIN = "fetch it again"
_UNPACK = "unpack it, and name the weight file in it"
_WEIGHTS_WANTED = "weights are wanted here; `stylegan project` takes photos, and `stylegan dataset` images to train on"

_IMAGES = {
    rb"\x89PNG\r\n\x1a\n": "PNG",
    rb"\xff\xd8\xff": "JPEG",
    rb"GIF8[79]a": "GIF",
    rb"RIFF....WEBP": "WebP",
    rb"BM....\0\0\0\0": "BMP",
    rb"II\*\0|MM\0\*": "TIFF",
    rb"....ftyp(avif|avis|heic|heix|mif1)": "AVIF or HEIC",
}
_PACKED = {
    rb"BZh[1-9]1AY": "a compressed file (bzip2)",
    rb"\xfd7zXZ\0": "a compressed file (xz)",
    rb"\x28\xb5\x2f\xfd": "a compressed file (Zstandard)",
    rb"\x04\x22\x4d\x18": "a compressed file (LZ4)",
    rb"7z\xbc\xaf\x27\x1c": "an archive (7z)",
    rb"Rar!\x1a\x07": "an archive (RAR)",
}

# First bytes, what the file is, and what to do.
_FOREIGN = [
    (rb"version https://(git-lfs|hawser)", "a Git LFS pointer, not the file itself", "`git lfs pull` fetches it"),
    (rb"(\.git/|/)annex/objects/", "a pointer of git-annex, not the file itself", "`git annex get` fetches it"),
    (
        rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|script|title|meta)\b",
        "a web page (HTML), not weights",
        "download the file itself, not the page around it or the server's message",
    ),
    (rb"(\xef\xbb\xbf)?\s*<(\?xml|svg|error)\b", "an XML document, as servers send errors", _AGAIN),
    *((pattern, f"an image ({name})", _WEIGHTS_WANTED) for pattern, name in _IMAGES.items()),
    (rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", "a video", _READ),
    (rb"%PDF-", "a PDF document", _READ),
    (rb"\x1f\x8b", "a compressed file (gzip)", "unpack it first with `gunzip` or `tar xzf`"),
    *((pattern, what, _UNPACK) for pattern, what in _PACKED.items()),
    (rb".{257}ustar", "an archive (tar)", "unpack it first with `tar xf`, and name the weight file in it"),
    (rb"PK\x05\x06", "an empty zip archive", _AGAIN),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", _READ),
    (rb"MATLAB \d", "a file of MATLAB", _READ),
    (rb"\x93NUMPY", "an array of NumPy (.npy), not weights", _READ),
    (rb"GGUF|gg(ml|mf|jt|la)", "a language model (GGUF or GGML)", _READ),
    (rb"....TFL3", "a model of TensorFlow Lite", _READ),
    (rb"\x08[\x01-\x1f]\x12[\x01-\x40][\w.\-]{2}|\x08[\x03-\x1f][\x3a\x42]", "an ONNX model", _READ),
    (rb"\x08\x01\x12", "a SavedModel of TensorFlow", _READ),
    (rb"model_checkpoint_path:", "the list of a folder of TensorFlow checkpoints", _READ),
]
_TENSORFLOW_INDEX = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # The last bytes of .index files, and of older .ckpt ones.


def kind_of(path: Path) -> Kind:
    """The container of a weight file. Raises WeightsError for other files, and says what they are."""
    head, tail, size = _ends(path)
    if is_safetensors(head):
        return "safetensors"
    if head[:4] == _ZIP:
        _check_zip(path)
        return "torch"
    if _TORCH_LEGACY in head[:32]:
        return "torch"
    if head[:1] == b"\x80" and head[1:2] in (b"\1", b"\2", b"\3", b"\4", b"\5"):
        return "pickle"
    if what := _foreign(path, head, tail, size):
        raise WeightsError(f"{path}: {what}")
    if re.match(_OLD_PICKLE, head) and tail.rstrip(b"\r\n").endswith(b"."):
        return "pickle"
    if (text := _text(head)) is not None:
        what = "a JSON file" if text.lstrip()[:1] in ("{", "[") else "a text file"
        raise WeightsError(f"{path}: {what}, which begins with {text.strip()[:40]!r}, not weights; {_READ}")
    if path.suffix.lower() == ".safetensors":
        return "safetensors"  # Probably a damaged one.
    raise WeightsError(f"{path}: an unknown kind of file, which begins with the bytes {head[:8].hex(' ')}; {_READ}")


def is_safetensors(head: bytes) -> bool:
    """Whether a file with these first bytes, at least 9, is one of safetensors: the size of a JSON object, and that."""
    return head[8:9] == b"{" and head[5:8] == b"\0\0\0"


def foreign(path: Path) -> str | None:
    """What a file without weights is, and what to do; None = it may be a weight file."""
    return _foreign(path, *_ends(path))


def cut_off(path: Path) -> str | None:
    """Says if a safetensors file is shorter than its header says; None = it is not, or this is unknown."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > 10**8:
            return None
        header = file.read(length)
    if len(header) < length:
        header = b"{}"
    try:
        tensors = parse_json(header, where=str(path), error=WeightsError, limits=_HEADER)
        ends = [tensors[name]["data_offsets"][1] for name in tensors if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0)
    except (WeightsError, TypeError, LookupError):
        return None
    return f"it holds {size:,} of {whole:,} bytes or more, an incomplete download? {_AGAIN}" if size < whole else None


def _ends(path: Path) -> tuple[bytes, bytes, int]:
    """The first and the last bytes of a file, and its size."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        size = file.seek(0, 2)
        file.seek(max(size - 64, 0))
        return head, file.read(64), size


def _foreign(path: Path, head: bytes, tail: bytes, size: int) -> str | None:
    if not size:
        return "an empty file; write, copy or download it again"
    if not head.strip(b"\0"):
        return f"begins with nothing but zeros, an incomplete download? {_AGAIN}"
    if tail.endswith(_TENSORFLOW_INDEX) or re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        return f"a checkpoint of TensorFlow; {_READ}"
    for pattern, what, advice in _FOREIGN:
        if re.match(pattern, head, re.DOTALL | (re.IGNORECASE if b"<" in pattern else 0)):
            return f"{what}; {advice}"
    return None


def _check_zip(path: Path) -> None:
    """Raise WeightsError unless a zip archive looks like torch.save's."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, EOFError, OverflowError, NotImplementedError) as error:
        raise WeightsError(
            f"{path}: begins like a file of torch.save, but its end is missing or damaged, an incomplete download? "
            f"{_AGAIN}"
        ) from error
    roots = {name.removesuffix("data.pkl") for name in names if re.fullmatch(r"[^/]+/data\.pkl", name)}
    if any(name.startswith(f"{root}code/") or name == f"{root}constants.pkl" for root in roots for name in names):
        raise UnsafeFileError(
            f"{path}: a TorchScript program, which is code; save its weights with torch.save(model.state_dict(), ...)"
        )
    if roots:
        return
    kinds: dict[tuple[str, ...], tuple[str, str]] = {
        (".npy",): ("arrays of NumPy (.npz), not weights", _READ),
        (".h5",): ("a model of Keras", _READ),
        (".png", ".jpg", ".jpeg", ".webp"): ("a zip archive of images, not weights", _WEIGHTS_WANTED),
    }
    for suffixes, (what, advice) in kinds.items():
        if any(name.lower().endswith(suffixes) for name in names):
            raise WeightsError(f"{path}: {what}; {advice}")
    some = ", ".join(name[:40] for name in names[:3])
    raise WeightsError(f"{path}: a zip archive, but none of torch.save: it holds {some or 'nothing'}; {_UNPACK}")


def _text(head: bytes) -> str | None:
    """The beginning of a text file; None if it is none."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(head) < _HEAD:
            return None
        text = head[: error.start].decode("utf-8-sig", "replace")
    return text if all(c.isprintable() or c in "\r\n\t\f" for c in text) else None

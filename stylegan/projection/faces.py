"""Face detection, for photos that are not cropped."""

import functools
import importlib.util
from collections.abc import Iterable
from math import cos, radians, sin
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from ..errors import InputError, StyleGANError
from ..generator import Generator
from ..images.convert import opaque
from ..runtime.checks import typed
from .alignment import cut_square
from .photos import check_side, to_square

# Side of the square around a face, and how far its centre is below that of the detection window, both in window widths:
# measured on images aligned as UTKFace.
_SIDE, _BELOW = 1.0, 0.09

# Degrees by which photos are rotated in search of a face, upright and tilted heads first. The detector sees heads up to
# 15 degrees from upright.
_TILTS = ((0, -15, 15, -30, 30, -45, 45), (90, -90, 180, 67, -67, 113, -113, 135, -135, 157, -157))

# Photos are searched at this size, for faces of a tenth of it or more.
_SEARCHED, _LEAST_PART, _LEAST_SIDE = 256, 10, 24

# Candidates are checked again at this window size: rotated by these angles, each also mirrored and blurred. Of 21 faces
# of the data, rotated by up to 40 degrees, 17 had this many detections per version; of the 31 crops without a face that
# were detected most often, one had: a shadow below the least contrast.
_WINDOW, _TURNS, _AGREEMENT, _CONTRAST = 48, (-20, -10, 0, 10, 20), 6.0, 10.0


class Face(NamedTuple):
    """The square around a face, in pixels of the photo; it may reach beyond the photo."""

    left: float  # Of the upright square with the same centre.
    top: float
    side: float
    angle: float  # Degrees clockwise by which the head, and with it the square, is rotated.

    def __str__(self) -> str:
        turned = f", rotated by {self.angle:+.0f} degrees" if round(self.angle) else ""
        return f"{self.side:.0f}x{self.side:.0f} at {self.left:.0f},{self.top:.0f}{turned}"


class Cropped(NamedTuple):
    """A photo, cropped for a model."""

    picture: Image.Image  # Of the model's size.
    place: str  # Description of the crop.
    lacks: Literal["", "detector", "face"] = ""  # Why it is the centre although a face was requested.


class _Window(NamedTuple):
    """A detection: centre and width in pixels of the photo, rotation of the head, number of hits."""

    x: float
    y: float
    width: float
    angle: float
    often: float


def has_detector() -> bool:
    """Whether scikit-image is installed: pip install "stylegan[alignment]"."""
    return importlib.util.find_spec("skimage") is not None


def shows_faces(G: Generator) -> bool:
    """Whether a model makes human faces, according to its description."""
    described = " ".join(str(G.metadata.get(key, "")) for key in ("name", "dataset")).lower()
    return any(word in described for word in ("face", "ffhq", "celeba", "portrait"))


def crop_photo(photo: Image.Image, G: Generator, *, detect: bool | None = None) -> Cropped:
    """Crop a photo to its largest face, rotated upright, or to its centre.

    detect: whether to search for a face; None = for face models, if there is a detector and the photo does not have the
        model's size.

    If no face of sufficient size is found, the crop is the centre, and says so. Raises InputError if the photo is too
    small, StyleGANError if a detector is requested but not installed.
    """
    size = G.img_resolution
    check_side(min(photo.size), size)
    lacks: Literal["", "detector", "face"] = ""
    if detect is None and photo.size != (size, size) and shows_faces(G):
        detect = has_detector()
        lacks = "" if detect else "detector"
    if detect:
        try:
            face = detect_face(photo)
            if fills(face, photo):
                return Cropped(to_square(photo, size), "all of it, which is a face")
            return Cropped(cut_face(photo, size, face=face), f"the face of {face}")
        except InputError:
            lacks = "face"
    place = "as it is" if photo.size == (size, size) else "the largest square in its centre"
    return Cropped(to_square(photo, size), place, lacks)


@typed
def detect_face(photo: Image.Image) -> Face:
    """The square around the largest frontal face, rotated by any angle in the plane of the photo.

    The detector is scikit-image's cascade of local binary patterns, whose weights are in that package (extra
    "alignment"). It finds frontal faces of a tenth of the photo or more, with many false positives. The photo is
    therefore searched at several angles, and a face must be found repeatedly in slightly rotated, mirrored and blurred
    versions. Raises InputError if it finds no face.
    """
    photo = opaque(photo).convert("RGB")
    for angles in _TILTS:
        found = [window for angle in angles for window in _search(photo, angle)]
        found = sorted(found, key=lambda window: window.often, reverse=True)[:12]
        faces = [face for window in found if (face := _look_again(photo, window)) is not None]
        if faces:
            best = max(faces, key=lambda face: face.often)
            # Another face must be detected at least half as often.
            largest = max((f for f in faces if f.often >= best.often / 2), key=lambda face: face.width)
            near = [f for f in faces if np.hypot(f.x - largest.x, f.y - largest.y) < largest.width / 3]
            return _square(max(near, key=lambda face: face.often))
    raise InputError(
        "no frontal face found; align the photo by five points (`align`), or cut out a crop or its centre (`to_square`)"
    )


@typed
def cut_face(photo: Image.Image, resolution: int, *, face: Face | None = None) -> Image.Image:
    """The square around a face, rotated upright, at resolution x resolution.

    face: None = the largest, see `detect_face`. Also raises InputError if the face is too small.
    """
    face = face or detect_face(photo)
    check_side(face.side, resolution)
    a, b = face.side * cos(radians(face.angle)), face.side * sin(radians(face.angle))
    x, y = face.left + face.side / 2, face.top + face.side / 2
    return cut_square(photo, (a, b, x - (a - b) / 2, y - (a + b) / 2), resolution)


def fills(face: Face, photo: Image.Image) -> bool:
    """Whether a square photo is already cropped to this face, like the data of the bundled models."""
    side = photo.width
    off = abs(face.left + (face.side - side) / 2), abs(face.top + (face.side - side) / 2)
    return photo.size == (side, side) and max(*off, abs(face.side - side)) < 0.15 * side and abs(face.angle) < 10


def _square(window: _Window) -> Face:
    """The square around the face in a window."""
    side, below, angle = _SIDE * window.width, _BELOW * window.width, radians(window.angle)
    x, y = window.x - below * sin(angle), window.y + below * cos(angle)
    return Face(x - side / 2, y - side / 2, side, window.angle)


def _search(photo: Image.Image, angle: float) -> list[_Window]:
    """Candidates for a face rotated by that angle: groups of overlapping windows."""
    factor = min(1.0, _SEARCHED / min(photo.size))
    size = (max(1, round(photo.width * factor)), max(1, round(photo.height * factor)))
    small = photo.convert("L").resize(size, Image.Resampling.BOX)
    grey = int(np.asarray(small).mean())
    turned = small.rotate(angle, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=grey)
    seen = _windows(turned, max(_LEAST_SIDE, min(size) // _LEAST_PART), min(size), 1.1)
    # From the centre of the rotated photo to that of the original.
    x, y = seen[:, 0] - turned.width / 2, seen[:, 1] - turned.height / 2
    c, s = cos(radians(angle)), sin(radians(angle))
    seen[:, 0], seen[:, 1] = x * c - y * s + size[0] / 2, x * s + y * c + size[1] / 2
    return [
        _Window(x / factor, y / factor, width / factor, angle, count)
        for (x, y, width), count in _groups(seen)
        if count >= 4
    ]


def _look_again(photo: Image.Image, window: _Window) -> _Window | None:
    """The window with its angle refined and its number of detections; None = not a face."""
    side = 7 * _WINDOW // 3
    angle, width = radians(window.angle), side / _WINDOW * window.width
    a, b = width * cos(angle), width * sin(angle)
    try:
        around = cut_square(photo, (a, b, window.x - (a - b) / 2, window.y - (a + b) / 2), side).convert("L")
    except InputError:  # The photo is too small to be mirrored that far.
        return None
    middle = np.asarray(around)[side // 3 : -side // 3, side // 3 : -side // 3]
    if middle.std() < _CONTRAST:
        return None
    counts = np.zeros(len(_TURNS))
    blurred = around.filter(ImageFilter.GaussianBlur(_WINDOW / 40))
    for version, sign in ((around, 1), (ImageOps.mirror(around), -1), (blurred, 1)):
        for i, turn in enumerate(_TURNS):
            turned = version.rotate(sign * turn, resample=Image.Resampling.BICUBIC, fillcolor=128)
            seen = _windows(turned, round(0.7 * _WINDOW), round(1.4 * _WINDOW), 1.08)
            counts[i] += (np.hypot(seen[:, 0] - side / 2, seen[:, 1] - side / 2) < _WINDOW / 4).sum()
    count = counts.sum() / (3 * len(_TURNS))
    if count < _AGREEMENT:
        return None
    exact = window.angle + float((counts * _TURNS).sum() / counts.sum())
    return window._replace(angle=(exact + 180) % 360 - 180, often=count)


def _windows(img: Image.Image, least: int, most: int, scale: float) -> np.ndarray:
    """All windows in which the detector sees a face: centre and width, [N, 3]."""
    if most < least:
        return np.zeros((0, 3))
    seen: Iterable[dict[str, float]] = _cascade().detect_multi_scale(
        img=np.asarray(img),
        scale_factor=scale,
        step_ratio=1,
        min_size=(least, least),
        max_size=(most, most),
        min_neighbor_number=1,
        intersection_score_threshold=1.01,  # Windows are not merged.
    )
    boxes = [(b["c"] + b["width"] / 2, b["r"] + b["width"] / 2, b["width"]) for b in seen]
    return np.array(boxes, dtype=np.float64).reshape(-1, 3)


def _groups(seen: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Groups of overlapping windows [N, 3], as mean and number of members, the largest first."""
    distance = np.hypot(*(seen[:, None, :2] - seen[None, :, :2]).transpose(2, 0, 1))
    alike = np.abs(np.log(seen[:, None, 2] / seen[None, :, 2])) < np.log(1.35)
    near = (distance < seen[:, None, 2] / 4) & alike
    left, groups = np.ones(len(seen), dtype=bool), []
    while left.any():
        members = near[((near & left).sum(axis=1) * left).argmax()] & left
        groups.append((seen[members].mean(axis=0), int(members.sum())))
        left &= ~members
    return groups


@functools.cache
def _cascade() -> Any:
    try:
        from skimage import data
        from skimage.feature import Cascade
    except ImportError as error:
        raise StyleGANError('finding faces needs scikit-image: pip install "stylegan[alignment]"') from error
    return Cascade(data.lbp_frontal_face_cascade_filename())

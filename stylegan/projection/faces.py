"""Faces found by a detector, for photos that nobody cropped."""

import numpy as np
from PIL import Image

from ..errors import InputError, StyleGANError
from ..images import opaque
from .alignment import cut_square
from .photos import check_side

# Side of the square around a face, and how far its centre is below that of the box which the detector draws, both in
# widths of that box: measured on pictures aligned as UTKFace.
_SIDE, _BELOW = 1.02, 0.09


def detect_face(photo: Image.Image) -> tuple[float, float, float]:
    """The square around the largest frontal face: left, top, side, in pixels; it may reach beyond the photo.

    The detector is scikit-image's cascade of local binary patterns, whose training file comes inside that package
    (extra "alignment"). It finds upright frontal faces of a tenth of the photo or more, gives no points, and cannot
    tell a turned head. Raises InputError if it finds no face.
    """
    try:
        from skimage import data
        from skimage.feature import Cascade
    except ImportError as error:
        raise StyleGANError('finding faces needs scikit-image: pip install "stylegan[alignment]"') from error
    # Large photos are searched at a smaller size.
    factor = min(1.0, 512 / min(photo.size))
    small = photo.resize((round(photo.width * factor), round(photo.height * factor)), Image.Resampling.BOX)
    least, most = max(24, min(small.size) // 10), min(small.size)
    if most < least:
        found = []
    else:
        cascade = Cascade(data.lbp_frontal_face_cascade_filename())
        found = cascade.detect_multi_scale(
            img=np.asarray(opaque(small)),
            scale_factor=1.1,
            step_ratio=1,
            min_size=(least, least),
            max_size=(most, most),
        )
    if not found:
        raise InputError("no frontal face found; give its crop or five points, or a photo that is cropped already")
    face = max(found, key=lambda box: box["width"])
    width = face["width"] / factor
    side = _SIDE * width
    left = face["c"] / factor + (width - side) / 2
    top = face["r"] / factor + (width - side) / 2 + _BELOW * width
    return left, top, side


def cut_face(photo: Image.Image, resolution: int) -> Image.Image:
    """The square around the largest frontal face of a photo, at resolution x resolution. See `detect_face`.

    The head is not turned upright: `align` does that, with points. Raises InputError also for a face that is too small.
    """
    left, top, side = detect_face(photo)
    check_side(side, resolution)
    return cut_square(photo, (side, 0.0, left, top), resolution)

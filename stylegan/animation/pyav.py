"""PyAV, which encodes and decodes video and sound: an extra, `pip install "stylegan[video]"`."""

from ..errors import InputError


def require_av(what: str) -> None:
    """Raise InputError if PyAV is not installed. what: the thing that needs it."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise InputError(
            f'{what} needs PyAV ({error}): pip install "stylegan[video]"; silent .gif and .webp need nothing more'
        ) from error

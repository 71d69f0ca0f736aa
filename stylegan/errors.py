"""Every error that the library raises deliberately.

A message says what was given, what was expected and what to do next.
"""


class StyleGANError(Exception):
    """Base of all errors of this library."""


class InputError(StyleGANError, ValueError):
    """An argument has the wrong value, type or shape."""


class WeightsError(StyleGANError):
    """A weight file is malformed, or does not match the network that its config describes."""


class IntegrityError(WeightsError):
    """A weight file is not the one that the manifest or the hub describes (size or sha256)."""


class UnsafeFileError(WeightsError):
    """A file would run code, or holds something that weights never hold; a location leads outside its folder."""


class DownloadError(StyleGANError, OSError):
    """A weight file cannot be fetched, or published."""


class OfflineError(DownloadError):
    """There is no network, or it must not be used, and the file is not in the cache."""


class NotFoundError(DownloadError):
    """The name is unknown, or the repository, revision or file does not exist."""


class AuthError(DownloadError):
    """The file exists, but access needs a token that is missing, wrong, or not authorized."""


class RateLimitError(DownloadError):
    """The server asks to try again later."""


class StorageError(StyleGANError, OSError):
    """A file cannot be written: the disk is full, or the location is not writable."""


class DatasetError(StyleGANError):
    """A data set cannot be used: its files are missing, malformed, unsafe or of the wrong size."""


class CheckpointError(StyleGANError):
    """A training checkpoint cannot be read or written, or belongs to another run."""


class DivergenceError(StyleGANError):
    """Training repeatedly produced NaN or infinite losses or gradients."""


class ExportError(StyleGANError):
    """An exported network does not compute the same as the original."""


class RenderError(StyleGANError, RuntimeError):
    """The inference path that was requested does not work on this device."""


class LicenseWarning(UserWarning):
    """The licence of the fetched weights forbids commercial use."""

"""Every error that the library raises on purpose.

A message says what was given, what was expected and what to do next.
"""


class StyleGANError(Exception):
    """Base of all errors of this library."""


class InputError(StyleGANError, ValueError):
    """An argument has the wrong value, type or shape."""


class WeightsError(StyleGANError):
    """A weight file is malformed, or does not fit the network that its config describes."""


class IntegrityError(WeightsError):
    """A weight file is not the one that the manifest or the hub describes (size or sha256)."""


class UnsafeFileError(WeightsError):
    """A file asks for code to be run, or holds something that plain weights never hold; a place leads elsewhere."""


class DownloadError(StyleGANError, OSError):
    """A weight file cannot be fetched, or published."""


class OfflineError(DownloadError):
    """There is no network, or it must not be used, and the file is not in the cache."""


class NotFoundError(DownloadError):
    """Nothing is known under this name, or the repository, revision or file does not exist."""


class AuthError(DownloadError):
    """The file is there, but not for everyone: a token is missing, wrong, or without the right."""


class RateLimitError(DownloadError):
    """The server asks to come back later."""


class StorageError(StyleGANError, OSError):
    """A file cannot be written: the disk is full, or the place is none to write to."""


class DatasetError(StyleGANError):
    """A data set cannot be used: its files are missing, malformed, unsafe or of the wrong size."""


class CheckpointError(StyleGANError):
    """A training checkpoint cannot be read or written, or is not of this run."""


class DivergenceError(StyleGANError):
    """Training made losses or gradients that are no finite numbers, again and again."""


class ExportError(StyleGANError):
    """An exported network does not compute what the network itself does."""


class RenderError(StyleGANError, RuntimeError):
    """The path to an image that was asked for does not work on this device."""


class LicenseWarning(UserWarning):
    """Weights were fetched whose licence forbids commercial use."""

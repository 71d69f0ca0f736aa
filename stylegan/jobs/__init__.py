"""Many images to disk: rendering overlaps with encoding, files are whole or not there, and a rerun goes on."""

from .folder import write_folder
from .job import Job
from .tars import DEFAULT_SAMPLES_PER_TAR, WHOLE, ImageFormat, Shard, write_tars

__all__ = ["DEFAULT_SAMPLES_PER_TAR", "WHOLE", "ImageFormat", "Job", "Shard", "write_folder", "write_tars"]

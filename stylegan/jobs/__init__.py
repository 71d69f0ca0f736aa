"""Many images to disk: rendering overlaps with encoding, files are complete or absent, jobs can be resumed.

May import: errors, version, runtime, images, fast, weights, latents, generator.
"""

from .folder import write_folder
from .job import Job
from .tars import WHOLE, Shard, write_tars

__all__ = ["WHOLE", "Job", "Shard", "write_folder", "write_tars"]

"""Data sets of pictures: where they are, what labels they have, how they are prepared, and how they are read.

May import: errors, runtime, images.
"""

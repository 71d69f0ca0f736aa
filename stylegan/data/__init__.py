"""Image data sets: sources, labels, preparation and reading.

May import: errors, runtime, images.
"""

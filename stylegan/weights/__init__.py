"""Weight files: the manifest, our checkpoint, the readers of others' formats; networks blended from several.

May import: errors, version, runtime, networks, images, fast.
"""

"""Weight files: the manifest, our checkpoint, the readers of others' formats. Nothing here knows a network.

May import: errors, version, runtime, networks, images, fast.
"""

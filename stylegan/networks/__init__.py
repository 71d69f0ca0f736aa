"""The definition of the networks: pure operations, layers, mapping, synthesis and discriminator. One file an arrow.

May import: errors, runtime.
"""

"""The definition of the networks: pure operations, layers, mapping, synthesis, discriminator; one file per step.

May import: errors, runtime.
"""

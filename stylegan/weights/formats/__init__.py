"""Readers of others' file formats, as plain data: nothing is unpickled, and nothing here knows a network."""

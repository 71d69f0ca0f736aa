"""Readers of other file formats. They return plain data, unpickle nothing, and know no networks."""

"""Windows on disk and the parts of a fold. No file of this room imports JAX."""

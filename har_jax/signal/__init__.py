"""Recordings as arrays, in m/s² and rad/s. No file of this room imports JAX."""

"""Benchmarks of time, bytes and error."""

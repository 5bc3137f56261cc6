"""Scripts over `har_jax.cli`, and the benchmarks."""

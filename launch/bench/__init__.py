"""Benchmarks of time, bytes and error, also of other libraries: python -m launch.bench, launch.bench.nf4."""

# Help of flags that both have.
HELP = {
  'batches': 'batch sizes to measure, in windows',
  'repeats': 'timed calls of each measurement, interleaved with the others',
}

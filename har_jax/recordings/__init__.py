"""A user's recordings: files of many apps → recordings in m/s² and rad/s, and what was inferred."""

from har_jax.recordings.checks import check, find_late_labels
from har_jax.recordings.reading import Reading, ReadingOptions, Source, read
from har_jax.recordings.windows import overlapping_windows, to_windows

"""A user's recordings: files of many apps → recordings in m/s² and rad/s, and what was inferred."""

from har_jax.recordings.checks import check
from har_jax.recordings.reading import Reading, read, to_windows, unlabeled_windows

__all__ = ['Reading', 'check', 'read', 'to_windows', 'unlabeled_windows']

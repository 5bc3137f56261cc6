"""A user's own recordings: files of any make → recordings in m/s² and rad/s, with what was guessed said aloud."""

from har_jax.data.user_recordings.checks import check
from har_jax.data.user_recordings.cutting import to_windows
from har_jax.data.user_recordings.reading import Reading, read

__all__ = ['Reading', 'check', 'read', 'to_windows']

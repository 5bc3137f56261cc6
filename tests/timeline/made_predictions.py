"""Predictions and labels made by hand."""

import numpy as np

from har_jax.config import DEFAULT_WINDOWING
from har_jax.signal.recording import Recording, Samples, Span
from har_jax.timeline import Predictions


def make_predictions(
  codes: list[int],
  *,
  confidence: float | list[float] = 0.9,
  starts=None,
  recording=None,
  still=None,
  classes=('run', 'sit'),
) -> Predictions:
  """Windows 1.28 s apart that are of these classes with this probability."""
  size = len(codes)
  probabilities = np.empty((size, len(classes)), np.float32)
  probabilities[:] = ((1 - np.broadcast_to(confidence, size)) / (len(classes) - 1))[:, None]
  probabilities[np.arange(size), codes] = confidence
  return Predictions(
    tuple(classes),
    np.zeros(size, int) if recording is None else np.array(recording),
    1.28 * np.arange(size) if starts is None else np.array(starts),
    probabilities,
    np.zeros(size, bool) if still is None else np.array(still),
    DEFAULT_WINDOWING,
  )


def make_labeled(*spans: tuple[float, float, str]) -> list[Recording]:
  """A recording without samples that has these labels."""
  empty = Samples(np.zeros(1), np.zeros((1, 3), np.float32))
  return [Recording('', '', empty, empty, tuple(Span(*span) for span in spans))]

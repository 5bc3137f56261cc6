"""Answers beside what was really done."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from har_jax.config import WINDOW_SAMPLES
from har_jax.data.recording import RATE_HZ, Recording
from har_jax.errors import UserError
from har_jax.inference.timeline.answers import Answers
from har_jax.inference.timeline.bouts import UNKNOWN
from har_jax.train import metrics

_WINDOW_S = WINDOW_SAMPLES / RATE_HZ
_SLACK_S = 0.5 / RATE_HZ  # a window that ends with the span is in it


@dataclasses.dataclass(frozen=True)
class Score:
  """What the answers of `windows` windows are worth. An answer `unknown` counts as a wrong one."""

  windows: int
  macro_f1: float
  accuracy: float
  names: tuple[str, ...]  # that occur, in the order of `confusion`
  confusion: list[list[int]]  # rows are what was done, columns what was answered


def score(answers: Answers, labeled: Sequence[Recording], *, unknown_below: float = 0.0) -> Score:
  """Over the windows that lie in one span as a whole; `labeled` are the recordings answered, with their spans.

  Each window's own answer is taken, not the bouts'. Raises UserError where no window lies in a span.
  """
  done = [
    _done(labeled[recording], start_s)
    for recording, start_s in zip(answers.recording, answers.start_s, strict=True)
  ]
  known = np.array([activity is not None for activity in done])
  if not known.any():
    raise UserError('no window lies within a labeled span: are the labels of this recording?')
  truth = np.array([activity for activity in done if activity is not None])
  shares = answers.probabilities[known]
  answered = np.array(answers.classes)[shares.argmax(axis=1)]
  answered = np.where(shares.max(axis=1) < unknown_below, UNKNOWN, answered)
  names, numbers = np.unique([truth, answered], return_inverse=True)
  true, given = numbers.reshape(2, -1)
  told = metrics.measure(true, given, len(names))
  return Score(int(known.sum()), told['macro_f1'], told['accuracy'], tuple(names.tolist()), told['confusion'])


def _done(recording: Recording, start_s: float) -> str | None:
  """The activity of the span that holds the window that begins then."""
  for span in recording.spans:
    if span.start_s <= start_s + _SLACK_S and start_s + _WINDOW_S <= span.stop_s + _SLACK_S:
      return span.activity
  return None

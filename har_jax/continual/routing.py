"""Choice of the adapter that answers a recording, in a run with the strategy `router`."""

import itertools
import math
import os

import numpy as np

from har_jax import files, recordings, records, storage
from har_jax.continual import memory
from har_jax.continual.learner import Features, part
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import Reading
from har_jax.train import evaluation

_WINDOWS = 500  # of a recording, evenly spaced: the time to choose must not grow with its length


def find(folder: str | os.PathLike[str] | None) -> storage.Place | None:
  """The folder of a run with an adapter for each domain; None if it is none.

  Raises UserError where the run has not ended.
  """
  if folder is None:
    return None
  place = storage.place(folder)
  if not (place / 'continual.json').exists() or (place / 'adapter.json').exists():
    return None
  if not (place / 'domain0').exists():
    raise UserError(f'{place} has no adapter yet: run the same `har-jax continual` command to its end')
  return place


def nearest(folder: storage.Place, recognizer: Recognizer, reading: Reading) -> tuple[storage.Place, str]:
  """The folder of one adapter of a run for the whole reading, and the name of its domain.

  recognizer: that of any domain. The features are those of the base without an adapter.
  Raises UserError where files are damaged, or where the reading has no window.
  """
  state, card = safetensors_io.read(folder, 'continual', records.Continual)
  windowing = recognizer.windowing
  every = math.ceil(reading.seconds * windowing.rate_hz / windowing.step_samples / _WINDOWS) or 1
  cut = recordings.overlapping_windows(reading, windowing)
  signals = [window.signal for window in itertools.islice(cut, 0, None, every)]
  windows = {'signal': recognizer.prepare(np.stack(signals))}
  plain, base = recognizer.adapter_.objective, files.load_base(folder / 'domain0')
  objective = Features(plain.model, plain.classes, plain.precision)
  features = evaluation.predict(objective, base.variables, windows, sizes=evaluation.ONE_SIZE)
  means = {name: np.asarray(leaf) for name, leaf in part(state, 'router').items()}
  number = int(memory.route(means, features, np.zeros(len(signals), int))[0])
  return folder / f'domain{number}', card.history[number].domain

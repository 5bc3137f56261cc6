"""Recording heads, fitted to the sources' recordings with their labels.   w windows, f features."""

from collections.abc import Iterator

import numpy as np

from har_jax.baselines import relative_features
from har_jax.datasets.folds import Sources
from har_jax.datasets.windows import find_labels
from har_jax.experiments.supervised_head import CLASSES, NAMES, UNKNOWN
from har_jax.recognizer import recording_head
from har_jax.recognizer.recording_head import WALKING, RecordingHead

_GROUPS = tuple(name for name in CLASSES if name != UNKNOWN)
_PER_POSITION = 4000  # windows of a source at one position of the device
_DRAWN = 12_000  # windows to fit to, of all sources


def fit_to_sources(sources: Sources, *, seed: int) -> RecordingHead | None:
  """Fits a head to the subjects that pretraining trains on. A subject at one position is one recording.

  A class with n windows at a position of a source weighs as √n. None where no source has walking and
  another activity.
  """
  parts = [part for source in sources.names for part in _recordings(sources, source, seed)]
  if len({label for _, labels in parts for label in labels.tolist()}) < 2:
    return None
  features, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
  weights = np.concatenate([1 / np.sqrt(np.bincount(of_part)[of_part]) for _, of_part in parts])
  rng = np.random.default_rng(seed)
  drawn = rng.choice(len(labels), _DRAWN, p=weights / weights.sum())
  return recording_head.fit(features[drawn], labels[drawn], _GROUPS, seed=seed)


def _recordings(sources: Sources, source: str, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Features and labels of each position of a source, which index _GROUPS."""
  windows, held_out = sources.datasets[source].windows, sources.held_out(source)
  groups = [NAMES.get(name, UNKNOWN) for name in windows.meta.activities]
  label = find_labels(groups, _GROUPS)[windows.activity]
  rng = np.random.default_rng(seed)
  for position in np.unique(windows.position):
    here = np.flatnonzero((windows.position == position) & ~held_out)
    here = np.sort(rng.permutation(here)[:_PER_POSITION])
    features, labels = [], []
    for subject in np.unique(windows.subject[here]):
      indices = here[windows.subject[here] == subject]
      described = relative_features.describe(windows.signals[indices], windows.windowing.rate_hz)
      relative = described.relative_to(label[indices] == _GROUPS.index(WALKING))
      if relative is not None:
        is_labeled = label[indices] >= 0
        features.append(relative[is_labeled])
        labels.append(label[indices][is_labeled])
    if features:
      yield np.concatenate(features), np.concatenate(labels)

"""Checks of fitted baselines in a shared file: compiled code would follow their numbers anywhere.

skops reads trusted types alone, so that no code runs. Trees (Cython) and MiniRocket's kernels (Numba) check
no number: a wrong index reads foreign memory, and a circle of nodes never ends.
"""

from typing import Any

import numpy as np

_CHANNELS, _KERNELS = 6, 84  # of a window; of MiniRocket at each dilation
_MOST = 10**6  # features of MiniRocket, and nodes of a tree
_LEAF = -1


def check_baseline(baseline: Any, *, samples: int, classes: int) -> None:
  """Raises ValueError, or what its estimator raises, unless the baseline predicts windows.

  samples: of a window. classes: in its probabilities.
  """
  {'Forest': _check_forest, 'Rocket': _check_rocket}[type(baseline).__name__](baseline.estimator, samples)
  rng = np.random.default_rng(0)
  probabilities = baseline.predict_proba(rng.standard_normal((2, samples, _CHANNELS)).astype(np.float32))
  _need(np.shape(probabilities) == (2, classes), f'its probabilities are not of {classes} classes')
  _need(np.isfinite(probabilities).all(), 'its probabilities are not finite')


def _need(holds: Any, otherwise: str) -> None:
  if not holds:
    raise ValueError(otherwise)


def _check_forest(forest: Any, samples: int) -> None:
  from sklearn.ensemble import ExtraTreesClassifier
  from sklearn.tree import ExtraTreeClassifier

  _need(type(forest) is ExtraTreesClassifier, 'it is no forest')
  forest.n_jobs = None  # a number of the file would start as many threads
  trees = forest.estimators_
  _need(isinstance(trees, list) and 0 < len(trees) <= 10_000, 'the forest has no list of trees')
  for tree in trees:
    _need(type(tree) is ExtraTreeClassifier, 'the forest holds something else than trees')
    _need(tree.n_features_in_ == forest.n_features_in_, 'a tree has other features than the forest')
    _check_nodes(tree.tree_, forest.n_features_in_)


def _check_nodes(tree: Any, features: int) -> None:
  """A child has a higher number than its parent, as scikit-learn numbers them: there is no circle."""
  count = tree.node_count
  _need(0 < count == tree.capacity <= _MOST, 'a tree counts other nodes than it has')
  left, right, numbers = tree.children_left, tree.children_right, np.arange(count)
  inner = left != _LEAF
  for children in (left, right):
    _need((children[inner] > numbers[inner]).all() and (children < count).all(), 'a tree leads nowhere')
  _need(((tree.feature[inner] >= 0) & (tree.feature[inner] < features)).all(), 'a tree asks for a feature')
  _need(np.isfinite(tree.value).all() and (tree.value >= 0).all(), 'a tree has no probabilities')


def _check_rocket(pipeline: Any, samples: int) -> None:
  from aeon.transformations.collection.convolution_based import MiniRocket
  from sklearn.linear_model import RidgeClassifierCV
  from sklearn.pipeline import Pipeline
  from sklearn.preprocessing import StandardScaler

  kinds = [type(step) for _, step in pipeline.steps] if type(pipeline) is Pipeline else []
  _need(kinds == [MiniRocket, StandardScaler, RidgeClassifierCV], 'it is no MiniRocket with a ridge')
  parameters = pipeline[0].parameters
  _need(
    [(np.shape(part)[1:], getattr(part, 'dtype', None)) for part in parameters]
    == [((), np.int32)] * 4 + [((), np.float32)],
    'MiniRocket has other parameters',
  )
  channels, indices, dilations, features, biases = parameters
  _need(len(dilations) == len(features) and len(channels) == _KERNELS * len(dilations), 'kernels are missing')
  _need((dilations >= 1).all() and (8 * dilations.astype(int) < samples).all(), 'a kernel is too long')
  _need(
    (features >= 1).all() and _KERNELS * features.sum(dtype=int) == len(biases) <= _MOST, 'biases are missing'
  )
  _need((channels >= 1).all() and channels.sum(dtype=int) == len(indices), 'channels are missing')
  _need(((indices >= 0) & (indices < _CHANNELS)).all(), 'a kernel asks for a channel')

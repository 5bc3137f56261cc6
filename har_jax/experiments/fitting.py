"""Runs of baselines, and of an ensemble of them and a finished run: fit, predict the test part once.

m members of the ensemble, w windows, y classes.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy  # loads scipy.special when it is used
import tqdm
from jaxtyping import Float, Int
from msgspec.structs import replace

from har_jax import files, records, storage
from har_jax.baselines import BASELINES, Baseline
from har_jax.datasets.batches import Batch
from har_jax.datasets.folds import TargetWindows
from har_jax.errors import Stopped
from har_jax.experiments.adaptation import make_result
from har_jax.experiments.run_spec import RunSpec
from har_jax.experiments.stages import TrainOptions
from har_jax.recognizer import temperature
from har_jax.train import metrics
from har_jax.train.evaluation import predict

ENCODER_METHOD = 'lora'  # of an ensemble's neural network
ENCODER = 'encoder'
_DEFAULT_WEIGHTS = {ENCODER: 0.5} | {name: 0.5 / len(BASELINES) for name in BASELINES}
# The default weights count as much as so many windows: windows of a few people are far from independent.
_PRIOR_WINDOWS = 100.0
_EM_STEPS = 200  # the prior makes each step a contraction; far fewer suffice
_TINY = 1e-12  # the trees give probabilities of zero


class _Fits:
  """Baselines of a run, fitted to the train part of the label budget, in physical units."""

  def __init__(self, spec: RunSpec, names: list[str], options: TrainOptions):
    """Fits all of them, with a line of progress. Raises Stopped if asked to stop before or after a fit."""
    self.data = spec.fold.target_windows()
    rate_hz = spec.experiment.model.rate_hz
    self._baselines: dict[str, Baseline] = {name: BASELINES[name](spec.seed, rate_hz) for name in names}
    train, labels = self.data.signals[self.data.indices['train']], self.data.train['label']
    _check(spec, options.stop)
    start_s = time.monotonic()
    for name, baseline in self._baselines.items():
      line = {'desc': f'{spec.title}: fitting {name}', 'bar_format': '{desc}{bar}', 'leave': False}
      with tqdm.tqdm(disable=not options.progress, **line):
        baseline.fit(train, labels)
      _check(spec, options.stop)
    self.seconds = time.monotonic() - start_s

  def probabilities(self, part: str) -> dict[str, Float[np.ndarray, 'w y']]:
    """Probabilities by each baseline. Columns are classes: every train part has them all."""
    signals = self.data.signals[self.data.indices[part]]
    return {name: baseline.predict_proba(signals) for name, baseline in self._baselines.items()}

  @property
  def size(self) -> tuple[int, int]:
    """Numbers that were fitted, and their bytes."""
    arrays = [array for baseline in self._baselines.values() for array in baseline.arrays]
    return sum(array.size for array in arrays), sum(array.nbytes for array in arrays)


def fit_and_test(spec: RunSpec, options: TrainOptions) -> records.Result:
  """The result of a baseline.

  The validation part is only predicted: nothing is chosen on it. Raises Stopped as `_Fits`.
  """
  fits = _Fits(spec, [spec.method], options)

  def probabilities(part: str) -> Float[np.ndarray, 'w y']:
    return fits.probabilities(part)[spec.method]

  size, size_bytes = fits.size
  return measure_probabilities(
    spec,
    fits.data,
    probabilities,
    collections=None,  # no neural network
    starts_from=None,
    parameters=records.Counted(trainable=size, total=size),
    bytes=records.Bytes(trainable={'fitted': size_bytes}),
    seconds={'training': fits.seconds, 'pretraining': 0.0},
  )


def combine_and_test(spec: RunSpec, options: TrainOptions) -> records.Result:
  """The result of an ensemble of the finished run by `ENCODER_METHOD` and all baselines.

  The encoder's temperature and the weights are fitted to the validation part. Its costs are those of all
  members. Raises Stopped as `_Fits`.
  """
  result = dataclasses.replace(spec, method=ENCODER_METHOD).result
  encoder = storage.read_record(result, records.Result)
  base, adapter = files.load_run(result)
  adapted, shifts = files.attach(base, adapter), spec.experiment.protocol.tta_shifts
  fits = _Fits(spec, list(BASELINES), options)

  def logits(windows: Batch) -> Float[np.ndarray, 'w y']:
    return predict(adapter.objective, adapted, windows, tta_shifts=shifts).astype(np.float64)

  validation = fits.data.validation
  encoder_temperature, weights = fit_members(
    logits(validation), fits.probabilities('validation'), validation['label']
  )

  def probabilities(part: str) -> Float[np.ndarray, 'w y']:
    of_encoder = scipy.special.softmax(logits(getattr(fits.data, part)) / encoder_temperature, axis=1)
    return average({ENCODER: of_encoder, **fits.probabilities(part)}, weights)

  size, size_bytes = fits.size
  return measure_probabilities(
    spec,
    fits.data,
    probabilities,
    collections=encoder.collections,
    starts_from=encoder.starts_from,
    ensemble=records.EnsembleFit(weights=weights, encoder_temperature=encoder_temperature),
    parameters=records.Counted(
      trainable=encoder.parameters.trainable + size, total=encoder.parameters.total + size
    ),
    bytes=replace(encoder.bytes, trainable=encoder.bytes.trainable | {'fitted': size_bytes}),
    seconds=encoder.seconds | {'training': encoder.seconds['training'] + fits.seconds},
  )


def fit_members(
  logits: Float[np.ndarray, 'w y'],
  probabilities: Mapping[str, Float[np.ndarray, 'w y']],
  labels: Int[np.ndarray, 'w'],
) -> tuple[float, dict[str, float]]:
  """The encoder's temperature and the members' weights, fitted to windows that no member was fitted to.

  logits: the encoder's. probabilities: of each baseline, by name.
  Without its temperature, an overconfident encoder outvotes the others whatever they say.
  Without windows: 1, and the default weights.
  """
  fitted = temperature.fit(logits, labels) if len(labels) else 1.0
  members = {ENCODER: scipy.special.softmax(logits / fitted, axis=1), **probabilities}
  return fitted, _fit_weights(members, labels)


def _fit_weights(
  probabilities: Mapping[str, Float[np.ndarray, 'w y']], labels: Int[np.ndarray, 'w']
) -> dict[str, float]:
  """Minimizes the log loss of the mean over the simplex, with a Dirichlet prior around the default weights.

  By expectation maximization for the weights of a mixture; the loss is convex.
  Source: Dempster, Laird and Rubin, J. R. Stat. Soc. B 39(1), 1977, section 4.3.
  """
  indices = np.arange(len(labels))
  likelihood = np.stack([np.maximum(member[indices, labels], _TINY) for member in probabilities.values()])
  prior = np.array([_DEFAULT_WEIGHTS[name] for name in probabilities])
  weights = prior
  for _ in range(_EM_STEPS):
    joint = weights[:, None] * likelihood
    shares = (joint / joint.sum(axis=0)).sum(axis=1)
    weights = (shares + _PRIOR_WINDOWS * prior) / (len(labels) + _PRIOR_WINDOWS)
  return dict(zip(probabilities, weights.tolist(), strict=True))


def average(
  probabilities: Mapping[str, Float[np.ndarray, 'w y']], weights: Mapping[str, float]
) -> Float[np.ndarray, 'w y']:
  """The weighted mean of the members' probabilities."""
  return np.sum([weights[name] * member for name, member in probabilities.items()], axis=0)


def measure_probabilities(
  spec: RunSpec,
  data: TargetWindows,
  probabilities: Callable[[str], Float[np.ndarray, 'w y']],
  **entries: Any,
) -> records.Result:
  """The result of probabilities of the validation part and, last, of the test part.

  entries: those that do not follow from the probabilities.
  """
  labels, classes = data.validation['label'], len(data.classes)
  measured = metrics.measure(labels, probabilities('validation').argmax(axis=1), classes)
  validation = records.Validation(step=0, macro_f1=measured.macro_f1, accuracy=measured.accuracy)
  tested = probabilities('test')
  return make_result(spec, data, tested, validation=[validation], step=0, batch_runs=1, **entries)


def _check(spec: RunSpec, stop: Callable[[], bool]) -> None:
  if stop():
    raise Stopped(f'{spec.title}: stopped; run again to fit it from the start')

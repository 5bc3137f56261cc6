"""The run of a baseline: fit it to the labeled windows, predict the test part once."""

import time
from collections.abc import Callable
from typing import Any

from har_jax.baselines import BASELINES
from har_jax.data import folds
from har_jax.data import windows as store
from har_jax.errors import Stopped
from har_jax.experiments.adaptation import described
from har_jax.experiments.study import RunSpec
from har_jax.train import metrics


def fit_and_test(spec: RunSpec, stop: Callable[[], bool]) -> dict[str, Any]:
  """The content of the result file.

  The baseline is fitted on the train part of the label budget, in physical units. The validation part is only
  predicted: nothing is chosen on it. Raises Stopped where `stop` returns True before or after the fit.
  """
  data = folds.target_windows(spec.windows, spec.target, spec.experiment.protocol, spec.seed)
  signals = store.load(spec.windows / spec.target).signals
  baseline = BASELINES[spec.method](spec.seed)

  def predict(part: str) -> Any:
    # Columns are classes: every train part has them all.
    return baseline.predict_proba(signals[data.indices[part]]).argmax(axis=1)

  _check(spec, stop)
  start_s = time.monotonic()
  baseline.fit(signals[data.indices['train']], data.train['label'])
  fit_s = time.monotonic() - start_s
  _check(spec, stop)
  validation = metrics.measure(data.validation['label'], predict('validation'), len(data.classes))
  arrays = baseline.arrays
  fitted = sum(array.size for array in arrays)
  return described(spec, data, predict('test')) | {
    'collections': None,  # no neural network
    'starts_from': None,
    'validation': [{'step': 0} | {name: validation[name] for name in ('macro_f1', 'accuracy')}],
    'step': 0,
    'parameters': {'trainable': fitted, 'total': fitted},
    'bytes': {
      'frozen': {},
      'trainable': {'fitted': sum(array.nbytes for array in arrays)},
      'statistics': {},
      'optimizer': {},
    },
    'seconds': {'training': fit_s, 'pretraining': 0.0},
    'batch_runs': 1,
  }


def _check(spec: RunSpec, stop: Callable[[], bool]) -> None:
  if stop():
    raise Stopped(f'{spec.title}: stopped; run again to fit it anew')

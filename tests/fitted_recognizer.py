"""One base and one fitted recognizer for the tests of a folder. Tests that change it copy it first."""

import contextlib
import copy
import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS, SUBJECTS

from har_jax import config, config_fields, files
from har_jax.recognizer.calibration import calibrate
from har_jax.recognizer.recognizer import Recognizer
from har_jax.train.objective import Classify

_TRAINING = dataclasses.replace(
  config.Experiment().finetune, circular_shift=False, amplitude_std=0.0, time_warp_std=0.0
)


@dataclasses.dataclass(frozen=True)
class _Plain(config.Experiment):
  """Without augmentation, which tests/train covers: it takes as long to compile as the rest of a step."""

  finetune: config.Training = _TRAINING


@contextlib.contextmanager
def _without_augmentation() -> Iterator[None]:
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(config, 'Experiment', _Plain)
    yield


@pytest.fixture(scope='module', autouse=True)
def plain() -> Iterator[None]:
  with _without_augmentation():
    yield


@pytest.fixture(scope='session')
def base(tiny, drawn) -> files.Base:
  model = dataclasses.replace(tiny, depth=1)
  return files.make_base(drawn(Classify(model, 2).init), {'model': config_fields.to_json(model)})


@pytest.fixture(scope='session')
def unfitted(base) -> Recognizer:
  return Recognizer(
    base,
    method='lora',
    rank=4,
    alpha=8.0,
    max_steps=30,
    batch=16,
    learning_rate=0.01,
    rotation_std_deg=0.0,
    validation_fraction=0.1,
  )


@pytest.fixture(scope='session')
def fitted(unfitted) -> Recognizer:
  with _without_augmentation():
    return unfitted.adapt(SIGNALS, LABELS, SUBJECTS)


def calibrated_copy(recognizer: Recognizer, *windows: np.ndarray) -> Recognizer:
  """A copy, calibrated by the windows and labels, or by those that it was fitted to."""
  copied = copy.copy(recognizer)
  calibrate(copied, *(windows or (SIGNALS, LABELS)))
  return copied

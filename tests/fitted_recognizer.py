"""One base and one fitted recognizer for the tests of a folder. Tests that change it copy it first."""

import dataclasses

import pytest
from labeled_windows import LABELS, SIGNALS, SUBJECTS

from har_jax import config_fields, files
from har_jax.recognizer.recognizer import Recognizer
from har_jax.train.objective import Classify


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
  )


@pytest.fixture(scope='session')
def fitted(unfitted) -> Recognizer:
  return unfitted.adapt(SIGNALS, LABELS, SUBJECTS)

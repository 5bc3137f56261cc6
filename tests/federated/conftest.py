"""A small base with a stem, and prepared windows of ten people whose activities are easy to tell apart."""

import pathlib

import numpy as np
import pytest
from made_people import CLASSES

from har_jax import config, config_fields, files
from har_jax.data import windows as store
from har_jax.data.cutting import Window
from har_jax.train.objective import Classify

_SMALL = config.Model(
  patch_size=4, stem=(8, 8), log_std=False, width=24, mlp_dim=48, depth=1, num_heads=2, head=(16,)
)


@pytest.fixture(scope='session')
def base(tmp_path_factory: pytest.TempPathFactory, drawn) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('base')
  files.save_base(folder, drawn(Classify(_SMALL, 2).init), {'model': config_fields.to_json(_SMALL)})
  return folder


@pytest.fixture(scope='session')
def windows(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Twelve windows of each activity and person, half a window apart, in the dataset `made`."""
  folder, rng = tmp_path_factory.mktemp('windows'), np.random.default_rng(0)
  gravity = np.eye(3)
  cut = [
    Window(
      signal=np.concatenate(
        [9.8 * gravity[kind] + rng.normal(0, 3.0 - kind, (128, 3)), rng.normal(0, 1.0, (128, 3))], axis=1
      ).astype(np.float32),
      activity=activity,
      subject=f'p{person}',
      recording=3 * person + kind,
      start_s=1.28 * number,
    )
    for person in range(10)
    for kind, activity in enumerate(CLASSES)
    for number in range(12)
  ]
  store.save(store.gather(cut, {'archive': 'made'}), folder / 'made')
  return folder

"""A small base with a stem, and made-up people whose activities are easy to tell apart."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from har_jax import config, config_fields, files
from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.datasets import windows as store
from har_jax.signal.cutting import Window
from har_jax.train.objective import Classify

CLASSES = ('walking', 'sitting', 'standing')
# A few steps of small batches: enough to see what moves.
QUICK = {'rank': 2, 'rounds': 3, 'local_steps': 2, 'batch': 4}
SMALL = config.Model(
  patch_size=4, stem=(8, 8), log_std=False, width=24, mlp_dim=48, depth=1, num_heads=2, head=(16,)
)


def save_base(folder: pathlib.Path, drawn: Callable[..., Any]) -> pathlib.Path:
  files.save_base(folder, drawn(Classify(SMALL, 2).init), {'model': config_fields.to_json(SMALL)})
  return folder


def save_windows(
  folder: pathlib.Path,
  positions: tuple[str, ...] = ('',),
  *,
  lacking: tuple[str, ...] = (),
  windowing: Windowing = DEFAULT_WINDOWING,
) -> pathlib.Path:
  """Twelve windows of each of `CLASSES` and ten people, half a window apart, for each position.

  lacking: people who have none at the last position.
  """
  rng = np.random.default_rng(0)
  gravity, shape = np.eye(3), (windowing.samples, 3)
  cut = [
    Window(
      signal=np.concatenate(
        [9.8 * gravity[(kind + turn) % 3] + rng.normal(0, 3.0 - kind, shape), rng.normal(0, 1.0, shape)],
        axis=1,
      ).astype(np.float32),
      activity=activity,
      subject=f'p{person}',
      recording=3 * person + kind,
      start_s=windowing.step_s * number,
      position=position,
    )
    for turn, position in enumerate(positions)
    for person in range(10)
    if position != positions[-1] or f'p{person}' not in lacking
    for kind, activity in enumerate(CLASSES)
    for number in range(12)
  ]
  store.save(store.gather(cut, {'archive': folder.name}, windowing), folder)
  return folder

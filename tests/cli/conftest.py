"""Prepared windows, and an adapter of a made-up recording, for all tests of commands."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import pytest
import recordings
import tiny_flags
from in_process import run_in_process

from har_jax import config, config_fields, files
from har_jax.train.objective import Classify


@pytest.fixture(scope='module', autouse=True)
def _compiled_fast(compiled_fast: None) -> None:
  """As in processes.py."""


@pytest.fixture(scope='session')
def windows(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Two of the made-up datasets, prepared by the command."""
  folder = tmp_path_factory.mktemp('windows')
  for name in ('synth_waist', 'synth_thigh'):
    code, out, err = run_in_process('prepare', f'--archive={name}', f'--out={folder}')
    assert code == 0, err
    assert 'walking' in out
  return folder


@pytest.fixture(scope='session')
def folder(
  tmp_path_factory: pytest.TempPathFactory,
  tiny: config.Model,
  drawn: Callable[[Callable[[jax.Array], Any]], Any],
) -> pathlib.Path:
  """my.csv and labels.csv to adapt to, day.csv to predict, and a base."""
  made = tmp_path_factory.mktemp('user')
  recordings.recording(made / 'my.csv', recordings.LABELED)
  recordings.labels(made / 'labels.csv', recordings.LABELED)
  recordings.recording(made / 'day.csv', recordings.DAY)
  files.save_base(made / 'base', drawn(Classify(tiny, 2).init), {'model': config_fields.to_json(tiny)})
  return made


@pytest.fixture(scope='session')
def adapted(folder: pathlib.Path) -> tuple[str, str]:
  """What `har-jax adapt` prints while it makes the folder `adapter`."""
  jax.config.update('jax_disable_most_optimizations', True)
  code, out, err = run_in_process(
    'adapt',
    f'--recording={folder}/my.csv',
    f'--labels={folder}/labels.csv',
    f'--base={folder}/base',
    f'--out={folder}/adapter',
    *tiny_flags.ADAPT,
  )
  jax.config.update('jax_disable_most_optimizations', False)
  assert code == 0, err
  return out, err

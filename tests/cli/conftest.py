"""Prepared windows, a study of them, and an adapter of a made-up recording, for all tests of commands."""

import pathlib

import pytest
import recordings
import short_sample
import tiny_flags
from in_process import succeed
from small_baselines import small_baselines  # noqa: F401

from har_jax import config_fields, files
from har_jax.train.objective import Classify


@pytest.fixture(scope='session')
def windows(tmp_path_factory) -> pathlib.Path:
  """Two datasets of the sample, cut to few short recordings, prepared by the command."""
  folder = tmp_path_factory.mktemp('windows')
  short_sample.prepare(folder)
  return folder


@pytest.fixture(scope='session')
def study(windows) -> tuple[str, ...]:
  """Flags of a study of two runs."""
  return (f'--windows={windows}', '--methods=full,probe', *tiny_flags.STUDY)


@pytest.fixture(scope='session')
def finished(study, tmp_path_factory) -> pathlib.Path:
  """The folder of the study, run without interruption in one process."""
  folder = tmp_path_factory.mktemp('runs')
  out, _ = succeed('lodo', *study, f'--out={folder}')
  for number, method in enumerate(('full', 'probe'), start=1):
    assert (
      f'[{number}/2] {folder}/sample_motionsense/{method}/subject/labels-0.7/seed0.json: accuracy ' in out
    )
  return folder


@pytest.fixture(scope='session')
def folder(tmp_path_factory, tiny, drawn) -> pathlib.Path:
  """my.csv and labels.csv to adapt to, day.csv to predict, and a base."""
  made = tmp_path_factory.mktemp('user')
  recordings.recording(made / 'my.csv', recordings.LABELED)
  recordings.labels(made / 'labels.csv', recordings.LABELED)
  recordings.recording(made / 'day.csv', recordings.DAY)
  files.save_base(made / 'base', drawn(Classify(tiny, 2).init), {'model': config_fields.to_json(tiny)})
  return made


@pytest.fixture(scope='session')
def adapted(folder) -> tuple[str, str]:
  """What `har-jax adapt` prints while it makes the folder `adapter`."""
  where = (folder / 'my.csv', folder / 'labels.csv', f'--base={folder}/base', f'--out={folder}/adapter')
  return succeed('adapt', *where, *tiny_flags.ADAPT)

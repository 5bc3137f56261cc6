"""What a flag says reaches the function that the command is for."""

import inspect
import pathlib
import types
from typing import Any

import numpy as np
import pytest
from in_process import run_in_process
from short_sample import NAMES

from har_jax import files, recordings, storage, timeline
from har_jax.config import DEFAULT_WINDOWING
from har_jax.continual import domains
from har_jax.errors import UserError
from har_jax.experiments import stages
from har_jax.export import compare
from har_jax.recognizer.recognizer import Recognizer
from har_jax.timeline import quality, recognition

_READING = {
  'labels': 'labels.csv', 'acc_unit': 'g', 'gyro_unit': 'deg/s', 'time_unit': 'ms', 'rate_hz': 25.0,
  'time_zone': 'Europe/Berlin', 'frame': 'flip',
}  # fmt: skip
_ANSWERING = {
  'activities': ['walking', 'lying'], 'second': 'other.csv', 'second_adapter': 'second', 'unknown_below': 0.3,
  'refusal_rate': 0.1, 'mean_bout_s': 9.0, 'not_worn_min': 7.0, 'progress': False,
}  # fmt: skip
_TRAINING = {
  'method': 'auto', 'rank': 3, 'max_steps': 7, 'learning_rate': 0.5, 'batch': 9, 'rotation_std_deg': 2.0,
  'random_state': 5, 'max_memory_mb': 60.0, 'max_minutes': 2.0, 'max_adapter_kb': 80.0,
  'validation_fraction': 0.4, 'progress': False,
}  # fmt: skip
_STREAM = {'labels': 3, 'seed': 4, 'classes': 'all', 'most': 2}


def _flag(name: str, value: Any) -> str:
  if isinstance(value, bool):
    return f'--{name}' if value else f'--no{name}'
  return f'--{name}={",".join(value) if isinstance(value, list) else value}'


def _arrived(
  monkeypatch, place: Any, name: str, *arguments: object
) -> tuple[tuple[Any, ...], dict[str, Any]]:
  """The arguments with which a command calls a function, which ends it."""
  calls = []

  def spied(*positional: Any, **named: Any) -> None:
    calls.append((positional, named))
    raise UserError('that is all')

  monkeypatch.setattr(place, name, spied)
  code, _, err = run_in_process(*map(str, arguments))
  assert code == 1
  assert 'that is all' in err
  return calls[0]


@pytest.fixture
def paths(tmp_path) -> dict[str, str]:
  for name in ('adapter', 'base'):
    (tmp_path / name).mkdir()
  return {name: str(tmp_path / name) for name in ('adapter', 'base', 'out')}


def _flags(entries: dict[str, Any]) -> list[str]:
  return [_flag(name, value) for name, value in entries.items()]


def test_check_gives_all_to_the_check(monkeypatch, paths):
  flags = _flags(_READING | {'not_worn_min': 7.0, 'adapter': paths['adapter'], 'out': paths['out']})
  given, named = _arrived(monkeypatch, quality, 'check', 'check', 'day.csv', '--columns=ax =x', *flags)
  assert given == ('day.csv', paths['adapter'])
  assert named == _READING | {'not_worn_min': 7.0, 'columns': {'ax': 'x'}}


@pytest.mark.parametrize(
  ('place', 'name', 'command'),
  [(quality, 'check', 'check'), (timeline, 'recognize', 'predict'), (timeline, 'adapt', 'adapt')],
)
def test_without_flags_a_function_has_its_own_defaults(monkeypatch, paths, place, name, command):
  parameters = (
    inspect.signature(recordings.read).parameters | inspect.signature(getattr(place, name)).parameters
  )
  _, named = _arrived(monkeypatch, place, name, command, 'day.csv', f'--out={paths["out"]}')
  shared = (named.keys() & parameters.keys()) - {'progress', 'tell'}  # a command prints, and draws a bar
  assert {key: named[key] or None for key in shared} == {
    key: parameters[key].default or None for key in shared
  }


def test_predict_gives_all_to_recognize(monkeypatch, paths):
  flags = _flags(_READING | _ANSWERING | paths)
  given, named = _arrived(monkeypatch, timeline, 'recognize', 'predict', 'day.csv', *flags)
  assert given == ('day.csv', paths['adapter'])
  del named['tell']
  assert named == _READING | _ANSWERING | {'base': paths['base'], 'columns': {}}


def test_a_base_alone_is_not_replaced_by_the_bundled_one(monkeypatch, paths):
  command = ('predict', 'day.csv', f'--base={paths["base"]}', f'--out={paths["out"]}')
  given, named = _arrived(monkeypatch, timeline, 'recognize', *command)
  assert (given, named['base']) == (('day.csv', None), paths['base'])


def test_recognize_loads_the_adapter_with_its_base(monkeypatch, paths):
  given, _ = _arrived(monkeypatch, Recognizer, 'load', 'predict', 'day.csv', *_flags(paths))
  assert given == (paths['adapter'], paths['base'])


def test_adapt_gives_all_to_adapt_and_suggest(monkeypatch, paths):
  flags = _flags(_READING | _TRAINING | {'base': paths['base'], 'out': paths['out']})
  given, named = _arrived(monkeypatch, timeline, 'adapt', 'adapt', 'day.csv', *flags)
  del named['tell']
  expected = _READING | {'base': paths['base'], 'columns': {}}
  assert (given, named) == (('day.csv',), expected | _TRAINING)
  given, named = _arrived(monkeypatch, timeline, 'suggest', 'adapt', 'day.csv', '--suggest=6', *flags)
  del named['tell']
  assert (given, named) == (('day.csv', 6), expected | {'progress': False})


def test_export_compares_windows_of_a_runs_test_subjects_without_shifts(monkeypatch, paths, tmp_path):
  (tmp_path / 'seed0.json').touch()
  subjects = types.SimpleNamespace(train=['1'], validation=['2'], test=['3'])
  result = types.SimpleNamespace(data=types.SimpleNamespace(subjects=subjects))
  monkeypatch.setattr(storage, 'read_record', lambda *_: result)
  settings: dict[str, Any] = {}
  recognizer = types.SimpleNamespace(
    classes_=np.array(['walking', 'lying']), windowing=DEFAULT_WINDOWING, set_params=settings.update
  )
  monkeypatch.setattr(recognition, 'load', lambda *_: recognizer)
  command = ('export', tmp_path / 'seed0.json', '--format=stablehlo', f'--compare_windows={tmp_path}')
  given, _ = _arrived(monkeypatch, compare, 'labeled_windows', *command, f'--out={paths["out"]}')
  assert given == (tmp_path, ['walking', 'lying'], DEFAULT_WINDOWING, ['3'])
  assert settings == {'tta_shifts': 1}


def test_continual_gives_all_to_the_stream(monkeypatch, paths, windows: pathlib.Path):
  loaded, bundled = [], files.bundled_base()
  monkeypatch.setattr(files, 'load_base', lambda place: loaded.append(place) or bundled)
  flags = ('--labels_per_activity=3', '--seed=4', '--classes=all', '--people=2', f'--base={paths["base"]}')
  where = (f'--windows={windows}', f'--out={paths["out"]}', *flags)
  people = _arrived(monkeypatch, domains, 'stream_people', 'continual', *where, f'--target={NAMES[0]}')
  assert (people[0][1:], people[1]) == ((NAMES[0],), _STREAM)
  targets = _flag('targets', list(NAMES))
  together = _arrived(monkeypatch, domains, 'stream_datasets', 'continual', *where, targets)
  assert (together[0][1:], together[1]) == ((list(NAMES),), _STREAM)
  assert loaded == [paths['base']] * 2


def test_pretrain_trains_on_windows_of_its_sources_and_their_variants(monkeypatch, windows, tmp_path):
  flags = (f'--sources={NAMES[1]}', '--supervised_pretraining_steps=3', f'--out={tmp_path}')
  (trained, _), _ = _arrived(monkeypatch, stages, 'run_stages', 'pretrain', f'--windows={windows}', *flags)
  assert [stage.folder for stage in trained] == [tmp_path / 'pretrain', tmp_path / 'supervised']
  masked, supervised = (stage.identity for stage in trained)
  assert list(masked.windows) == list(supervised.windows) == [NAMES[1]]
  assert supervised.training.max_steps == 3
  assert {f'{name} reversed' for name in supervised.classes} > set(
    supervised.classes[len(supervised.classes) // 2 :]
  )

"""Values that a caller gets wrong: a text, None, NaN, a bool or a list in place of a number."""

import numpy as np
import pandas as pd
import pytest

import har_jax
from har_jax import Recognizer, UserError, signal
from har_jax.recognizer import budget, parameters, prediction_sets, validation
from har_jax.signal import frames
from har_jax.stream.stream import Stream

_WRONG = ('a', None, float('nan'), float('inf'), -1, True, [1])
_WINDOWS = np.tile(np.array([0, 0, 9.8, 0, 0, 0]), (2, 128, 1))
_NOT_NEEDED = {'hop_s', 'rate_hz', 'seconds', 'max_memory_mb', 'max_minutes', 'max_adapter_kb'}  # may be None


def _of_recognizer(name: str, value: object) -> None:
  if name.startswith('max_') and name != 'max_steps':
    budget.Budget(**{name: value})
  else:
    parameters.check(Recognizer(**{name: value}))


def _shift(value: object) -> None:
  recognizer = Recognizer.load()
  recognizer.tta_shifts = value
  recognizer.predict(_WINDOWS)


def _recognize(**options: object) -> None:
  har_jax.recognize('day.csv', **options)


_CALLS = {
  # `predict_set` asks this first; tests check the types of its own parameters.
  'coverage': lambda value: prediction_sets.shortage([], value),
  'hop_s': lambda value: Stream(Recognizer.load(), hop_s=value),
  'mean_bout_s': lambda value: Stream(Recognizer.load(), mean_bout_s=value),
  'refusal_rate': lambda value: Stream(Recognizer.load(), refusal_rate=value),
  'seconds': lambda value: Stream(Recognizer.load()).correct('walking', seconds=value),
  'tta_shifts': _shift,
  'unknown_below': lambda value: _recognize(unknown_below=value),
  'not_worn_min': lambda value: har_jax.check('day.csv', not_worn_min=value),
  'rate_hz': lambda value: har_jax.suggest('day.csv', rate_hz=value),
  'count': lambda value: har_jax.suggest('day.csv', value),
  **{
    name: lambda value, name=name: _of_recognizer(name, value)
    for name in ('validation_fraction', 'max_steps', 'rank', 'batch', 'learning_rate', 'random_state')
  },
  **{
    name: lambda value, name=name: _of_recognizer(name, value)
    for name in ('max_memory_mb', 'max_minutes', 'max_adapter_kb')
  },
}


@pytest.mark.parametrize('name', _CALLS)
def test_a_value_that_is_no_number_in_range_is_refused_by_its_name(name):
  for value in _WRONG:
    if value is None and name in _NOT_NEEDED:
      continue
    with pytest.raises(UserError, match=name) as refused:
      _CALLS[name](value)
    assert 'give' in str(refused.value) or 'must' in str(refused.value), value


@pytest.mark.parametrize('value', [None, float('nan'), -1, True, [1]])
def test_a_number_in_place_of_a_text_is_refused_by_its_name(value):
  with pytest.raises(UserError, match=r'^frame is .*give auto'):
    frames.parse(value)
  for name in ('acc_unit', 'gyro_unit', 'time_unit'):
    with pytest.raises(UserError, match=f'^{name} is .*must be auto or one of'):
      _recognize(**{name: value})
  if value is not None:
    with pytest.raises(UserError, match=r'^time_zone is .*give a name'):
      _recognize(time_zone=value)
    with pytest.raises(UserError, match=r'^columns is .*give a dict'):
      _recognize(columns=value)


def test_a_stream_of_no_recognizer_is_refused():
  with pytest.raises(UserError, match=r"^recognizer is 'runs/adapter'; give a Recognizer"):
    Stream('runs/adapter')


def test_times_of_samples_that_are_texts_and_samples_of_different_lengths_are_refused():
  stream = Stream(Recognizer.load())
  with pytest.raises(UserError, match=r'^time_s is \[2\] for 2 samples; give a finite time each'):
    stream.push(_WINDOWS[0, :2], ['a', 'b'])
  with pytest.raises(UserError, match=r'^the samples are of different lengths; give \[n, 6\]'):
    stream.push([[1], [1, 2]])
  for scale, start, count in ((1e3, 0.0, 3), (1e9, 1.7e18, 128), (1e-9, 1.7e12, 128)):
    with pytest.raises(UserError, match=r'is time_s in seconds, and rate_hz right\?'):
      stream.push(_WINDOWS[0, :count], start + scale * np.arange(count) / 50)


def test_activities_that_are_no_names_are_refused_and_none_are_all():
  with pytest.raises(UserError, match=r'^an entry of activities is 1; give names'):
    _recognize(activities=[1])
  with pytest.raises(UserError, match=r'no recording at day\.csv'):
    _recognize(activities=None)


def test_a_number_in_place_of_a_role_is_refused():
  frame = pd.DataFrame(np.ones((9, 7)), columns=['time', 'ax', 'ay', 'az', 'gx', 'gy', 'gz'])
  with pytest.raises(UserError, match=r'^columns has no role 1; it maps time'):
    har_jax.recognize(frame, columns={1: 'ax'})


def test_windows_of_different_lengths_are_refused():
  with pytest.raises(UserError, match=r'^the windows are of different lengths; give \[w, 128, 6\]'):
    validation.check_windows([[1], [1, 2]], signal.DEFAULT_WINDOWING)


@pytest.mark.parametrize('name', ['metod', 'alpha', 'verbose'])  # alpha is twice the rank
def test_an_option_that_adapt_does_not_have_is_refused_by_its_name(name):
  with pytest.raises(UserError, match=f'^{name} is no option of adapt; these are columns, .*method, rank'):
    har_jax.adapt('day.csv', **{name: 1})


@pytest.mark.parametrize('call', [har_jax.recognize, har_jax.check, har_jax.suggest])
def test_an_option_that_reading_does_not_have_is_refused_by_its_name(call):
  with pytest.raises(UserError, match=r'^adaptor is no option of reading; these are columns, acc_unit'):
    call('day.csv', adaptor='folder')


@pytest.mark.parametrize('call', [har_jax.recognize, har_jax.check, Recognizer.load, Recognizer.load().save])
def test_an_empty_path_is_not_the_folder_in_which_it_runs(call, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError, match=r"^the (place is ''; give|path of the recording or of its labels is)"):
    call('')
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('folder', [None, 3])
def test_nothing_is_saved_to_a_folder_that_is_no_path(folder, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError, match=f'^the place is {folder}; give the path of a folder'):
    Recognizer.load().save(folder)
  assert not list(tmp_path.iterdir())

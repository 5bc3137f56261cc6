"""The script next to an ONNX model answers as `predict` does, and needs NumPy and ONNX Runtime alone."""

import ast
import collections
import copy
import errno
import json
import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest
import short_sample

import har_jax
from har_jax import escaping, export, signal
from har_jax.export import predict
from har_jax.recognizer import prediction_sets
from har_jax.recordings import units
from har_jax.signal import cutting
from har_jax.signal.recording import Recording, Samples

_UNITS = ('--time=ms', '--acc=g', '--gyro=deg/s')
_CARD = {'input': {'rate_hz': 50, 'window': 128}, 'stream': {'max_gap_s': 0.2, 'hop_s': 1.28}}
_NAMES = ['time', 'ax', 'ay', 'az', 'gx', 'gy', 'gz']


@pytest.fixture(scope='module')
def table() -> pd.DataFrame:
  """A person of the sample, in milliseconds, g and degrees per second, with a second missing."""
  (recording,) = short_sample.read('sample_motionsense', subjects=1, seconds=25.0)[:1]
  values = np.hstack([recording.acc.values / 9.80665, np.rad2deg(recording.gyro.values)])
  table = pd.DataFrame(np.column_stack([1000 * recording.acc.time_s, values]), columns=_NAMES)
  return table.drop(range(400, 450))


@pytest.mark.parametrize(('samples', 'starts'), [(127, []), (128, [0.0]), (191, [0.0]), (192, [0.0, 1.28])])
def test_a_window_needs_all_of_its_samples(samples, starts):
  rows = np.column_stack([np.arange(samples) / 50, np.ones((samples, 6))])
  assert [start_s for start_s, _ in predict.windows(rows, _CARD)] == pytest.approx(starts)


def test_windows_have_the_length_rate_and_hop_of_the_card():
  card = {'input': {'rate_hz': 20, 'window': 60}, 'stream': {'max_gap_s': 0.2, 'hop_s': 0.5}}
  rows = np.column_stack([np.arange(81) / 20, np.ones((81, 6))])
  starts_s, windows = zip(*predict.windows(rows, card), strict=True)
  assert starts_s == (0.0, 0.5, 1.0)
  assert {window.shape for window in windows} == {(60, 6)}


@pytest.mark.parametrize(
  ('rate_hz', 'frequency_hz', 'size'), [(25, 5, 1), (100, 5, 1), (100, 30, 0), (200, 45, 0)]
)
def test_a_tone_of_another_rate_keeps_its_amplitude_or_vanishes(rate_hz, frequency_hz, size):
  def tone(time_s: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * time_s)[:, None] * np.ones(6)

  time_s = np.arange(10 * rate_hz) / rate_hz
  _, (start_s, window), *_ = predict.windows(np.column_stack([time_s, tone(time_s)]), _CARD)
  assert start_s == 1.28  # whole lobes of the filter lie before it
  np.testing.assert_allclose(window, size * tone(start_s + np.arange(128) / 50), atol=0.02)


@pytest.mark.parametrize('rate_hz', [12.5, 20])
def test_a_line_stays_a_line_up_to_the_ends(rate_hz):
  time_s = np.arange(2.6 * rate_hz) / rate_hz
  ((_, window),) = predict.windows(np.column_stack([time_s, np.outer(time_s, 6 * [10.0])]), _CARD)
  np.testing.assert_allclose(window[:, 0], 10 * np.arange(128) / 50, atol=0.003)


def _check_as_package(time_s: np.ndarray) -> None:
  phases = np.random.default_rng(1).uniform(0, 6, 6)
  waves = np.sin(2 * np.pi * np.outer(time_s, [0.3, 1, 2, 3, 4, 5]) + phases)
  waves[:, 4] *= np.where(time_s < 6, 1, 15)  # slopes from small to large
  values = waves + np.array([0, 1, 9.8, 0, 0, 0.1]) + np.outer(time_s, [2, 0, 0, 0, 0, 0])
  sensors = (Samples(time_s, part.astype(np.float32)) for part in (values[:, :3], values[:, 3:]))
  recording = Recording('', '', *sensors, ())
  (piece,) = cutting.resample(recording, collections.Counter(), signal.DEFAULT_WINDOWING)
  starts_s, windows = zip(*predict.windows(np.column_stack([time_s, values]), _CARD), strict=True)
  assert len(starts_s) == (len(piece.signal) - 128) // 64 + 1
  for start_s, window in zip(starts_s, windows, strict=True):
    first = round(50 * start_s)
    np.testing.assert_allclose(window, piece.signal[first : first + 128], atol=0.01)


@pytest.mark.parametrize(
  ('rate_hz', 'jitter_s'), [(12.5, 0), (20, 0.004), (25, 0), (59.7, 0.001), (100, 0.002), (104, 0)]
)
def test_windows_of_any_rate_are_those_of_the_package(rate_hz, jitter_s):
  jitter = np.random.default_rng(0).normal(0, jitter_s, int(12 * rate_hz))
  time_s = np.sort(np.arange(int(12 * rate_hz)) / rate_hz + jitter)
  _check_as_package(np.delete(time_s - time_s[0], 40))  # a hole, which is no gap


@pytest.mark.parametrize('step_s', [1e-4, 1e-3, 3e-3])  # 200, 20 and 7 times the mean rate
def test_rows_in_bursts_are_taken_as_even_as_by_the_package(step_s):
  _check_as_package(np.repeat(np.arange(100) / 12.5, 4) + np.tile(step_s * np.arange(4), 100))


def test_units_are_those_of_recordings():
  kinds = {'time': units.TIME_S, 'acc': units.ACC, 'gyro': units.GYRO}
  for kind, factors in predict._UNITS.items():
    assert factors == pytest.approx({name: kinds[kind][name] for name in factors})


def test_a_window_lies_on_one_side_of_a_gap():
  time_s = np.concatenate([np.arange(128), np.arange(191) + 139]) / 50  # 0.24 s apart
  rows = np.column_stack([time_s, np.repeat([[1.0], [2.0]], [128, 191], axis=0).repeat(6, axis=1)])
  (first_s, first), (second_s, second) = predict.windows(rows, _CARD)
  assert (first_s, second_s) == (0.0, 2.78)
  np.testing.assert_allclose([first, second], np.ones((2, 128, 6)) * [[[1]], [[2]]])


@pytest.fixture
def folder(recognizer, tmp_path) -> pathlib.Path:
  """An export of a recognizer that adapts its answers to a recording, and has prediction sets."""
  adapted, scores = copy.copy(recognizer), np.linspace(0.05, 0.95, 12).tolist()
  entries = {'class_logits': (2 * np.eye(4)).tolist(), 'set_scores': scores}
  adaptation = {'adaptation_temperature': 0.8 * recognizer.temperature}
  adapted.adapter_ = recognizer.adapter_.with_card(**entries, **adaptation)
  export.write(tmp_path / 'model', export.make(adapted, 'onnx'))
  adapted.save(tmp_path / 'adapter')
  return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(('every', 'tolerance'), [(1, 1e-3), (2, 0.02)], ids=['50 Hz', '25 Hz'])
def test_the_script_next_to_an_onnx_model_answers_as_predict_does(folder, table, every, tolerance):
  pytest.importorskip('onnxruntime')
  table[::every].to_csv(folder / 'day.csv', index=False)
  command = [sys.executable, 'model/predict.py', 'day.csv', *_UNITS, '--out=windows.csv']
  printed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
  answers, columns = pd.read_csv(folder / 'windows.csv'), {'time': 'time'}
  options = {'columns': columns, 'time_unit': 'ms', 'acc_unit': 'g', 'gyro_unit': 'deg/s', 'frame': 'as_is'}
  expected = har_jax.recognize(folder / 'day.csv', folder / 'adapter', **options).windows
  assert answers.columns.tolist() == expected.columns.tolist()
  assert answers['activity'].tolist() == expected['activity'].tolist()
  if every == 1:
    assert answers['set'].tolist() == expected['set'].tolist()
  assert answers['set'].nunique() > 1
  for name in answers.columns.drop(['activity', 'set']):
    np.testing.assert_allclose(answers[name], expected[name], atol=tolerance)
  assert sorted(set(answers['activity'])) == [line.split()[0] for line in printed.splitlines()]


class _Session:
  """In place of ONNX Runtime's: every window is of the first class."""

  def __init__(self, model: bytes, providers: list[str]):
    assert model == b'model'

  def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    assert inputs['signal'].shape == (1, 128, 6)  # int8 models take one window a call
    return [np.array([[0.75, 0.25]])]


@pytest.fixture
def script(monkeypatch, table, tmp_path) -> pathlib.Path:
  """The script's folder, with a model of activities that a spreadsheet would take for formulas."""
  monkeypatch.setitem(sys.modules, 'onnxruntime', types.SimpleNamespace(InferenceSession=_Session))
  monkeypatch.setattr(predict, '__file__', str(tmp_path / 'predict.py'))
  monkeypatch.setattr(sys, 'argv', ['predict.py', 'day.csv', *_UNITS])
  monkeypatch.chdir(tmp_path)
  card = _CARD | {'file': 'model.onnx', 'classes': ['=1+1', 'walking']}
  (tmp_path / 'model.json').write_text(json.dumps(card), encoding='utf-8')
  (tmp_path / 'model.onnx').write_bytes(b'model')
  table.to_csv('day.csv', index=False)
  return tmp_path


def test_no_cell_of_the_script_is_a_formula(script, capsys):
  assert predict.main() == 0
  windows = len(pd.read_csv(script / 'windows.csv'))
  assert capsys.readouterr().out.split() == ['=1+1', f'{windows * 1.28 / 60:.1f}', 'minutes']
  assert set(pd.read_csv(script / 'windows.csv')['activity']) == {"'=1+1"}
  for text in ('=1+1', '+a', '-a', '@a', '\ta', '\ra', '-1', '+1e3', 'walking', 'a=b', ''):
    assert predict.csv_cell(text) == escaping.csv_cell(text)


@pytest.mark.parametrize(
  ('changed', 'cells'),
  [
    ({'set_scores': [0.1] * 9}, {"'=1+1"}),
    ({'set_scores': [0.75] * 9}, {"'=1+1 | walking"}),
    ({'set_scores': [0.75] * 9, 'classes': [1, 2.0]}, {'1 | 2.0'}),
  ],
)
def test_a_set_has_the_activities_within_the_quantile(script, changed, cells):
  card = json.loads((script / 'model.json').read_text(encoding='utf-8'))
  (script / 'model.json').write_text(json.dumps(card | changed), encoding='utf-8')
  assert predict.main() == 0
  assert set(pd.read_csv(script / 'windows.csv')['set']) == cells


def test_too_few_scores_give_no_sets(script):
  assert predict.main() == 0
  assert 'set' not in pd.read_csv(script / 'windows.csv')
  assert predict.sets(np.array([[0.75, 0.25]]), [0.1] * 8) is None
  rng = np.random.default_rng(0)
  probabilities, scores = rng.dirichlet(np.ones(4), 50), np.sort(rng.uniform(size=30)).tolist()
  found = predict.sets(probabilities, scores)
  np.testing.assert_array_equal(
    found, prediction_sets.make_sets(probabilities, scores, prediction_sets.COVERAGE)
  )


def _raise_no_space(text: str) -> str:
  raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_script_says_which_file_it_cannot_write_and_what_recording_has_no_window(script, monkeypatch):
  monkeypatch.setattr(sys, 'argv', [*sys.argv, '--out=no/windows.csv'])
  with pytest.raises(SystemExit, match=r'^--out=no/windows\.csv cannot be written: No such file'):
    predict.main()
  monkeypatch.setattr(sys, 'argv', [*sys.argv, '--time=us'])
  with pytest.raises(SystemExit, match=r'^day\.csv has no window .* is --time another unit'):
    predict.main()


def test_a_script_on_a_full_disk_leaves_no_half_of_its_answers(script, monkeypatch):
  monkeypatch.setattr(predict, 'csv_cell', _raise_no_space)
  with pytest.raises(SystemExit, match=r'^--out=windows\.csv cannot be written: No space left'):
    predict.main()
  assert not list(script.glob('windows.csv*'))


@pytest.mark.parametrize('name', ['model.json', 'model.onnx'])
def test_a_script_without_its_model_says_what_belongs_next_to_it(script, name):
  (script / name).unlink()
  with pytest.raises(SystemExit, match=f'{name}.*; copy the whole folder of the export'):
    predict.main()


def test_the_script_imports_nothing_but_numpy_and_onnx_runtime():
  tree = ast.parse(pathlib.Path(predict.__file__).read_text(encoding='utf-8'))
  names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
  names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
  assert {name.partition('.')[0] for name in names} - sys.stdlib_module_names == {'numpy', 'onnxruntime'}


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda table: table.drop(columns='gz'), 'has 6 columns; give time, acceleration x, y, z'),
    (lambda table: table.assign(ay='fast'), 'fast.*give a CSV of numbers'),
    (lambda table: table.iloc[[0, 0]], 'has fewer than two rows of numbers at different times'),
    (lambda table: table[::-1], r'time falls after .* s; sort the rows'),
    (lambda table: table.assign(time=np.nan), 'has fewer than two rows'),
    (lambda table: table.assign(az=table['az'] + 100), r'acceleration is .* Is --acc its unit\?'),
    (lambda table: table.assign(gx=2000.0), r'angular velocity is 35 rad/s.* Is --gyro its unit\?'),
    (  # a day of sitting, with some walking
      lambda table: table.assign(gx=np.where(np.arange(len(table)) % 10, 0, 2000.0), gy=0, gz=0),
      r'angular velocity is 35 rad/s',
    ),
  ],
)
def test_a_recording_that_cannot_be_used_is_refused_in_a_sentence(table, tmp_path, change, message):
  change(table).to_csv(tmp_path / 'day.csv', index=False, na_rep='nan')
  with pytest.raises(SystemExit, match=f'day.csv.*{message}'):
    predict.read(str(tmp_path / 'day.csv'), [1e-3, *[9.80665] * 3, *[np.pi / 180] * 3])


def test_rows_with_a_missing_number_or_the_time_of_the_one_before_are_left_out(tmp_path):
  rows = ['0,0,0,9.8,0,0,0', '0,1,0,9.8,0,0,0', '1,0,0,9.8,0,0,nan', '2,0,0,9.8,0,0,1']
  (tmp_path / 'day.csv').write_text('\n'.join([','.join(_NAMES), *rows]))
  expected = [[0, 0, 0, 9.8, 0, 0, 0], [2, 0, 0, 9.8, 0, 0, 1]]
  np.testing.assert_allclose(predict.read(str(tmp_path / 'day.csv'), [1.0] * 7), expected)

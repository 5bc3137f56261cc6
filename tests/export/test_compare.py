"""What an export loses against what it was made from: by hand, and by the script."""

import os
import pathlib
import subprocess
import sys

import made_up
import numpy as np
import pytest

from har_jax import export
from har_jax.data import windows as store
from har_jax.errors import UserError
from har_jax.export import compare
from har_jax.inference.recognizer import Recognizer

_ROOT = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures('compiled_fast')


def test_losses_are_counted_by_hand():
  labels = np.array([0, 0, 1, 1])
  expected = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
  given = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.1, 0.9]])
  lost = compare.against(expected, given, labels)
  kept = (2 / 3 + 4 / 5) / 2  # F1 of one hit of two, and of two hits and a false alarm
  assert (lost['other_answers'], lost['macro_f1_unexported'], lost['windows']) == (1, 1.0, 4)
  np.testing.assert_allclose(
    [lost['max_difference'], lost['macro_f1'], lost['macro_f1_lost']], [0.4, kept, 1 - kept]
  )


@pytest.fixture(scope='module')
def folder(signals: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Windows of Ann, who walks, of Bob, who lies, and of Cem, who runs."""
  place = tmp_path_factory.mktemp('windows') / 'made_up'
  shown = (('Ann', 'walking'), ('Bob', 'lying'), ('Cem', 'running'))
  cut = [
    store.Window(signal, shown[i % 3][1], shown[i % 3][0], i % 3, 0.0)
    for i, signal in enumerate(signals[:12])
  ]
  store.save(store.gather(cut, {'archive': 'made_up', 'position': 'waist'}), place)
  return place


def test_windows_to_compare_on_are_of_the_classes_and_subjects(
  folder: pathlib.Path, signals: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
  given, labels = compare.labeled(folder, made_up.CLASSES)
  np.testing.assert_array_equal(given, signals[:12][np.arange(12) % 3 < 2])
  assert labels.tolist() == [0, 1] * 4  # running is none of the classes
  given, labels = compare.labeled(folder, made_up.CLASSES, ['Bob', 'Cem'])
  np.testing.assert_array_equal(given, signals[1:12:3])
  assert labels.tolist() == [1] * 4
  with pytest.raises(UserError, match=r'no window of the classes walking, .* by the subjects Dov'):
    compare.labeled(folder, made_up.CLASSES, ['Dov'])
  monkeypatch.setattr(compare, '_MOST', 3)
  assert compare.labeled(folder, made_up.CLASSES)[1].tolist() == [0, 1, 1]


def _script(*arguments: object) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    [sys.executable, str(_ROOT / 'launch' / 'export.py'), *map(str, arguments)],
    env=os.environ | {'PYTHONPATH': str(_ROOT), 'JAX_PLATFORMS': 'cpu', 'PYTHONIOENCODING': 'utf-8'},
    capture_output=True,
    encoding='utf-8',
    timeout=300,
  )


def test_the_script_exports_compares_and_prints_a_table(
  recognizer: Recognizer, folder: pathlib.Path, tmp_path: pathlib.Path
):
  recognizer.save(tmp_path / 'adapter')
  done = _script(
    f'--adapter={tmp_path / "adapter"}',
    '--format=stablehlo',
    '--precision=float32,int8',
    f'--windows={folder}',
    f'--out={tmp_path / "out"}',
  )
  assert (done.returncode, done.stderr) == (0, '')
  assert 'Before export: macro-F1' in done.stdout
  assert done.stdout.splitlines()[-2:] == [
    str(tmp_path / 'out' / f'stablehlo-{precision}') for precision in export.PRECISIONS
  ]
  for precision in export.PRECISIONS:
    card = export.load(tmp_path / 'out' / f'stablehlo-{precision}').card
    measured = card['measured']
    assert (measured['windows'], measured['precision']) == (8, precision)
    assert measured['max_difference'] < made_up.BOUND[precision]
    assert measured['ms_quartiles'][0] <= measured['ms'] <= measured['ms_quartiles'][1]
    assert f'{measured["macro_f1"]:.4f}' in done.stdout


@pytest.mark.parametrize(
  ('arguments', 'told'),
  [
    ([], 'what to export? --adapter='),
    (['--adapter=nowhere', '--format=onxx'], '--format=onxx: one or more of litert, onnx, stablehlo'),
  ],
)
def test_a_mistake_gets_one_clear_message(arguments: list[str], told: str):
  done = _script(*arguments)
  assert done.returncode == 1
  assert told in done.stderr
  assert 'Traceback' not in done.stderr

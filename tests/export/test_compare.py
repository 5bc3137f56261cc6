"""How an export differs from its recognizer: by hand, and by the command."""

import functools
import pathlib
import re

import export_cases
import numpy as np
import pytest
from in_process import succeed

from har_jax import export
from har_jax.cli import main
from har_jax.config import DEFAULT_WINDOWING
from har_jax.datasets import windows as store
from har_jax.errors import UserError
from har_jax.export import compare
from har_jax.signal import cutting


def test_differences_are_those_counted_by_hand():
  labels = np.array([0, 0, 1, 1])
  expected = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
  exported = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.1, 0.9]])
  row = compare.compare_probabilities(export_cases.MEASURED, expected, exported, labels)
  after = (2 / 3 + 4 / 5) / 2  # F1 of one hit of two, and of two hits and a false positive
  assert (row.changed_predictions, row.macro_f1_before, row.windows) == (1, 1.0, 4)
  np.testing.assert_allclose([row.max_difference, row.macro_f1, row.macro_f1_loss], [0.4, after, 1 - after])
  further = exported + np.array([[0, 0], [0, 0.2], [0, 0], [0, 0]])  # of no sum of one, so that signs differ
  for pair in ((expected, further), (further, expected)):
    assert compare.compare_probabilities(
      export_cases.MEASURED, *pair, labels
    ).max_difference == pytest.approx(0.6)
  wrong = compare.compare_probabilities(export_cases.MEASURED, expected, expected, 1 - labels)
  assert (wrong.changed_predictions, wrong.macro_f1) == (0, 0)


@pytest.fixture(scope='module')
def folder(signals, tmp_path_factory) -> pathlib.Path:
  """Windows of Ann walking, Bob lying and Cem running."""
  place = tmp_path_factory.mktemp('windows') / 'export_cases'
  shown = (('Ann', 'walking'), ('Bob', 'lying'), ('Cem', 'running'))
  cut = [
    cutting.Window(signal, shown[i % 3][1], shown[i % 3][0], i % 3, 0.0)
    for i, signal in enumerate(signals[:12])
  ]
  store.save(store.gather(cut, {'archive': 'export_cases', 'position': 'waist'}, DEFAULT_WINDOWING), place)
  return place


def test_windows_to_compare_are_of_the_classes_and_subjects(folder, signals, monkeypatch):
  read = functools.partial(compare.labeled_windows, folder, export_cases.CLASSES, DEFAULT_WINDOWING)
  chosen, labels = read()
  np.testing.assert_array_equal(chosen, signals[:12][np.arange(12) % 3 < 2])
  assert labels.tolist() == [0, 1] * 4  # running is none of the classes
  chosen, labels = read(['Bob', 'Cem'])
  np.testing.assert_array_equal(chosen, signals[1:12:3])
  assert labels.tolist() == [1] * 4
  with pytest.raises(UserError, match='Dov'):
    read(['Dov'])
  monkeypatch.setattr(compare, '_MAX_WINDOWS', 3)
  assert read()[1].tolist() == [0, 1, 1]


@pytest.mark.slow
def test_the_command_exports_compares_and_prints_a_table(recognizer, folder, tmp_path):
  recognizer.save(tmp_path / 'adapter')
  out, err = succeed(
    'export',
    f'--adapter={tmp_path / "adapter"}',
    '--format=stablehlo',
    '--precision=float32,int8',
    f'--compare_windows={folder}',
    f'--out={tmp_path / "out"}',
  )
  assert err == ''
  assert out.splitlines()[-2:] == [
    str(tmp_path / 'out' / f'stablehlo-{precision}') for precision in export.PRECISIONS
  ]
  for precision in export.PRECISIONS:
    measured = export.load(tmp_path / 'out' / f'stablehlo-{precision}').card.measured
    assert (measured.windows, measured.precision) == (8, precision)
    assert measured.max_difference < export_cases.BOUND[precision]
    assert measured.ms_quartiles[0] <= measured.ms <= measured.ms_quartiles[1]
    assert f'{measured.macro_f1:.4f}' in out
  assert re.search(r'^\| format +\| weights +\|.*\| macro-F1 +\| macro-F1 loss +\|$', out, re.MULTILINE)


def test_the_help_and_the_documentation_list_every_format():
  page = (pathlib.Path(__file__).parents[2] / 'docs' / 'export.md').read_text(encoding='utf-8')
  listed = main.load('export').FLAGS['format'].help.removeprefix('one or more of ').split(', ')
  assert sorted(listed) == sorted(export.FORMATS)
  assert [name for name in export.FORMATS if f'\n| `{name}` |' not in page] == []

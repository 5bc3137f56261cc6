"""From a user's CSV and a few labels to an adapter, and from that to what was done when: the scripts, run in this process."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import days
import jax
import numpy as np
import pytest

from har_jax import config, config_fields, files
from har_jax.errors import UserError
from har_jax.inference.recognizer import Recognizer
from har_jax.train.objective import Classify

_ROOT = pathlib.Path(__file__).parents[2]
_QUICK = ('--steps=30', '--learning_rate=0.01', '--batch=32', '--rank=4', '--noprogress')

pytestmark = pytest.mark.usefixtures('compiled_fast')


_LEARNED = [('walking', 40.0), ('lying', 40.0), ('sitting, upright', 40.0)]
_DAY = [('walking', 60.0), ('gap', 20.0), ('lying', 60.0), ('table', 120.0), ('walking', 60.0)]


@pytest.fixture(scope='module')
def folder(
  tmp_path_factory: pytest.TempPathFactory,
  tiny: config.Model,
  drawn: Callable[[Callable[[jax.Array], Any]], Any],
) -> pathlib.Path:
  """my.csv, labels.csv, day.csv and base."""
  made = tmp_path_factory.mktemp('own')
  days.recording(made / 'my.csv', _LEARNED)
  days.labels(made / 'labels.csv', _LEARNED)
  days.recording(made / 'day.csv', _DAY)
  files.save_base(made / 'base', drawn(Classify(tiny, 2).init), {'model': config_fields.to_json(tiny)})
  return made


@pytest.fixture(scope='module')
def adapted(folder: pathlib.Path) -> tuple[str, str]:
  return days.run(
    'adapt',
    f'--recording={folder}/my.csv',
    f'--labels={folder}/labels.csv',
    f'--pretrained={folder}/base',
    f'--out={folder}/adapter',
    *_QUICK,
  )


@pytest.fixture(scope='module')
def told(folder: pathlib.Path, adapted: tuple[str, str]) -> tuple[str, str]:
  return days.run(
    'predict',
    f'--recording={folder}/day.csv',
    f'--adapter={folder}/adapter',
    f'--out={folder}/day',
    '--not_worn_min=1.5',
    '--unknown_below=0.4',
    '--noprogress',
  )


def test_an_adaptation_says_what_it_guessed_and_what_its_figure_is_worth(adapted: tuple[str, str]):
  out, err = adapted
  assert 'Column time_ms is in ms' in out
  assert '3 labels, their times read as' in out
  assert 'warning: ' in err  # of few windows or a guessed unit
  rows = {
    line.split('  ')[0]: line.split()[-3:] for line in out.splitlines() if line[:3] in ('lyi', 'sit', 'wal')
  }
  # 30 windows each: the last 6 are kept apart, the one before overlaps.
  assert [row[:2] for row in rows.values()] == [['23', '6']] * 3
  assert 'the last 20% of each activity' in out
  assert 'expect less on another day' in out
  assert float(out.split('Macro-F1 ')[1][:5]) > 0.8
  assert 'Temperature ' in out


def test_the_adapter_holds_its_temperature_and_predicts_without_the_base_folder(
  folder: pathlib.Path, adapted: tuple[str, str]
):
  assert {path.name for path in (folder / 'adapter').iterdir()} == {
    *('adapter.json', 'adapter.safetensors', 'base.json', 'base.safetensors')
  }
  recognizer = Recognizer.load(folder / 'adapter')
  assert recognizer.classes_.tolist() == ['lying', 'sitting, upright', 'walking']
  card = recognizer.adapter_.card
  assert card['temperature'] not in (0.0, 1.0)
  assert f'Temperature {card["temperature"]:.2f}' in adapted[0]
  assert (card['rank'], card['alpha'], card['split']['by']) == (4, 8.0, 'given')


def test_a_day_is_told_in_bouts(folder: pathlib.Path, told: tuple[str, str]):
  out, _ = told
  rows = days.rows(folder / 'day' / 'bouts.csv')
  assert [row['activity'] for row in rows] == ['walking', 'lying', 'not_worn', 'walking']
  for row, (start, end) in zip(rows, [(0, 60), (80, 140), (140, 260), (260, 320)], strict=True):
    assert abs(float(row['start_s']) - start) < 2
    assert abs(float(row['end_s']) - end) < 2
  assert rows[0]['start'] == '2026-05-28T20:26:40.000+00:00'
  assert all(0.4 <= float(row['confidence']) <= 1 for row in rows if row['activity'] != 'not_worn')
  assert 'bouts: the mean of the probabilities of 9 windows' in out
  assert out.splitlines()[-1] == str(folder / 'day' / 'summary.json')


def test_minutes_add_up_to_what_was_recorded(folder: pathlib.Path, told: tuple[str, str]):
  summary = json.loads((folder / 'day' / 'summary.json').read_text())
  parts = [summary[f'{name}_minutes'] for name in ('unknown', 'not_worn', 'gap')]
  assert sum(summary['minutes'].values()) + sum(parts) == pytest.approx(summary['recorded_minutes'], abs=0.05)
  assert summary['recorded_minutes'] == pytest.approx(320 / 60, abs=0.01)
  assert summary['minutes']['walking'] == pytest.approx(2.0, abs=0.1)
  assert summary['gap_minutes'] == pytest.approx(1 / 3, abs=0.05)


def test_every_window_has_an_answer_and_a_share_a_class(folder: pathlib.Path, told: tuple[str, str]):
  rows = days.rows(folder / 'day' / 'windows.csv')
  assert len(rows) == json.loads((folder / 'day' / 'summary.json').read_text())['windows']
  for row in rows[:: len(rows) // 10]:
    shares = {name[2:]: float(share) for name, share in row.items() if name.startswith('p_')}
    assert list(shares) == ['lying', 'sitting, upright', 'walking']
    assert sum(shares.values()) == pytest.approx(1, abs=2e-4)
    assert float(row['confidence']) == max(shares.values())
    assert row['activity'] == (
      'unknown' if max(shares.values()) < 0.4 else max(shares, key=lambda each: shares[each])
    )
  times = [float(row['time_s']) for row in rows]
  assert np.diff(times).min() == pytest.approx(1.28)


def test_the_timeline_is_a_picture_with_a_legend_and_hours(folder: pathlib.Path, told: tuple[str, str]):
  pytest.importorskip('matplotlib')
  root = ElementTree.parse(folder / 'day' / 'timeline.svg').getroot()
  text = ' '.join(element.text or '' for element in root.iter('{http://www.w3.org/2000/svg}text'))
  for words in ('walking, 2.0 min', 'not worn, 2.0 min', '20:27', '2026-05-28', 'time of day (UTC)'):
    assert words in text


def test_nothing_sure_enough_is_unknown(folder: pathlib.Path, told: tuple[str, str], tmp_path: pathlib.Path):
  arguments = (
    f'--recording={folder}/day.csv',
    f'--adapter={folder}/adapter',
    f'--out={tmp_path}',
    '--noprogress',
  )
  days.run('predict', *arguments, '--unknown_below=1', '--not_worn_min=0')
  summary = json.loads((tmp_path / 'summary.json').read_text())
  assert summary['unknown_minutes'] == pytest.approx(5.0, abs=0.1)
  assert not any(summary['minutes'].values())


def test_windows_are_looked_at_as_often_as_asked(
  folder: pathlib.Path, told: tuple[str, str], tmp_path: pathlib.Path
):
  where = (f'--recording={folder}/day.csv', f'--adapter={folder}/adapter', f'--out={tmp_path}')
  days.run('predict', *where, '--shifts=4', '--noprogress')
  summaries = [json.loads((each / 'summary.json').read_text()) for each in (folder / 'day', tmp_path)]
  assert [summary['shifts'] for summary in summaries] == [1, 4]
  once, often = (
    [float(row['p_walking']) for row in days.rows(each / 'windows.csv')]
    for each in (folder / 'day', tmp_path)
  )
  assert once != often
  assert np.abs(np.subtract(once, often)).mean() < 0.1


def test_without_a_gyroscope_it_adapts_and_later_heeds_none(folder: pathlib.Path, tmp_path: pathlib.Path):
  days.recording(tmp_path / 'my.csv', _LEARNED, sensors='ax ay az')
  days.labels(tmp_path / 'my.labels.csv', _LEARNED)  # found beside it
  out, err = days.run(
    'adapt',
    f'--recording={tmp_path}/my.csv',
    f'--pretrained={folder}/adapter',  # an adapter's base
    f'--out={tmp_path}/adapter',
    '--validation=0',
    '--method=probe',
    *_QUICK,
  )
  assert 'No figure, and no temperature' in out
  assert 'There is no gyroscope' in err
  _, err = days.run(
    'predict',
    f'--recording={folder}/day.csv',
    f'--adapter={tmp_path}/adapter',
    f'--out={tmp_path}/day',
    '--noprogress',
  )
  assert 'that of this recording is not heeded' in err
  rows = days.rows(tmp_path / 'day' / 'bouts.csv')
  assert rows[0]['activity'] == 'walking'


def test_answers_are_scored_by_labels_that_were_not_learned_from(
  folder: pathlib.Path, adapted: tuple[str, str], tmp_path: pathlib.Path
):
  parts = [('walking', 30.0), ('lying', 30.0)]
  days.recording(tmp_path / 'other.csv', parts)
  days.labels(tmp_path / 'truth.csv', parts)
  out, _ = days.run(
    'predict',
    f'--recording={tmp_path}/other.csv',
    f'--labels={tmp_path}/truth.csv',
    f'--adapter={folder}/adapter',
    f'--out={tmp_path}/answers',
    '--noprogress',
  )
  score = json.loads((tmp_path / 'answers' / 'summary.json').read_text())['score']
  assert f'Macro-F1 {score["macro_f1"]:.3f}, accuracy {score["accuracy"]:.3f}, 43 windows.' in out
  # Of 45 windows, begun every 1.28 s, two lie over the change.
  assert score['windows'] == 43 == sum(map(sum, score['confusion']))
  right = sum(row[place] for place, row in enumerate(score['confusion']))
  assert score['accuracy'] == pytest.approx(right / 43)
  assert score['accuracy'] > 0.9


def test_without_a_base_named_the_one_of_the_package_is_adapted(folder: pathlib.Path, tmp_path: pathlib.Path):
  out, _ = days.run(
    'adapt',
    f'--recording={folder}/my.csv',
    f'--labels={folder}/labels.csv',
    f'--out={tmp_path}/adapter',
    *_QUICK,
    '--steps=4',
  )
  assert 'adapter.json' in out
  card = json.loads((tmp_path / 'adapter' / 'adapter.json').read_text())
  assert card['base'] == files.bundled_base().checksum


@pytest.mark.parametrize(
  ('script', 'arguments', 'says'),
  [
    ('adapt', ['--recording={}/none.csv'], 'no recording at .*none.csv'),
    (
      'predict',
      ['--recording={}/day.csv', '--adapter={}/adapter', '--labels={}/none.csv'],
      'no file .*none.csv',
    ),
    ('adapt', ['--pretrained={}/base'], '--recording= a CSV or Parquet file'),
    (
      'adapt',
      ['--pretrained={}/base', '--recording={}/my.csv', '--labels={}/none.csv'],
      'no file .*none.csv',
    ),
    ('adapt', ['--pretrained={}/base', '--recording={}/day.csv'], 'no windows of two activities, but at all'),
    ('adapt', ['--pretrained={}', '--recording={}/my.csv', '--labels={}/labels.csv'], 'holds no base'),
    (
      'adapt',
      ['--pretrained={}/base', '--recording={}/my.csv', '--out={}/base'],
      '--out=.*base is there already',
    ),
    (
      'adapt',
      ['--pretrained={}/base', '--recording={}/my.csv', '--columns=time'],
      '--columns=time: give ours=theirs',
    ),
    ('adapt', ['--pretrained={}/base', '--validation=1'], '--validation=1.0: give a share'),
    ('predict', ['--recording={}/day.csv'], '--adapter= a folder'),
    ('predict', ['--recording={}/day.csv', '--adapter={}/base'], 'is a base, which knows no activity'),
    ('predict', ['--recording={}/day.csv', '--adapter={}/none'], 'holds no base'),
    (
      'predict',
      ['--recording={}/day.csv', '--adapter={}/base', '--unknown_below=60'],
      'unknown_below is 60.0',
    ),
    ('predict', ['--recording={}/none.csv', '--adapter={}/adapter'], 'no recording at'),
  ],
)
def test_a_mistake_is_told_and_leaves_nothing(
  script: str,
  arguments: list[str],
  says: str,
  folder: pathlib.Path,
  adapted: tuple[str, str],
  tmp_path: pathlib.Path,
):
  given = [argument.format(folder) for argument in arguments]
  out = [] if any(argument.startswith('--out') for argument in given) else [f'--out={tmp_path}/out']
  with pytest.raises(UserError, match=says):
    days.run(script, *given, *out, '--noprogress')
  assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_leaves_no_half_an_adapter(
  folder: pathlib.Path, adapted: tuple[str, str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  def full(*_: object) -> None:
    raise UserError('cannot write: No space left on device')

  monkeypatch.setattr(files, 'save_adapter', full)
  with pytest.raises(UserError, match='No space left'):
    days.run(
      'adapt',
      f'--recording={folder}/my.csv',
      f'--labels={folder}/labels.csv',
      f'--pretrained={folder}/base',
      f'--out={tmp_path}/adapter',
      *_QUICK,
      '--steps=1',
    )
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('script', ['adapt', 'predict'])
def test_as_a_process_a_mistake_is_one_line(script: str, tmp_path: pathlib.Path):
  done = subprocess.run(
    [
      sys.executable,
      str(_ROOT / 'launch' / f'{script}.py'),
      f'--recording={tmp_path}/none.csv',
      f'--out={tmp_path}/out',
    ],
    env=os.environ | {'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 1
  assert len(done.stderr.splitlines()) == 1
  assert done.stderr.startswith('error: ')

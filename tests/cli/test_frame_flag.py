"""A recording of another app, unit or way to wear the device is corrected, warned of, or refused."""

import json
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
import recordings
import tiny_flags
from in_process import run_in_process

from har_jax.signal import frames

pytestmark = pytest.mark.slow

_G = np.array([9.80665] * 3 + [1] * 3)
_APPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  'as_is': np.asarray,
  'flipped': frames.FLIP,
  'in_g': lambda signals: signals / _G,
  'upside_down': frames.parse('-x,-y,z'),
  'linear': lambda signals: np.concatenate([signals[:, :3] - _slow(signals[:, :3]), signals[:, 3:]], axis=1),
}


def _slow(acc: np.ndarray) -> np.ndarray:
  """Gravity: the mean over two seconds."""
  return np.stack([np.convolve(axis, np.ones(100) / 100, 'same') for axis in acc.T], axis=1)


@pytest.fixture(scope='module')
def worn(folder) -> pathlib.Path:
  """An adapter of one person's recording, and another person's recording as several apps export it."""
  recordings.worn(folder, 'trained', 0)
  for name, change in _APPS.items():
    recordings.worn(folder, name, 1, change)
  out, err = _run('adapt', folder, 'trained', 'worn', f'--base={folder}/base', *tiny_flags.ADAPT)
  assert 'adapter.json' in out
  assert 'points' not in err
  return folder


def _run(command: str, folder: pathlib.Path, name: str, out: str, *flags: str, code=0) -> tuple[str, str]:
  where = (f'{folder}/{name}.csv', f'--labels={folder}/{name}_labels.csv', f'--out={folder}/{out}')
  ended, text, err = run_in_process(command, *where, '--noprogress', '--overwrite', *flags)
  assert ended == code, err
  return text, err


def _predict(folder: pathlib.Path, name: str, *flags: str) -> tuple[str, str, dict]:
  out, err = _run('predict', folder, name, 'answers', f'--adapter={folder}/worn', *flags)
  return out, err, json.loads((folder / 'answers' / 'summary.json').read_text())


@pytest.fixture(scope='module')
def score(worn) -> dict:
  """The score of another person's recording, as it is."""
  return _predict(worn, 'as_is')[2]['score']


def test_a_card_says_how_the_training_recording_was(worn):
  signals = json.loads((worn / 'worn' / 'adapter.json').read_text())['signals']
  assert [gravity['activity'] for gravity in signals['gravity']] == ['lying', 'sitting', 'walking']
  assert signals['rates_hz'] == [50.0, 50.0]
  assert signals['gyro_axes'] == 'x,y,z'


@pytest.mark.parametrize(
  ('name', 'flag', 'frame', 'note', 'warning'),
  [
    ('as_is', '', 'x,y,z', '', ''),
    ('flipped', '', '-x,-y,-z', 'Gravity points opposite', ''),
    ('in_g', '', 'x,y,z', 'acceleration is in g', ''),
    ('upside_down', '', 'x,y,z', '', '--frame=-x,-y,z fits best'),
    ('upside_down', '--frame=-x,-y,z', '-x,-y,z', '', ''),
    ('linear', '--frame=as_is', 'x,y,z', '', 'worthless'),
  ],
)
def test_what_is_certain_is_corrected_and_what_is_not_is_a_warning(
  worn, score, name, flag, frame, note, warning
):
  out, err, summary = _predict(worn, name, *filter(None, [flag]))
  assert note in out
  assert any(note in sentence for sentence in summary['notes'])
  assert ('corrected' in out) == (name == 'flipped')
  assert summary['frame'] == [
    {'file': name, 'frame': frame, 'acc_factor': 9.80665 if name == 'in_g' else 1.0}
  ]
  if warning:
    assert warning in err
    assert any(warning.removeprefix('--') in sentence for sentence in summary['warnings'])
    assert 'Warning: ' in (worn / 'answers' / 'timeline.svg').read_text()
  else:
    assert 'ravity' not in err
    assert summary['score'] == score
    assert score['macro_f1'] > 0.7  # with a few steps of training


def test_acceleration_without_gravity_is_refused_unless_asked_for(worn):
  for adapter in (f'--adapter={worn}/worn', '--frame=auto'):  # the latter with the bundled base
    _, err = _run('predict', worn, 'linear', 'none', adapter, code=1)
    assert 'lacks gravity' in err
    assert 'Traceback' not in err
    assert not (worn / 'none').exists()


def test_adapt_compares_with_the_adapter_that_it_starts_from(worn):
  def adapt(name: str, *flags: str) -> tuple[str, str]:
    start = (f'--base={worn}/worn', *tiny_flags.ADAPT, '--max_steps=2')
    return _run('adapt', worn, name, f'from_{name}{len(flags)}', *start, *flags)

  assert 'Gravity points opposite' in adapt('flipped')[0]
  assert 'Gravity points opposite' in adapt('flipped', '--frame=as_is')[1]
  assert 'frame=-x,-y,z fits best' in adapt('upside_down')[1]
  signals = json.loads((worn / 'from_flipped0' / 'adapter.json').read_text())['signals']
  assert signals['gravity'][2]['mean'][0] > 0.5

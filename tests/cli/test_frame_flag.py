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
  'swapped': frames.parse('y,x,z,y,x,z'),
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
  out, err = _run(
    'adapt', folder, 'trained', f'--base={folder}/base', f'--out={folder}/worn', *tiny_flags.ADAPT
  )
  assert 'adapter.json' in out
  assert 'points' not in err
  return folder


def _run(
  command: str, folder: pathlib.Path, name: str, *arguments: str, fails: bool = False
) -> tuple[str, str]:
  where = (
    f'--recording={folder}/{name}.csv',
    f'--labels={folder}/{name}_labels.csv',
    '--noprogress',
    '--overwrite',
  )
  code, out, err = run_in_process(command, *where, *arguments)
  assert code == int(fails), err
  return out, err


def _predict(folder: pathlib.Path, name: str, *arguments: str) -> tuple[str, str, dict]:
  out, err = _run('predict', folder, name, f'--adapter={folder}/worn', f'--out={folder}/answers', *arguments)
  return out, err, json.loads((folder / 'answers' / 'summary.json').read_text())


def test_a_card_says_how_the_training_recording_was(worn):
  kept = json.loads((worn / 'worn' / 'adapter.json').read_text())['signals']
  assert [each['activity'] for each in kept['gravity']] == ['lying', 'sitting', 'walking']
  assert kept['rates_hz'] == [50.0, 50.0]
  assert kept['gyro_axes'] == 'x,y,z'


def test_another_person_is_answered_as_recorded(worn):
  out, err, summary = _predict(worn, 'as_is')
  assert 'corrected' not in out
  assert 'ravity' not in err
  assert summary['frame'] == [{'file': 'as_is', 'frame': 'x,y,z', 'acc_factor': 1.0}]
  assert summary['score']['macro_f1'] > 0.7  # with a few steps of training


@pytest.mark.parametrize(
  ('name', 'frame', 'said'),
  [('flipped', '-x,-y,-z', 'Gravity points opposite'), ('in_g', 'x,y,z', 'acceleration is in g')],
)
def test_what_is_certain_is_corrected_and_said(worn, name, frame, said):
  out, err, summary = _predict(worn, name)
  assert said in out
  assert 'ravity' not in err
  assert summary['frame'][0]['frame'] == frame
  assert any(said in note for note in summary['notes'])
  assert summary['score'] == _predict(worn, 'as_is')[2]['score']


@pytest.mark.parametrize(
  ('name', 'said'), [('upside_down', 'frame=-x,-y,z fits best'), ('swapped', 'frame=y,x,z,y,x,z fits best')]
)
def test_what_is_not_certain_is_a_warning_everywhere_and_has_a_flag(worn, name, said):
  _, err, summary = _predict(worn, name)
  assert f'--{said}' in err
  assert any(said in warning for warning in summary['warnings'])
  assert 'Warning: ' in (worn / 'answers' / 'timeline.svg').read_text()
  _, err, corrected = _predict(worn, name, '--' + said.split()[0])
  assert 'fits best' not in err
  assert corrected['score'] == _predict(worn, 'as_is')[2]['score']


def test_acceleration_without_gravity_is_refused_unless_asked_for(worn):
  _, err = _run('predict', worn, 'linear', f'--adapter={worn}/worn', f'--out={worn}/none', fails=True)
  assert 'lacks gravity' in err
  assert 'Traceback' not in err
  assert not (worn / 'none').exists()
  _, err, summary = _predict(worn, 'linear', '--frame=as_is')
  assert 'worthless' in err
  assert summary['frame'][0]['frame'] == 'x,y,z'


def test_the_bundled_base_is_as_careful(worn):
  out, _ = _run('predict', worn, 'in_g', f'--out={worn}/base_answers')
  assert 'acceleration is in g' in out
  assert 'on people held out from its datasets' in out
  _, err = _run('predict', worn, 'linear', f'--out={worn}/none', fails=True)
  assert 'lacks gravity' in err
  out, err = _run('predict', worn, 'flipped', f'--out={worn}/base_answers')
  assert 'frame=flip' in out
  assert 'ravity' not in err


def test_adapt_compares_with_the_adapter_that_it_starts_from(worn):
  def adapt(name: str, *arguments: str) -> tuple[str, str]:
    out = f'--out={worn}/from_{name}{len(arguments)}'
    return _run(
      'adapt', worn, name, f'--base={worn}/worn', out, *tiny_flags.ADAPT, '--max_steps=2', *arguments
    )

  assert 'Gravity points opposite' in adapt('flipped')[0]
  assert 'Gravity points opposite' in adapt('flipped', '--frame=as_is')[1]
  assert 'frame=-x,-y,z fits best' in adapt('upside_down')[1]
  kept = json.loads((worn / 'from_flipped0' / 'adapter.json').read_text())['signals']
  assert kept['gravity'][2]['mean'][0] > 0.5


def test_a_frame_that_is_none_is_named(worn):
  _, err = _run('predict', worn, 'as_is', '--frame=iphone', f'--out={worn}/none', fails=True)
  assert "'iphone'" in err
  assert 'flip' in err

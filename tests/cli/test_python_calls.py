"""`har_jax.recognize` and `har_jax.adapt` do what the commands do, and print nothing."""

import numpy as np
import pandas as pd
import pytest
from in_process import succeed

import har_jax
from har_jax import files
from har_jax.errors import UserError
from har_jax.timeline import OVERLAPPING

pytestmark = pytest.mark.slow


def test_answers_are_those_of_the_command_and_nothing_is_printed(folder, adapted, tmp_path, capfd):
  sentences = []
  answers = har_jax.recognize(
    folder / 'day.csv',
    folder / 'adapter',
    unknown_below=0.4,
    tell=lambda *sentence: sentences.append(sentence),
  )
  answers.save(tmp_path / 'python')
  assert capfd.readouterr() == ('', '')
  where = (f'--recording={folder}/day.csv', f'--adapter={folder}/adapter', '--noprogress')
  out, err = succeed('predict', *where, '--unknown_below=0.4', f'--out={tmp_path}/command')
  for path in (tmp_path / 'command').iterdir():
    assert path.read_bytes() == (tmp_path / 'python' / path.name).read_bytes()
  notes = [f'  {note}' for note in answers.notes]
  assert out.replace('--', '').splitlines()[1 : len(notes) + 1] == notes  # flags have dashes
  assert err.replace('--', '').splitlines() == [f'warning: {warning}' for warning in answers.warnings]
  assert sentences == [('note', note) for note in answers.notes] + [
    ('warning', one) for one in answers.warnings
  ]


def test_answers_are_tables_with_times_and_a_picture(folder, adapted):
  answers = har_jax.recognize(folder / 'day.csv', folder / 'adapter', not_worn_min=1.5, unknown_below=0.4)
  bouts, windows = answers.bouts, answers.windows
  assert bouts['start'].iloc[0] == pd.Timestamp('2026-05-28T20:26:40Z')
  length_s = (bouts['end'] - bouts['start']).sum().total_seconds()
  assert length_s == pytest.approx((bouts['end_s'] - bouts['start_s']).sum(), abs=1e-3)
  assert len(windows) == answers.summary['windows']
  assert np.diff(windows['time_s']).min() == pytest.approx(1.28)
  probabilities = windows.filter(like='p_')
  assert probabilities.columns.tolist() == ['p_lying', 'p_sitting, upright', 'p_walking']
  np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
  best = probabilities.idxmax(axis=1).str.removeprefix('p_')
  assert (windows['confidence'] == probabilities.max(axis=1)).all()
  assert (windows['activity'] == best.where(windows['confidence'] >= 0.4, 'unknown')).all()
  assert all(name in names.split(' | ') for name, names in zip(best, windows['set'], strict=True))
  assert answers.minutes['minutes'].sum() == pytest.approx(answers.summary['recorded_minutes'], abs=0.05)
  assert len(answers.plot().axes) == 1
  shown = answers._repr_html_()
  assert shown.startswith('<svg')
  assert '<th>walking</th>' in shown


def test_an_activity_that_was_never_learned_is_unknown_if_refusals_are_asked_for(folder, adapted):
  asked = {'not_worn_min': 0.0, 'refusal_rate': 0.1}
  bouts = har_jax.recognize(folder / 'day.csv', folder / 'adapter', **asked).bouts
  spans = dict(zip(bouts['activity'], zip(bouts['start_s'], bouts['end_s'], strict=True), strict=True))
  np.testing.assert_allclose(spans['unknown'], (140, 260), atol=4)  # on a table
  few = har_jax.recognize(folder / 'day.csv', folder / 'adapter', refusal_rate=0.01)
  assert any('needs 99 labeled windows' in warning for warning in few.warnings)
  assert few.summary['warnings'] == few.picture.doubts == few.warnings
  assert 'unknown' not in set(few.bouts['activity'])
  assert 'refusal' not in few.summary['rules']  # none was applied


def test_adapting_to_dataframes_gives_the_commands_adapter(folder, adapted, tmp_path, capfd):
  made = har_jax.adapt(
    pd.read_csv(folder / 'my.csv'),
    pd.read_csv(folder / 'labels.csv'),
    base=folder / 'base',
    rank=4,
    max_steps=30,
    learning_rate=0.01,
  )
  assert capfd.readouterr() == ('', '')
  assert made.validation['validation'].tolist() == [6, 6, 6]
  assert made.left_out[OVERLAPPING] == 3
  assert made.scores.index.tolist() == ['side', 'forest', 'rocket']
  shown = made._repr_html_()
  assert '<th>walking</th>' in shown
  assert 'exact McNemar test' in shown
  made.save(tmp_path / 'adapter')
  with pytest.raises(UserError, match='overwrite=True'):
    made.save(tmp_path / 'adapter')
  assert _names(tmp_path / 'adapter') == _names(folder / 'adapter')
  of_command, of_python = (files.load_adapter(place / 'adapter') for place in (folder, tmp_path))
  assert of_python.card.checksum == of_command.card.checksum
  assert of_python.card.metrics['validation'] == of_command.card.metrics['validation']
  answers = har_jax.recognize(folder / 'day.csv', made)
  pd.testing.assert_frame_equal(
    answers.windows, har_jax.recognize(folder / 'day.csv', tmp_path / 'adapter').windows
  )


def test_a_check_and_suggestions_are_those_of_the_commands(folder, adapted, tmp_path, capfd):
  day = folder / 'day.csv'
  har_jax.check(day, folder / 'adapter').save(tmp_path / 'check')
  har_jax.suggest(day, 2, base=folder / 'adapter').save(tmp_path / 'adapt')
  assert capfd.readouterr() == ('', '')
  succeed('check', f'--recording={day}', f'--adapter={folder}/adapter', f'--out={tmp_path}/command/check')
  flags = ('--suggest=2', '--noprogress', f'--out={tmp_path}/command/adapt')
  succeed('adapt', f'--recording={day}', f'--base={folder}/adapter', *flags)
  for name in ('check', 'adapt'):
    of_python, of_command = tmp_path / name, tmp_path / 'command' / name
    assert _names(of_python) == _names(of_command)
    for path in of_python.iterdir():
      assert path.read_bytes() == (of_command / path.name).read_bytes()


def _names(folder):
  return sorted(path.name for path in folder.iterdir())

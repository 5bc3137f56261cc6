"""A check says on one page how good a recording is, with the warnings of `recognize`."""

import json

import numpy as np
import pandas as pd
import pytest
import worn_device
from in_process import succeed

import har_jax
from har_jax.recognizer import distribution_shift
from har_jax.timeline import picture

COLUMNS = ['ax', 'ay', 'az', 'gx', 'gy', 'gz']
SIDES = np.concatenate([np.eye(3), -np.eye(3)]) * 9.80665


def _frame(signals: np.ndarray, gap_s: float = 0.0, before_gap: int = 0) -> pd.DataFrame:
  time_s = np.arange(len(signals)) / worn_device.RATE_HZ
  time_s[before_gap:] += gap_s
  return pd.DataFrame(signals, columns=COLUMNS).assign(time_s=time_s)


def _at_rest(seconds: float, acc: np.ndarray) -> np.ndarray:
  rng = np.random.default_rng(0)
  size = round(seconds * worn_device.RATE_HZ)
  return np.r_[acc, 0, 0, 0] + rng.normal(0, 0.02, (size, 6))


WALK = worn_device.signal('walking', 60, 0)
DAY = np.concatenate([WALK, _at_rest(90, SIDES[2]), worn_device.signal('walking', 60, 1)])
WITH_GAP = _frame(DAY, 30.0, len(DAY) - len(WALK))


@pytest.fixture(scope='module')
def day() -> har_jax.Quality:
  return har_jax.check(WITH_GAP, not_worn_min=1)


def test_a_check_tells_coverage_gaps_rates_and_time_worn(day):
  row = day.files.iloc[0]
  assert list(day.files.index) == ['DataFrame']
  assert day.summary['files'] == [{'file': 'DataFrame', **row.round(4)}]
  assert day.summary['sensors'] == day.sensors.round(4).to_dict('index')
  assert (day.summary['start'], day.summary['time_zone']) == (None, None)
  assert row['minutes'] == pytest.approx(4.0, abs=0.01)
  assert row['coverage'] == pytest.approx(3.5 / 4, abs=0.01)
  assert row['gaps'] == 1
  assert row['not_worn_min'] == pytest.approx(1.5, abs=0.1)
  assert row['worn_min'] == pytest.approx(2.0, abs=0.1)
  np.testing.assert_allclose(day.sensors[['rate_hz', 'slowest_hz', 'fastest_hz']].to_numpy(), 50, rtol=0.003)
  half = _frame(WALK)
  half.loc[::2, COLUMNS[3:]] = np.nan
  np.testing.assert_allclose(har_jax.check(half).sensors['rate_hz'], [50, 25], rtol=0.003)
  slower = har_jax.check(_frame(WALK).iloc[np.r_[:1500, 1500:3000:2]]).sensors  # after half a minute
  np.testing.assert_allclose(slower[['slowest_hz', 'fastest_hz']].to_numpy(), [[25, 50]] * 2, rtol=0.003)
  np.testing.assert_allclose(har_jax.check(_frame(WALK[:400])).sensors['slowest_hz'], 50, rtol=1e-6)


def test_the_picture_has_the_legend_colors_and_a_break_at_gaps_of_more_than_three_steps():
  time_s = np.cumsum([0, 2, 2, 2, 2, 60 + 2, 2, 2]) * 60.0
  table = pd.DataFrame({name: np.arange(8.0) for name in ('x', 'y', 'z', 'movement')})
  table = table.assign(file='a', time_s=time_s, is_worn=True)
  lines = picture.QualityPicture(table).draw().axes[0].lines
  assert [line.get_color() for line in lines] == [*picture.COLORS[4:8]]
  assert np.flatnonzero(np.isnan(lines[0].get_xdata())).tolist() == [5]
  table['time_s'] = np.cumsum([0, 2, 2, 2, 2, 3.5 * 2, 2, 2]) * 60.0
  drawn = picture.QualityPicture(table).draw().axes[0].lines[0].get_xdata()
  assert np.flatnonzero(np.isnan(drawn)).tolist() == [5]
  np.testing.assert_allclose(drawn[[1, -1]], [2, 19])  # minutes
  for windows in (table, table[:1]):
    assert 'not worn' not in picture.QualityPicture(windows).svg().decode()


def test_files_of_a_folder_have_their_own_gaps_and_time_worn(tmp_path, monkeypatch):
  slow = _frame(WALK).iloc[::2]
  slow.to_csv(tmp_path / 'a.csv', index=False)
  WITH_GAP.to_csv(tmp_path / 'b.csv', index=False)
  measured = []
  monkeypatch.setattr(distribution_shift, 'measure_windows', lambda *windows: measured.extend(windows[2]))
  monkeypatch.setattr(distribution_shift, 'MOST', 20)
  checked = har_jax.check(tmp_path, not_worn_min=1)
  assert list(checked.files.index) == sorted(set(measured)) == ['a', 'b']
  assert 20 <= len(measured) <= 22
  assert checked.files['gaps'].tolist() == [0, 1]
  np.testing.assert_allclose(checked.files['minutes'], [1, 4], atol=0.01)
  np.testing.assert_allclose(checked.files['not_worn_min'], [0, 1.5], atol=0.1)
  np.testing.assert_allclose(checked.sensors['rate_hz'], 50, rtol=0.003)  # of the longest part
  assert (checked.sensors['new_values_hz'] <= checked.sensors['rate_hz']).all()
  drawn = checked.picture.windows.groupby('file')['time_s'].max()
  np.testing.assert_allclose(drawn, [60, 240], atol=4)  # minus a window, from the file's first sample


def test_rest_before_and_after_a_gap_is_not_one():
  rest = _at_rest(100, SIDES[2])
  day = _frame(np.concatenate([rest, WALK]), 30.0, 90 * worn_device.RATE_HZ)
  checked = har_jax.check(day, not_worn_min=1)
  assert checked.files['not_worn_min'].tolist() == [pytest.approx(1.5, abs=0.1)]  # the ten seconds are worn


def test_noise_and_directions_are_those_of_the_rest(day):
  entries = day.summary['rest']
  assert entries['noise_m_s2'] == pytest.approx(0.02, rel=0.1)
  assert entries['directions'] == 1
  assert entries['calibration'] is None
  assert 'had 1 of 6 directions' in day.text


def test_a_device_laid_on_six_sides_is_calibrated():
  bias, gain = np.array([0.3, -0.2, 0.1]), np.array([1.01, 0.99, 1.02])
  rest = [_at_rest(6, gain * side + bias) for side in SIDES]
  checked = har_jax.check(_frame(np.concatenate([*rest, WALK])))
  fit = checked.summary['rest']['calibration']
  np.testing.assert_allclose(fit['gain'], gain, atol=1e-3)
  np.testing.assert_allclose(fit['bias_m_s2'], bias, atol=1e-2)
  assert '; z = (measured -0.100) / 1.0200.' in checked.text
  # y reads 0.99 · 9.807 − 0.2, and x 1.01 · 9.807 + 0.3.
  np.testing.assert_allclose(checked.summary['rest']['gravity_error_m_s2'], [-0.298, 0.398], atol=0.01)


def test_nothing_is_doubtful_in_a_sound_recording_and_a_negated_gyroscope_is(day):
  assert day.is_good, day.warnings
  assert 'Nothing doubtful' in day.text
  negated = har_jax.check(_frame(DAY * [1, 1, 1, -1, -1, -1]))
  assert not negated.is_good
  assert negated.summary['warnings'] == negated.warnings
  assert 'frame=x,y,z,-x,-y,-z' in negated.text
  dated = _frame(DAY * [1, 1, 1, -1, -1, -1])
  dated['time_s'] = pd.Timestamp('2026-05-28T08:00Z') + pd.to_timedelta(dated['time_s'], 's')
  corrected = har_jax.check(dated, frame='x,y,z,-x,-y,-z', time_zone='Europe/Berlin')
  assert corrected.is_good
  assert corrected.summary['start'] == '2026-05-28T08:00:00+00:00'
  assert corrected.summary['time_zone'] == 'Europe/Berlin'
  without = har_jax.check(_frame(WALK).drop(columns=['gx', 'gy', 'gz']))
  assert list(without.sensors.index) == ['accelerometer']
  assert 'The model was trained with a gyroscope, and this recording has none' in without.warnings[-1]
  labels = pd.DataFrame({'start': [0.0], 'end': [12.0], 'activity': ['walking']})
  (doubt,) = har_jax.check(_frame(WALK), labels=labels).warnings[:1]
  assert "too few windows of 2.56 s to learn from: 'walking' (8)" in doubt


def test_missing_gravity_is_said_by_the_comparison_with_the_model_alone():
  linear = np.concatenate([WALK, WALK[::-1]])
  linear[:, :3] -= pd.DataFrame(linear[:, :3]).rolling(100, center=True, min_periods=1).mean().to_numpy()
  warnings = [text for text in har_jax.check(_frame(linear)).warnings if 'ravity' in text]
  assert [text[:26] for text in warnings] == ['Acceleration seems to lack', 'Acceleration lacks gravity']


@pytest.mark.slow
def test_the_command_prints_and_writes_what_python_returns(tmp_path, day):
  WITH_GAP.to_csv(tmp_path / 'day.csv', index=False)
  folder = tmp_path / 'checked'
  out, _ = succeed('check', tmp_path / 'day.csv', '--not_worn_min=1', f'--out={folder}')
  assert (folder / 'check.txt').read_text() == out.rsplit('\n', 2)[0] + '\n'
  written = json.loads((folder / 'check.json').read_text())
  assert written['files'][0]['minutes'] == day.summary['files'][0]['minutes']
  assert written['is_good']
  assert all(value == round(value, 4) for value in written['files'][0].values() if isinstance(value, float))
  assert 'not worn' in (folder / 'check.svg').read_text()
  shown = day._repr_html_()
  assert 'At rest ' in shown
  assert 'Nothing doubtful was found.</p><svg style="max-width: 100%' in shown  # no wider than a notebook
  assert len(day.plot().axes) == 1
  _frame(DAY * [1, 1, 1, -1, -1, -1]).to_csv(tmp_path / 'negated.csv', index=False)
  assert '--frame=x,y,z,-x,-y,-z' in succeed('check', tmp_path / 'negated.csv', f'--out={tmp_path}/two')[0]


@pytest.mark.parametrize(
  ('name', 'words'), [('Biceps_1', []), ('Slowwalking_1', []), ('Stairs_down_1', ['7.5 s'])]
)
def test_real_exports_are_sound_or_too_short(real_archive, name, words):
  warnings = har_jax.check(real_archive('sensor_logger') / f'sensor_logger_{name}.zip').warnings
  assert len(warnings) == len(words)
  assert all(word in warning for word, warning in zip(words, warnings, strict=True))

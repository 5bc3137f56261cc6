"""Readers that forget to convert, and sensors that disagree, are told before windows are saved."""

import dataclasses
import logging
import pathlib
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import worn_device
from official import OFFICIAL

from har_jax.archives import ARCHIVES
from har_jax.config import Windowing
from har_jax.datasets.prepare import prepare
from har_jax.datasets.unit_check import UnitCheck
from har_jax.errors import UserError
from har_jax.signal.cutting import Window
from har_jax.signal.recording import Recording, Samples


def _prepare(change: Callable[[Recording], Iterable[Recording]], tmp_path: pathlib.Path) -> None:
  """Prepares HAPT, whose reader makes a mistake."""
  archive, path = ARCHIVES['hapt'], OFFICIAL['hapt'].write(tmp_path)

  def read(*arguments):
    for recording in archive.read(*arguments):
      yield from change(recording)

  prepare(dataclasses.replace(archive, read=read), path, tmp_path / 'windows', progress=False)


def _with(sensor: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Recording], list[Recording]]:
  """Changes the values of one sensor."""

  def changed(recording: Recording) -> list[Recording]:
    samples = getattr(recording, sensor)
    values = change(samples.values).astype(np.float32)
    return [dataclasses.replace(recording, **{sensor: Samples(samples.time_s, values)})]

  return changed


@pytest.mark.parametrize(
  ('sensor', 'factor', 'message'),
  [
    ('acc', 1 / 9.80665, r'hapt: acceleration is in g by its own numbers, for 30 of 30 s.*by 9\.80665 in'),
    ('acc', 1000 / 9.80665, r'hapt: acceleration is in mg .*Multiply by 0\.00980665 in the reader'),
    ('gyro', 180 / np.pi, r'hapt: angular velocity is in deg/s .*Multiply by 0\.0174533 in the reader'),
  ],
)
def test_units_that_a_reader_has_not_converted_are_an_error(tmp_path, sensor, factor, message):
  with pytest.raises(UserError, match=message):
    _prepare(_with(sensor, lambda values: values * factor), tmp_path)
  assert not (tmp_path / 'windows' / 'hapt').exists()


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (_with('acc', lambda values: np.random.default_rng(0).normal(0, 3, values.shape)),
     'hapt: Acceleration seems to lack gravity'),
    (_with('gyro', lambda values: values[:, [1, 0, 2]]),
     'hapt, waist: gravity turns about other axes than the gyroscope says, for 1 of 1 people'),
    (lambda recording: [worn_device.at_speed(recording, 0.5)],  # as if 50 Hz were 25
     'hapt, waist: gravity turns 0.5 times as fast as the gyroscope says, for 1 of 1 people'),
  ],
)  # fmt: skip
def test_what_is_doubtful_is_a_warning(tmp_path, change, message, caplog):
  _prepare(change, tmp_path)
  with caplog.at_level(logging.WARNING):
    assert any(text.startswith(message) for text in caplog.messages), caplog.messages


@pytest.mark.slow
@pytest.mark.parametrize('samples', [33, 64, 96])
def test_short_windows_of_good_recordings_give_no_warning(samples, tmp_path, caplog):
  windowing = Windowing(samples=samples)
  prepare(ARCHIVES['sample_dsads'], None, tmp_path, windowing=windowing, progress=False)
  assert caplog.text == ''


def test_one_device_in_another_unit_is_a_warning(tmp_path, caplog):
  in_g = _with('acc', lambda values: values / 9.80665)
  _prepare(lambda one: [one, one, dataclasses.replace(in_g(one)[0], subject='2')], tmp_path)
  assert caplog.messages[0] == (
    'hapt: acceleration is in m/s2 by its own numbers, but 30 of 90 s in g: do all devices have the same '
    'unit?'
  )


def test_two_samples_are_enough_to_have_a_unit():
  check = UnitCheck('hapt', 50)
  samples = Samples(np.array([0.0, 9.0]), np.float32([[0, 0, 1]] * 2))
  check.add(Recording('1', '', samples, Samples(samples.time_s, 0 * samples.values), ()))
  with pytest.raises(UserError, match='acceleration is in g by its own numbers, for 9 of 9 s'):
    check.finish([])


@pytest.mark.parametrize(('seconds', 'warnings'), [(0.9, 0), (1.1, 1)])
def test_a_hundredth_of_the_time_in_another_unit_is_no_warning(seconds, warnings, caplog):
  check = UnitCheck('hapt', 50)
  for unit, length_s in (('m/s2', 100.0 - seconds), ('g', seconds)):
    check._judge('acceleration', length_s, lambda _, unit=unit: unit)
  check.finish([])
  assert len(caplog.messages) == warnings


def test_the_unit_of_most_of_the_time_counts():
  check = UnitCheck('hapt', 50)
  for unit, length_s in (('m/s2', 40.0), ('g', 60.0)):
    check._judge('acceleration', length_s, lambda _, unit=unit: unit)
  with pytest.raises(UserError, match='acceleration is in g by its own numbers, for 60 of 100 s'):
    check.finish([])


@pytest.mark.parametrize(('seconds', 'warnings'), [(40.0, 0), (60.0, 1)])
def test_a_doubt_about_most_of_the_time_is_a_warning(seconds, warnings, caplog):
  check = UnitCheck('hapt', 50)
  check._judge('acceleration', seconds, lambda findings: findings.warn('It is strange.') or 'm/s2')
  check._judge('acceleration', 100.0 - seconds, lambda _: 'm/s2')
  check.finish([])
  assert caplog.messages == ['hapt: It is strange.'] * warnings


SOUND, _ = worn_device.windows(0)
SWAPPED = SOUND[..., [0, 1, 2, 4, 3, 5]]
HALF = SOUND * np.float32([1, 1, 1, 0.5, 0.5, 0.5])
AT_REST = 0 * SOUND + np.float32([0, 0, 9.8, 0, 0, 0])


@pytest.mark.parametrize(
  ('people', 'rate_hz', 'message'),
  [
    ((SOUND, SOUND, SWAPPED), 50, ''),
    ((SOUND, SWAPPED, SWAPPED), 50, 'turns about other axes than the gyroscope says, for 2 of 3 people'),
    ((SOUND, SOUND, HALF), 50, ''),
    ((SOUND, HALF, HALF), 50, 'turns 2 times as fast as the gyroscope says, for 2 of 3 people'),
    ((SOUND,), 25, 'turns 0.5 times as fast as the gyroscope says, for 1 of 1 people'),
    ((AT_REST, AT_REST, SWAPPED), 50, 'turns about other axes than the gyroscope says, for 1 of 1 people'),
  ],
)
def test_axes_and_factors_of_most_people_who_turn_are_a_warning(people, rate_hz, message, caplog):
  windows = [
    Window(signal, 'walking', str(number), number, 2.56 * place, 'waist')
    for number, person in enumerate(people)
    for place, signal in enumerate(person)
  ]
  UnitCheck('hapt', rate_hz).finish(windows)
  assert [message in text for text in caplog.messages] == [True] * bool(message)

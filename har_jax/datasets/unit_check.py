"""Units, gravity and axes of an archive's recordings, checked before its windows are saved.

A reader that forgets to convert g to m/s² would otherwise spoil all that is trained on its windows.
"""

import collections
import logging
from collections.abc import Callable, Sequence

import numpy as np

from har_jax.errors import UserError
from har_jax.recordings import infer, units
from har_jax.signal import gyro_agreement
from har_jax.signal.cutting import Window
from har_jax.signal.recording import Recording

_LOG = logging.getLogger(__name__)
_EXPECTED = {'acceleration': 'm/s2', 'angular velocity': 'rad/s'}
_FACTORS = units.ACC | units.GYRO
_IN_DOUBT = ''  # a recording's unit that its numbers do not tell
# Falls, and people who hardly move, leave a recording in doubt: what most of the time says counts.
_MOST = 0.5
_SOME = 0.01  # fraction of the time in another unit that is worth a word
_MAX_WINDOWS = 2000  # of a person, evenly over all


class UnitCheck:
  """What the numbers of one archive's recordings say about their units."""

  def __init__(self, name: str, rate_hz: int):
    self._name, self._rate_hz = name, rate_hz  # rate_hz: of the windows
    # Quantity → unit → seconds of the recordings that are in it.
    self._seconds = {quantity: collections.defaultdict[str, float](float) for quantity in _EXPECTED}
    self._doubts: dict[str, str] = {}  # quantity → the first sentence

  def add(self, recording: Recording) -> None:
    """Judges one recording's units by its own numbers."""
    acc, gyro = recording.acc, recording.gyro
    if min(len(acc.time_s), len(gyro.time_s)) < 2:
      return
    seconds = float(acc.time_s[-1] - acc.time_s[0])
    self._judge('acceleration', seconds, lambda findings: infer.acc_unit(acc.values, '', '', findings))
    if gyro.values.any():  # zeros stand for a gyroscope that was not there
      self._judge('angular velocity', seconds, lambda findings: infer.gyro_unit(acc, gyro, '', '', findings))

  def _judge(self, quantity: str, seconds: float, infer_unit: Callable[[infer.Findings], str]) -> None:
    findings = infer.Findings()
    try:
      unit = infer_unit(findings)
    except UserError as error:
      findings.warn(str(error))
    # A guess at a calm recording's angular velocity is no doubt about it.
    if findings.warnings:
      unit = _IN_DOUBT
      self._doubts.setdefault(quantity, findings.warnings[0])
    self._seconds[quantity][unit] += seconds

  def finish(self, windows: Sequence[Window]) -> None:
    """Warns of what is doubtful. Raises UserError if most recordings are in another unit."""
    for quantity, seconds in self._seconds.items():
      expected, total_s, in_doubt_s = _EXPECTED[quantity], sum(seconds.values()), seconds.pop(_IN_DOUBT, 0.0)
      unit = max(seconds, key=seconds.__getitem__, default=expected)
      if unit != expected:
        raise UserError(
          f'{self._name}: {quantity} is in {unit} by its own numbers, for {seconds[unit]:.0f} of '
          f'{total_s:.0f} s; windows need {expected}. Multiply by {_FACTORS[unit]:.6g} in the reader; in '
          'your own dataset, correct the unit in dataset.toml'
        )
      if quantity == 'acceleration' and in_doubt_s > _MOST * total_s:
        _LOG.warning('%s: %s', self._name, self._doubts[quantity])
      others = {unit: s for unit, s in seconds.items() if unit != expected and s > _SOME * total_s}
      if others:
        listed = ', '.join(f'{s:.0f} of {total_s:.0f} s in {unit}' for unit, s in others.items())
        text = '%s: %s is in %s by its own numbers, but %s: do all devices have the same unit?'
        _LOG.warning(text, self._name, quantity, expected, listed)
    self._check_axes(windows)

  def _check_axes(self, windows: Sequence[Window]) -> None:
    """Warns if gravity turns in another way than the gyroscope says.

    Counts the people at each position whose device turns enough to tell.
    """
    signals = collections.defaultdict(list)
    for window in windows:
      signals[window.position, window.subject].append(window.signal)
    agreements = collections.defaultdict(list)
    for (position, _), person in signals.items():
      some = np.stack(person[:: -(-len(person) // _MAX_WINDOWS)])
      agreement = gyro_agreement.check(some, self._rate_hz)
      if agreement.is_known or agreement.factor is not None:
        agreements[position].append(agreement)
    for position, people in agreements.items():
      with_gyro = [person for person in people if person.gyro is not None]
      if len(with_gyro) > _MOST * len(people):
        _LOG.warning(
          '%s, %s: gravity turns about other axes than the gyroscope says, for %d of %d people: '
          'does it have the axes and signs of the accelerometer?',
          *(self._name, position, len(with_gyro), len(people)),
        )
      factors = [person.factor for person in people if person.factor is not None]
      if len(factors) > _MOST * len(people):
        _LOG.warning(
          '%s, %s: gravity turns %.2g times as fast as the gyroscope says, for %d of %d people: '
          'are the sampling rate and the unit right?',
          *(self._name, position, np.median(factors), len(factors), len(people)),
        )

"""A user's recordings, read and checked by `frame_check` before they are cut into windows.

w windows, n samples.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from har_jax import config_fields, recordings
from har_jax.config import CHANNELS, Windowing
from har_jax.errors import UserError
from har_jax.recognizer import frame_check
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import Reading, ReadingOptions, Source, to_windows
from har_jax.recordings.infer import Findings
from har_jax.recordings.sentences import gather
from har_jax.signal import pace, segments
from har_jax.signal.recording import Recording, Samples
from har_jax.signal.summary import SignalSummary

_PART_WINDOWS, _MOST_PARTS = 8, 150  # lengths of a window: 15 windows each
# Length of the mean direction of gravity, and cosine: people who wear a device alike differ by up to 85°.
_SAME_WAY, _OPPOSITE = 0.5, -0.85
_SLOWER, _FAST_ENOUGH = 0.5, 0.8  # of the rate in training; of the model's rate


def read(
  recognizer: Recognizer, source: Source, frame: str, findings: Findings, **options: Any
) -> tuple[Reading, dict[str, frame_check.Finding]]:
  """Reads what `recognizer` is to answer or to learn, and checks it; notes are passed on as they come.

  options: of `recordings.read`, by which its UserErrors are raised, too.
  """
  config_fields.check_names(options, (*ReadingOptions.__annotations__, 'labels'), 'reading')
  reading = recordings.read(source, **options)
  findings.note(*reading.notes)
  reading, corrections = check(recognizer.signals, reading, frame, recognizer.windowing)
  findings.note(*reading.notes[len(findings.notes) :])
  return reading, corrections


def check(
  expected: SignalSummary | None, reading: Reading, frame: str, windowing: Windowing
) -> tuple[Reading, dict[str, frame_check.Finding]]:
  """The reading with what is certain corrected, with more notes and warnings; and the finding of each file.

  Each file is checked alone if all are long enough, since they may be of several devices; else all together.
  Raises UserError as `frame_check.check`.
  """
  recordings_of: dict[str, list[Recording]] = {}
  for recording, file in zip(reading.recordings, reading.files, strict=True):
    recordings_of.setdefault(file, []).append(recording)
  signals = {file: _evenly_spaced(parts, reading, windowing) for file, parts in recordings_of.items()}
  is_apart = len(signals) > 1 and min(map(len, signals.values())) >= frame_check.FEWEST_WINDOWS
  findings: dict[str, frame_check.Finding] = {}
  for name, windows in (signals if is_apart else {'': np.concatenate(list(signals.values()))}).items():
    try:
      finding = frame_check.check(expected, windows, frame, windowing.rate_hz)
    except UserError as error:
      raise UserError(f'{name}: {error}' if is_apart else str(error)) from error
    findings |= {name: finding} if is_apart else dict.fromkeys(signals, finding)
    if reading.has_sure_signs:  # the app's word is better than what gravity shows
      finding.notes = [note for note in finding.notes if note != frame_check.IS_UNDECIDED]
  notes_of = {name: finding.notes for name, finding in findings.items()}
  notes = [*reading.notes, *gather(notes_of, named=is_apart)]
  doubts_of = {name: finding.warnings for name, finding in findings.items()}
  doubts = [*reading.warnings, *gather(doubts_of, named=is_apart)]
  if is_apart:
    doubts += _warn_of_opposite({name: findings[name](windows) for name, windows in signals.items()})
  corrected = [
    _correct(part, findings[file]) for part, file in zip(reading.recordings, reading.files, strict=True)
  ]
  trained_hz = () if expected is None else expected.rates_hz
  rates = zip(('accelerometer', 'gyroscope'), rates_hz(reading), trained_hz, strict=False)
  doubts += [
    f'The {sensor} runs at {hz:.3g} Hz, at {usual_hz:.3g} Hz in training: quick movements look different.'
    for sensor, hz, usual_hz in rates
    if hz < min(_SLOWER * usual_hz, _FAST_ENOUGH * windowing.rate_hz)
  ]
  odds = pace.check(_evenly_spaced(reading.recordings, reading, pace.WINDOWING)) if reading.has_gyro else None
  if odds is not None and odds.factor is not None:
    times = 'twice' if odds.factor > 1 else 'half'
    doubts.append(
      f'Most movements are about {times} as fast as people are, for their strength: the sampling rate or the '
      f'unit of time may be wrong. Divide a rate given by hand by {odds.factor:g}.'
    )
  return dataclasses.replace(reading, recordings=corrected, notes=notes, warnings=doubts), findings


def rates_hz(reading: Reading) -> tuple[float, ...]:
  """Rates of the accelerometer and, if there is one, the gyroscope: those of the longest recording."""
  longest = max(reading.recordings, key=lambda recording: len(recording.acc.time_s))
  sensors = (longest.acc, longest.gyro) if reading.has_gyro else (longest.acc,)
  return tuple(round(1 / samples.step_s, 2) for samples in sensors)


def _evenly_spaced(
  recordings: list[Recording], reading: Reading, windowing: Windowing
) -> Float[np.ndarray, 'w n 6']:
  """Windows of some of a reading's recordings: all of a short one, evenly spaced parts of a long one."""
  parts = []
  total_s = sum(float(recording.acc.time_s[-1]) for recording in recordings)
  part_s = _PART_WINDOWS * windowing.seconds
  every_s = max(part_s, total_s / _MOST_PARTS)
  for recording in recordings:
    for start_s in np.arange(0.0, float(recording.acc.time_s[-1]), every_s).tolist():
      part = segments.extract(recording, start_s, start_s + part_s)
      if min(len(part.acc.time_s), len(part.gyro.time_s)) > 1:
        parts.append(part)
  windows = to_windows(dataclasses.replace(reading, recordings=parts), windowing, unlabeled=True)
  return np.array([window.signal for window in windows], np.float32).reshape(-1, windowing.samples, CHANNELS)


def _correct(recording: Recording, finding: frame_check.Finding) -> Recording:
  if finding.is_as_is:
    return recording
  acc, gyro = recording.acc, recording.gyro
  acc = Samples(acc.time_s, (acc.values * finding.acc_factor @ finding.frame.acc.T).astype(np.float32))
  gyro = Samples(gyro.time_s, (gyro.values @ finding.frame.gyro.T).astype(np.float32))
  return dataclasses.replace(recording, acc=acc, gyro=gyro)


def _warn_of_opposite(signals: Mapping[str, Float[np.ndarray, 'w n 6']]) -> list[str]:
  """A sentence for each file in which gravity points opposite to that of the other files."""
  directions = {name: frame_check.mean_direction(windows) for name, windows in signals.items()}
  names, total = [], np.sum(list(directions.values()), axis=0)
  for name, direction in directions.items():
    others = (total - direction) / (len(directions) - 1)
    lengths = np.linalg.norm(direction), np.linalg.norm(others)
    if min(lengths) > _SAME_WAY and direction @ others < _OPPOSITE * lengths[0] * lengths[1]:
      names.append(name)
  return [
    f'{name}: gravity points opposite to that of the other files: the app or the device has another sign of '
    'acceleration, or the device is worn upside down. Read it alone, with frame=flip if answers look wrong.'
    for name in names[: 1 if len(directions) == 2 else None]
  ]

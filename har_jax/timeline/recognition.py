"""A user's recording → answers, with a recognizer, an adapter or the bundled base."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from concurrent import futures
from typing import Any, TypeAlias, Unpack

from har_jax import recordings
from har_jax.continual import routing
from har_jax.errors import UserError, shorten
from har_jax.recognizer import unknown_activities
from har_jax.recognizer.frame_check import Finding
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import Reading, ReadingOptions, Source, formats
from har_jax.recordings.files import as_path
from har_jax.recordings.infer import Findings, Tell
from har_jax.signal.recording import Recording
from har_jax.timeline import activities as levels
from har_jax.timeline import devices, rate_check
from har_jax.timeline.adaptation import Adapted
from har_jax.timeline.answers import Answers, make_answers
from har_jax.timeline.bouts import MEAN_BOUT_S, Rules, find_bouts
from har_jax.timeline.predictions import Predictions, predict, warnings_for

Adapter: TypeAlias = Recognizer | Adapted | str | os.PathLike[str]
_SECOND = 'Second device: {}'


def recognize(
  recording: Source,
  adapter: Adapter | None = None,
  *,
  labels: 'Source | None' = None,
  activities: Sequence[str] | None = (),
  second: 'Source | None' = None,
  second_adapter: Adapter | None = None,
  base: str | os.PathLike[str] | None = None,
  unknown_below: float | int = 0.0,
  refusal_rate: float | int = 0.0,
  mean_bout_s: float | int = MEAN_BOUT_S,
  not_worn_min: float | int = 30.0,
  frame: str = 'auto',
  progress: bool = False,
  tell: Tell | None = None,
  **options: Unpack[ReadingOptions],
) -> Answers:
  """Recognizes the activities of a whole recording, as `har-jax predict` does.

  Parameters
  ----------
  recording : str, path-like or DataFrame
    What an app exported: a file, a zip or a folder; or a table of one recording. Columns, units and clock are
    inferred.
  adapter : Recognizer, Adapted, str or path-like, default None
    A fitted recognizer, what `har_jax.adapt` returns, or the folder that either saved. None: the bundled
    base, which recognizes common activities.
  labels : str, path-like or DataFrame, default None
    Table of start, end and activity, to score the answers with. It never changes them.
  activities : sequence of str or None, default all
    Activities that answers may have. `still=sitting+standing` are several as one. Stairs are one activity,
    or both directions, as they are named here.
  second : str, path-like or DataFrame, default None
    What another device recorded that the same person wore at the same time. Both are aligned by their clocks
    and by movement, and answered together, on the times of the first. `frame` and `options` are of both.
  second_adapter : Recognizer, Adapted, str or path-like, default None
    An adapter of the second device's own, of the same activities. None: the first one's.
  base : str or path-like, default None
    Folder of the adapter's base, if it was saved elsewhere.
  unknown_below, refusal_rate, mean_bout_s, not_worn_min : float
    The rules by which windows become bouts: `har_jax.timeline.Rules`.
  frame : str, default 'auto'
    Axes and signs: 'auto' corrects what is certain, 'as_is' changes nothing, '-x,-y,z' names them.
  progress : bool, default False
    Show a progress bar.
  tell : callable, default None
    Called with 'note' or 'warning' and each sentence as soon as it is known.
  **options
    What is not to be inferred: columns (role → name; roles are time, ax, ay, az, gx, gy, gz, label),
    acc_unit, gyro_unit, time_unit, rate_hz, time_zone.

  Raises UserError, with what to do, if the recording or the adapter cannot be used.
  """
  activities = levels.check_names(activities)
  rules, findings = Rules(mean_bout_s, unknown_below, not_worn_min, refusal_rate), Findings(tell=tell)
  if second_adapter is not None and second is None:
    raise UserError('second_adapter needs second, the recording of another device')
  if isinstance(adapter, Recognizer | Adapted) and base is not None:
    raise UserError('base is for the folder of an adapter, and what was given has its base: leave base out')
  routed = None if isinstance(adapter, Recognizer | Adapted) else routing.find(adapter)
  recognizer = load(adapter if routed is None else routed / 'domain0', base)
  of_second = None if second_adapter is None else load(second_adapter, base)
  second = as_path(second)
  if isinstance(second, pathlib.Path):
    formats.find(second)  # raises before the first one is read, which may take long
  reading, frames = rate_check.read(recognizer, recording, frame, findings, labels=labels, **options)
  if routed is not None:
    folder, domain = routing.nearest(routed, recognizer, reading)
    reading.notes.append(
      f'The features of this recording are nearest to those of {shorten(domain)}: its adapter {folder} '
      'answers.'
    )
    findings.note(reading.notes[-1])
    recognizer = load(folder, base)
  labeled = reading.recordings
  late = [] if labels is None else recordings.find_late_labels(reading)
  # Without labels: they must not change predictions, and too few of them are no reason to warn.
  reading = _without_labels(reading)
  findings.warn(*reading.warnings)
  refusal_rate = _possible_rate(recognizer, refusal_rate, findings)
  rules = dataclasses.replace(rules, refusal_rate=refusal_rate)  # as the summary states it
  levels.find_columns(activities, tuple(map(str, recognizer.classes_)))  # before the long part
  answering = of_second or recognizer
  if second is not None:
    other, other_frames = _read_second(second, answering, frame, options)
    reading.notes.extend(other.notes)
    findings.note(*other.notes)
    offset = devices.find_offset(reading, other)
  with futures.ThreadPoolExecutor(1) as checker:  # beside the answers: a day's checks take seconds
    doubts = checker.submit(recordings.check, reading, recognizer.windowing)
    try:
      predictions = predict(recognizer, reading, refusal_rate=refusal_rate, progress=progress)
    finally:  # they may say why there is no answer
      findings.warn(*doubts.result(), *late, *warnings_for(recognizer, reading))
  if second is not None:
    answered = predict(answering, other, progress=progress)
    predictions, together = _combine(predictions, answered, (reading, other), offset, findings)
  if recognizer.recording_head_ is not None and not activities:  # an adapter's classes are its user's labels
    predictions = levels.by_direction(predictions)
  labeled = levels.merge_labels(labeled, activities, predictions.classes)
  predictions = levels.select(predictions, activities)
  if activities and len(predictions.classes) == 1:
    findings.warn(f'Every window is {shorten(predictions.classes[0])}, since activities name no other one.')
  findings.warn(*predictions.warnings)
  scored = None if labels is None else _score(predictions, labeled, rules, findings)
  card, bouts = recognizer.adapter_.card, find_bouts(predictions, rules)
  model = {'method': card.method, 'classes': list(predictions.classes), 'temperature': card.temperature}
  model['checksum'] = card.checksum
  reading = dataclasses.replace(reading, warnings=findings.warnings)
  answers = make_answers(predictions, bouts, rules, reading, model, scored, _to_entries(frames))
  if second is not None:
    answers.summary['second_device'] = together | {'frame': _to_entries(other_frames)}
  return answers


def load(adapter: Adapter | None, base: str | os.PathLike[str] | None = None) -> Recognizer:
  """The recognizer of an adapter, or of a base with a head. Raises UserError if it cannot answer."""
  recognizer = to_recognizer(adapter, base)
  if not hasattr(recognizer, 'adapter_'):
    raise UserError(f'{adapter} has a base without a head and no adapter: adapt it first')
  return recognizer


def to_recognizer(adapter: Adapter | None, base: str | os.PathLike[str] | None = None) -> Recognizer:
  """The recognizer of an adapter, or of a base that may lack a head."""
  adapter = adapter.recognizer if isinstance(adapter, Adapted) else adapter
  return adapter if isinstance(adapter, Recognizer) else Recognizer.load(adapter, base)


def _to_entries(frames: Mapping[str, Finding]) -> list[dict[str, Any]]:
  """What was changed about each file's frame, for the summary."""
  return [
    {'file': name, 'frame': str(finding.frame), 'acc_factor': finding.acc_factor}
    for name, finding in frames.items()
  ]


def _without_labels(reading: Reading) -> Reading:
  parts = [dataclasses.replace(part, spans=()) for part in reading.recordings]
  return dataclasses.replace(reading, recordings=parts)


def _possible_rate(recognizer: Recognizer, refusal_rate: float, findings: Findings) -> float:
  """0 where the recognizer has too few scores to refuse at this rate."""
  if not refusal_rate:
    return 0.0
  recognizer.adapter_.refuse_baseline()
  if sentence := unknown_activities.refusal_shortage(recognizer.unknown_scores, refusal_rate):
    findings.warn(sentence)
    return 0.0
  return refusal_rate


def _score(
  predictions: Predictions, labeled: Sequence[Recording], rules: Rules, findings: Findings
) -> levels.Score:
  if unknown := levels.unknown_labels(predictions, labeled):
    findings.warn(
      f'The model has no class {shorten(", ".join(unknown))}, so these labels count as errors. Its '
      f'classes are {shorten(", ".join(predictions.classes))}.'
    )
  return levels.score(predictions, labeled, unknown_below=rules.unknown_below)


def _read_second(
  second: Source, recognizer: Recognizer, frame: str, options: ReadingOptions
) -> tuple[Reading, Mapping[str, Finding]]:
  """Reads and checks it; its notes and warnings say that they are of the second device."""
  reading, frames = rate_check.read(recognizer, second, frame, Findings(), **options)
  reading = _without_labels(reading)
  doubts = reading.warnings + recordings.check(reading, recognizer.windowing)
  notes, warnings = ([_SECOND.format(text) for text in texts] for texts in (reading.notes, doubts))
  return dataclasses.replace(reading, notes=notes, warnings=warnings), frames


def _combine(
  predictions: Predictions,
  others: Predictions,
  readings: tuple[Reading, Reading],
  offset: tuple[float, str],
  findings: Findings,
) -> tuple[Predictions, dict[str, Any]]:
  """Predictions of both devices, on the times of the first, and entries of the summary."""
  (reading, second), (offset_s, sentence) = readings, offset
  others = devices.in_order(others, predictions.classes)
  predictions, count = devices.combine(predictions, others, readings, offset_s)
  reading.notes.append(f'{sentence} {count} of {len(predictions.start_s)} windows are answered by both.')
  findings.note(reading.notes[-1])
  findings.warn(*second.warnings, *map(_SECOND.format, others.warnings))
  if not count:
    findings.warn(
      'The second device answers no window, as it recorded at other times: do both clocks, and their time '
      'zones, agree?'
    )
  entries: dict[str, Any] = {'files': second.files[:1], 'offset_s': round(offset_s, 2), 'windows': count}
  return predictions, entries | {'distribution_shift': others.shift}

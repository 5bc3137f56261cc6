"""The activities that answers have: restricted, merged, compared with labels; stairs at the level of names.

w windows, y classes, a activities.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from har_jax import config_fields
from har_jax.config import Windowing
from har_jax.errors import UserError, shorten
from har_jax.recordings import language
from har_jax.signal.recording import Recording, Span
from har_jax.timeline.bouts import UNKNOWN
from har_jax.timeline.predictions import Predictions
from har_jax.train import metrics

_STAIRS = language.STAIRS[0]
_TINY = 1e-12
_SLACK = 0.5  # samples: times are rounded to samples: a window that ends with the span is inside


def find_class(name: str, classes: Sequence[str]) -> str | None:
  """The class of this name in any spelling or language; stairs for one direction. None: no such class."""
  spelled = {language.normalize(label): label for label in reversed(classes)}
  common = {language.common_name(label): label for label in reversed(classes)}
  wanted = language.common_name(name)
  direct = spelled.get(language.normalize(name), common.get(wanted))
  return common.get(_STAIRS) if direct is None and wanted in language.STAIRS else direct


def to_level(
  probabilities: Float[np.ndarray, 'w y'], classes: Sequence[str], names: Sequence[str]
) -> tuple[Float[np.ndarray, 'w a'], tuple[str, ...]]:
  """Probabilities and classes in which stairs are one class, or one of each direction, as in the names.

  Stairs of unknown direction are shared between both directions as these are. Names with both levels get one
  class. Without stairs in the names, all stays as it is.
  """
  common = [language.common_name(label) for label in classes]
  wanted = {language.common_name(name) for name in names}.intersection(language.STAIRS)
  stairs = [number for number, name in enumerate(common) if name == _STAIRS]
  directions = [number for number, name in enumerate(common) if name in language.STAIRS and name != _STAIRS]
  if not wanted or not directions:
    return probabilities, tuple(classes)
  level = np.array(probabilities)
  names_of_level = list(classes)
  total = level[:, stairs].sum(axis=1, keepdims=True)
  if _STAIRS in wanted:
    first, *dropped = stairs + directions
    names_of_level[first] = classes[stairs[0]] if stairs else _STAIRS
    level[:, first] = level[:, stairs + directions].sum(axis=1)
  else:
    dropped = stairs
    level[:, directions] *= 1 + total / np.maximum(level[:, directions].sum(axis=1, keepdims=True), _TINY)
  columns = [number for number in range(len(classes)) if number not in dropped]
  return level[:, columns], tuple(names_of_level[number] for number in columns)


def select(predictions: Predictions, activities: Sequence[str]) -> Predictions:
  """Predictions of some activities alone: each is a class, or `still=sitting+standing`, several as one.

  Raises UserError for an activity that is no class, and for one that is named twice.
  """
  if not activities:
    return predictions
  columns, members = find_columns(activities, predictions.classes)
  probabilities, _ = to_level(predictions.probabilities, predictions.classes, members)
  selected = np.stack([probabilities[:, column].sum(axis=1) for column in columns.values()], axis=1)
  sets = predictions.sets
  if sets is not None:
    level, _ = to_level(sets.astype(np.float32), predictions.classes, members)
    sets = np.stack([(level[:, column] > 0).any(axis=1) for column in columns.values()], axis=1)
    sets[np.arange(len(sets)), selected.argmax(axis=1)] = True
  shares = ((selected + _TINY) / (selected + _TINY).sum(axis=1, keepdims=True)).astype(np.float32)
  return dataclasses.replace(predictions, classes=tuple(columns), probabilities=shares, sets=sets)


def check_names(activities: Sequence[str] | None) -> tuple[str, ...]:
  """The names, perhaps given as one text as on the command line. Raises UserError if one is no text."""
  names = tuple(activities.split(',') if isinstance(activities, str) else activities or ())
  for name in names:
    config_fields.check_value('an entry of activities', name, 'give names, such as walking', kind=str)
  return names


def find_columns(activities: Sequence[str], classes: Sequence[str]) -> tuple[dict[str, list[int]], list[str]]:
  """Columns of each activity among the classes that `to_level` gives for all names, and these names.

  Raises UserError as `select`.
  """
  activities = check_names(activities)
  merged = {}
  for entry in activities:
    name, is_merged, parts = entry.partition('=')
    merged[name.strip()] = [part.strip() for part in parts.split('+')] if is_merged else [name.strip()]
  if len(merged) < len(activities) or not all(name and all(parts) for name, parts in merged.items()):
    raise UserError(
      f'activities are {shorten(", ".join(activities))}; give different names, such as walking, or '
      'still=sitting+standing for several as one'
    )
  members = [member for parts in merged.values() for member in parts]
  _, level = to_level(np.zeros((0, len(classes))), classes, members)
  found = {part: find_class(part, level) for part in members}
  if unknown := [part for part, label in found.items() if label is None]:
    raise UserError(
      f'activities name {shorten(unknown[0])!r}, which is no class; these are {", ".join(level)}'
    )
  columns = {name: [level.index(found[part] or '') for part in parts] for name, parts in merged.items()}
  numbers = [number for column in columns.values() for number in column]
  if repeated := sorted({level[number] for number in numbers if numbers.count(number) > 1}):
    raise UserError(f'activities name {shorten(", ".join(repeated))} twice: name each once')
  return columns, members


def merge_labels(
  labeled: Sequence[Recording], activities: Sequence[str], classes: Sequence[str]
) -> list[Recording]:
  """Recordings whose labels have the names that `select` gives to classes; other labels stay."""
  if not activities:
    return list(labeled)
  columns, members = find_columns(activities, classes)
  _, level = to_level(np.zeros((0, len(classes))), classes, members)
  names = {level[number]: name for name, numbers in columns.items() for number in numbers}

  def rename(span: Span) -> Span:
    name = names.get(find_class(span.activity, level) or '', span.activity)
    return dataclasses.replace(span, activity=name)

  return [dataclasses.replace(part, spans=tuple(map(rename, part.spans))) for part in labeled]


def by_direction(predictions: Predictions) -> Predictions:
  """Predictions without stairs of unknown direction, if both directions are classes, too."""
  common = {language.common_name(label): label for label in predictions.classes}
  if not common.keys() >= set(language.STAIRS):
    return predictions
  return select(predictions, [label for label in predictions.classes if label != common[_STAIRS]])


@dataclasses.dataclass(frozen=True)
class Score:
  """Metrics over `windows` windows. The prediction `unknown` counts as an error.

  macro_f1: mean over the activities that have labels.
  """

  windows: int
  macro_f1: float
  accuracy: float
  names: tuple[str, ...]  # activities that occur, in the order of `confusion`
  confusion: list[list[int]]  # rows: labels, columns: predictions


def score(predictions: Predictions, labeled: Sequence[Recording], *, unknown_below: float = 0.0) -> Score:
  """Scores the windows that lie inside one labeled span; single windows, not bouts.

  `labeled` are the recordings of the predictions, with their spans. Stairs have the level of the labels: one
  class, or both directions.
  Raises UserError if no window lies inside a span.
  """
  labels = [
    label_at(labeled[recording], start_s, predictions.windowing)
    for recording, start_s in zip(predictions.recording, predictions.start_s, strict=True)
  ]
  is_labeled = np.array([label is not None for label in labels])
  if not is_labeled.any():
    raise UserError(
      f'no window of {predictions.windowing.seconds:g} s lies within a labeled span: are the labels of this '
      'recording, and long enough?'
    )
  level, classes = to_level(predictions.probabilities, predictions.classes, _labels(labeled))
  true = np.array([find_class(label, classes) or label for label in labels if label is not None])
  predicted = np.array(classes)[level.argmax(axis=1)]
  is_unknown = dataclasses.replace(predictions, probabilities=level, sets=None).is_unknown(unknown_below)
  predicted = np.where(is_unknown, UNKNOWN, predicted)[is_labeled]
  names, codes = np.unique([true, predicted], return_inverse=True)
  confusion = np.zeros((len(names), len(names)), int)
  np.add.at(confusion, tuple(codes.reshape(2, -1)), 1)
  macro_f1, accuracy = metrics.labeled_macro_f1(true, predicted), float((true == predicted).mean())
  return Score(len(true), macro_f1, accuracy, tuple(names.tolist()), confusion.tolist())


def unknown_labels(predictions: Predictions, labeled: Sequence[Recording]) -> list[str]:
  """Labels that are no class, in whatever spelling or language: their windows cannot be right."""
  labels = _labels(labeled)
  _, classes = to_level(predictions.probabilities[:0], predictions.classes, labels)
  return [label for label in labels if find_class(label, classes) is None]


def _labels(labeled: Sequence[Recording]) -> list[str]:
  return sorted({span.activity for recording in labeled for span in recording.spans})


def label_at(recording: Recording, start_s: float, windowing: Windowing) -> str | None:
  """The activity of the span that contains the window that starts at `start_s`."""
  slack_s, stop_s = _SLACK / windowing.rate_hz, start_s + windowing.seconds
  for span in recording.spans:
    if span.start_s <= start_s + slack_s and stop_s <= span.stop_s + slack_s:
      return span.activity
  return None

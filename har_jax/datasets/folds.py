"""The windows of one fold: of the sources to pretrain on, of the target to adapt, validate and test on."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from har_jax import config
from har_jax.archives import ARCHIVES
from har_jax.datasets import balancing, normalization, splits, temporal_pairs
from har_jax.datasets import windows as store
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.signal.recording import LOCOMOTION, RATE_HZ

_SPLITS = {
  'subject': 'subject-wise: no subject is in two parts',
  'official': "subject-wise: tests on the archive's own test subjects; no subject is in two parts",
  'five_fold': 'subject-wise five-fold cross-validation: seed k tests on fold k; no subject is in two parts',
  'window': 'window-wise, optimistic: windows overlap by half, and neighbors land in different parts',
}


def pretraining_windows(
  folder: pathlib.Path, sources: Sequence[str], protocol: config.Protocol
) -> tuple[Batch, Batch]:
  """Train and validation windows of all sources: each holds out subjects, and is normalized on the others.

  A held-out subject is held out at all positions, and each position of a source has its own normalizer.
  """
  train, validation = zip(*(_source_windows(folder, name, protocol) for name in sources), strict=True)
  return _concatenate(train, ('signal', 'origin')), _concatenate(validation, ('signal',))


def source_classes(folder: pathlib.Path, sources: Sequence[str]) -> tuple[str, ...]:
  """All activities of all sources, sorted."""
  return tuple(
    sorted({name for source in sources for name in store.read_meta(folder / source)['activities']})
  )


def labeled_source_windows(
  folder: pathlib.Path, sources: Sequence[str], protocol: config.Protocol
) -> tuple[Batch, Batch]:
  """`pretraining_windows` with labels, which index `source_classes`; a part of a large source."""
  classes = source_classes(folder, sources)
  train: list[Batch] = []
  validation: list[Batch] = []
  for source in sources:
    label = _label_table(store.read_meta(folder / source)['activities'], classes)
    for batches, part in zip((train, validation), _source_windows(folder, source, protocol), strict=True):
      batches.append(balancing.draw_from_source(part | {'label': label[part['activity']]}, seed=0))
  names = ('signal', 'origin', 'label')
  return _concatenate(train, names), _concatenate(validation, ('signal', 'label'))


def source_windows_of(
  folder: pathlib.Path, sources: Sequence[str], protocol: config.Protocol, classes: Sequence[str]
) -> Batch:
  """The sources' train windows of a target's classes; labels index `classes`."""
  label = _label_table(source_classes(folder, sources), classes)
  train, _ = labeled_source_windows(folder, sources, protocol)
  return _with_known_labels(train, label[train['label']])


def _label_table(names: Sequence[str], classes: Sequence[str]) -> Int[np.ndarray, 'n']:
  """The index of each name in `classes`, or -1."""
  return np.array([classes.index(name) if name in classes else -1 for name in names], np.int32)


def _with_known_labels(windows: Batch, label: Int[np.ndarray, 'w']) -> Batch:
  """The windows with these labels, without those whose label is -1."""
  return {name: values[label >= 0] for name, values in (windows | {'label': label}).items()}


def _source_windows(folder: pathlib.Path, name: str, protocol: config.Protocol) -> tuple[Batch, Batch]:
  """A source's train and validation windows, normalized on the former, with activities as archive indices."""
  windows = store.load(folder / name)
  try:
    held_out = splits.hold_out(windows.subject, protocol.validation_fraction, seed=0)
  except UserError as error:
    raise UserError(f'{name}: {error}; leave it out with --sources') from error
  train: list[Batch] = []
  validation: list[Batch] = []
  for position in np.unique(windows.position[~held_out]):
    is_here = windows.position == position
    normalizer = normalization.of_kind(windows.signals[is_here & ~held_out], protocol.normalize)
    for batches, chosen in ((train, is_here & ~held_out), (validation, is_here & held_out)):
      signal = normalizer(windows.signals[chosen])
      origin = normalizer.origins(len(signal))
      batches.append({'signal': signal, 'origin': origin, 'activity': windows.activity[chosen]})
  names = ('signal', 'origin', 'activity')
  return _concatenate(train, names), _concatenate(validation, names)


def _concatenate(parts: Sequence[Batch], names: Sequence[str]) -> Batch:
  return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _classes(activities: Sequence[str], protocol: config.Protocol) -> tuple[str, ...]:
  """Those of these activities that the protocol classifies."""
  return tuple(name for name in activities if protocol.classes == 'all' or name in LOCOMOTION)


@dataclasses.dataclass(frozen=True)
class TargetWindows:
  """A target's normalized windows for one seed, and their entry in the result file."""

  train: Batch
  validation: Batch
  test: Batch
  test_subjects: np.ndarray
  classes: tuple[str, ...]
  signals: Float[np.ndarray, 'w n 6']  # in m/s² and rad/s: the archive's at one position
  subjects: Int[np.ndarray, 'w']
  indices: dict[str, Int[np.ndarray, 'p']]  # part → where its windows are in these
  description: dict[str, Any]


def target_windows(folder: pathlib.Path, target: str, protocol: config.Protocol, seed: int) -> TargetWindows:
  """Splits a target, applies its label budget, and normalizes it as the protocol says.

  Has the first position only. The normalizer is fitted on the full train part: it needs no labels, so the
  label budget does not limit it.
  """
  windows = store.at_first_position(store.load(folder / target))
  names = windows.meta['activities']
  classes = _classes(names, protocol)
  if len(classes) < 2:
    raise UserError(f'{target} has fewer than two classes ({", ".join(classes)}); try --classes=all')
  chosen = np.flatnonzero(np.isin(windows.activity, [names.index(name) for name in classes]))
  labels = np.searchsorted([names.index(name) for name in classes], windows.activity[chosen]).astype(np.int32)
  subjects = windows.subject[chosen]
  try:
    parts = splits.split(labels, subjects, protocol, seed, official=_official(windows, target, protocol))
  except UserError as error:
    legend = ', '.join(f'{label} {name}' for label, name in enumerate(classes))
    raise UserError(f'{target}: {error} (classes: {legend})') from error
  fitted_on = slice(None) if protocol.normalize == 'dataset' else parts.train
  normalizer = normalization.of_kind(windows.signals[chosen[fitted_on]], protocol.normalize)
  indices = {
    'train': splits.apply_label_budget(parts.train, labels, protocol, seed),
    'validation': splits.apply_label_budget(parts.validation, labels, protocol, seed),
    'test': parts.test,
  }
  batches = {
    part: {'signal': normalizer(windows.signals[chosen[at]]), 'label': labels[at]}
    for part, at in indices.items()
  }
  batches['train']['origin'] = normalizer.origins(len(indices['train']))
  subject_names = np.array(windows.meta['subjects'])
  return TargetWindows(
    **batches,
    test_subjects=subject_names[subjects[parts.test]],
    classes=classes,
    signals=windows.signals,
    subjects=windows.subject,
    indices={part: chosen[at] for part, at in indices.items()},
    description={
      'split': _SPLITS[protocol.split],
      'classes': list(classes),
      'windows': {part: len(at) for part, at in indices.items()},
      'by_class': {
        part: np.bincount(labels[at], minlength=len(classes)).tolist() for part, at in indices.items()
      },
      'subjects': {part: np.unique(subject_names[subjects[at]]).tolist() for part, at in indices.items()},
      'normalizer': {'mean': normalizer.mean.tolist(), 'deviation': normalizer.deviation.tolist()},
      'position': windows.meta.get('position', ''),
    },
  )


def unlabeled_windows(
  folder: pathlib.Path, target: str, protocol: config.Protocol, seed: int
) -> tuple[Batch, Batch]:
  """All windows of a target's train and validation parts, whatever the label budget, without labels."""
  target_parts = _without_budget(folder, target, protocol, seed)
  train = {name: target_parts.train[name] for name in ('signal', 'origin')}
  return train, {'signal': target_parts.validation['signal']}


def _without_budget(folder: pathlib.Path, target: str, protocol: config.Protocol, seed: int) -> TargetWindows:
  all_labels = repr(1 - protocol.test_fraction)
  return target_windows(folder, target, dataclasses.replace(protocol, label_budget=all_labels), seed)


def followed_windows(
  folder: pathlib.Path, target: str, protocol: config.Protocol, seed: int
) -> tuple[Batch, Batch]:
  """`unlabeled_windows` for contrastive pretraining, each with its next window of the same part as `near`.

  Adds `subject`, `recording` and `start_s`. Both parts are in the order of `temporal_pairs.subject_rows`,
  since evaluation reads its batches in order.
  """
  target_parts = _without_budget(folder, target, protocol, seed)
  archive = store.at_first_position(store.load(folder / target))
  window_s = config.WINDOW_SAMPLES / RATE_HZ

  def part(windows: Batch, indices: np.ndarray) -> Batch:
    near = temporal_pairs.next_windows(archive.recording[indices], archive.start_s[indices], window_s)
    order = temporal_pairs.subject_rows(archive.subject[indices], seed=0)
    ordered = indices[order]
    return {
      'signal': windows['signal'][order],
      'near': windows['signal'][near[order]],
      'subject': archive.subject[ordered],
      'recording': archive.recording[ordered],
      'start_s': archive.start_s[ordered].astype(np.float32),
      'origin': np.broadcast_to(target_parts.train['origin'][:1], (len(ordered), 2)),
    }

  return (
    part(target_parts.train, target_parts.indices['train']),
    part(target_parts.validation, target_parts.indices['validation']),
  )


def _official(windows: store.Windows, target: str, protocol: config.Protocol) -> Int[np.ndarray, 's'] | None:
  """Indices of the archive's own test subjects, if the protocol splits by them."""
  if protocol.split != 'official':
    return None
  test_subjects = ARCHIVES[target].test_subjects if target in ARCHIVES else ()
  if not test_subjects:
    others = ', '.join(name for name, archive in ARCHIVES.items() if archive.test_subjects)
    raise UserError(f'{target} has no official split ({others} have one); use --split=subject')
  return np.flatnonzero(np.isin(windows.meta['subjects'], test_subjects))

"""The windows of one fold: its sources' to pretrain on, its target's to adapt to, choose by and test on."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from har_jax import config
from har_jax.data import normalization, splits, temporal_pairs
from har_jax.data import windows as store
from har_jax.data.archives import ARCHIVES
from har_jax.data.batches import Batch
from har_jax.data.recording import LOCOMOTION, RATE_HZ
from har_jax.errors import UserError

_SPLITS = {
  'subject': 'by subject: nobody is in two parts',
  'official': "by subject: tested on the archive's own test subjects, nobody in two parts",
  'window': 'by window, optimistic: windows overlap by half, and neighbors land in different parts',
}


def pretraining_windows(
  folder: pathlib.Path, sources: Sequence[str], protocol: config.Protocol
) -> tuple[Batch, Batch]:
  """All sources' windows, each normalized on its own learning part; some subjects of each are kept to choose by."""
  learned, validation = zip(*(_source_windows(folder, name, protocol) for name in sources), strict=True)
  return _joined(learned, ('signal', 'origin')), _joined(validation, ('signal',))


def source_classes(
  folder: pathlib.Path, sources: Sequence[str], protocol: config.Protocol
) -> tuple[str, ...]:
  """What the sources' labels tell apart, over all of them; sorted."""
  return tuple(
    sorted(
      {
        name
        for source in sources
        for name in _classes(store.read_meta(folder / source)['activities'], protocol)
      }
    )
  )


def labeled_source_windows(
  folder: pathlib.Path, sources: Sequence[str], protocol: config.Protocol
) -> tuple[Batch, Batch]:
  """As `pretraining_windows`, normalized like those, with labels: places in `source_classes`. Windows of other activities are left out."""
  known = source_classes(folder, sources, protocol)
  learned: list[Batch] = []
  validation: list[Batch] = []
  for source in sources:
    names = store.read_meta(folder / source)['activities']
    label = np.array([known.index(name) if name in known else -1 for name in names], np.int32)
    for parts, part in zip((learned, validation), _source_windows(folder, source, protocol), strict=True):
      labeled = part | {'label': label[part['activity']]}
      parts.append({name: values[labeled['label'] >= 0] for name, values in labeled.items()})
  return _joined(learned, ('signal', 'origin', 'label')), _joined(validation, ('signal', 'label'))


def source_windows_of(
  folder: pathlib.Path, sources: Sequence[str], protocol: config.Protocol, classes: Sequence[str]
) -> Batch:
  """The sources' windows of a target's classes, to learn from; labels: places in `classes`."""
  known = source_classes(folder, sources, protocol)
  learned, _ = labeled_source_windows(folder, sources, protocol)
  label = np.array([classes.index(name) if name in classes else -1 for name in known], np.int32)
  labeled = learned | {'label': label[learned['label']]}
  return {name: values[labeled['label'] >= 0] for name, values in labeled.items()}


def _source_windows(folder: pathlib.Path, name: str, protocol: config.Protocol) -> tuple[Batch, Batch]:
  """A source's windows, normalized on those to learn from, and their activities: to learn from, and to choose by."""
  windows = store.load(folder / name)
  try:
    held_out = splits.hold_out(windows.subject, protocol.validation_fraction, seed=0)
  except UserError as error:
    raise UserError(f'{name}: {error}; leave it out with --sources') from error
  normalizer = normalization.fit(windows.signals[~held_out])

  def part(chosen: np.ndarray) -> Batch:
    signal = normalizer(windows.signals[chosen])
    return {
      'signal': signal,
      'origin': normalizer.origins(len(signal)),
      'activity': windows.activity[chosen],
    }

  return part(~held_out), part(held_out)


def _joined(parts: Sequence[Batch], names: Sequence[str]) -> Batch:
  return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _classes(activities: Sequence[str], protocol: config.Protocol) -> tuple[str, ...]:
  """Those of an archive's activities that the protocol tells apart."""
  return tuple(name for name in activities if protocol.classes == 'all' or name in LOCOMOTION)


@dataclasses.dataclass(frozen=True)
class TargetWindows:
  """A target's windows for one seed, normalized, and what the result file says of them."""

  train: Batch
  validation: Batch
  test: Batch
  test_subjects: np.ndarray
  classes: tuple[str, ...]
  places: dict[str, Int[np.ndarray, 'p']]  # of train, validation and test among the archive's windows
  description: dict[str, Any]


def target_windows(folder: pathlib.Path, target: str, protocol: config.Protocol, seed: int) -> TargetWindows:
  """Splits a target, spends its label budget, and normalizes it on what the protocol says.

  The normalizer is fitted on the whole train part, windows without a paid label included: it needs no labels.
  """
  windows = store.load(folder / target)
  names = windows.meta['activities']
  classes = _classes(names, protocol)
  if len(classes) < 2:
    raise UserError(
      f'{target} has fewer than two classes to tell apart ({", ".join(classes)}); try --classes=all'
    )
  chosen = np.flatnonzero(np.isin(windows.activity, [names.index(name) for name in classes]))
  labels = np.searchsorted([names.index(name) for name in classes], windows.activity[chosen]).astype(np.int32)
  subjects = windows.subject[chosen]
  try:
    parts = splits.split(labels, subjects, protocol, seed, official=_official(windows, target, protocol))
  except UserError as error:
    words = ', '.join(f'{label} {name}' for label, name in enumerate(classes))
    raise UserError(f'{target}: {error} (classes: {words})') from error
  fitted_on = slice(None) if protocol.normalize == 'dataset' else parts.train
  normalizer = normalization.fit(windows.signals[chosen[fitted_on]])
  places = {
    'train': splits.apply_label_budget(parts.train, labels, protocol, seed),
    'validation': splits.apply_label_budget(parts.validation, labels, protocol, seed),
    'test': parts.test,
  }
  batches = {
    part: {'signal': normalizer(windows.signals[chosen[at]]), 'label': labels[at]}
    for part, at in places.items()
  }
  batches['train']['origin'] = normalizer.origins(len(places['train']))
  people = np.array(windows.meta['subjects'])
  return TargetWindows(
    **batches,
    test_subjects=people[subjects[parts.test]],
    classes=classes,
    places={part: chosen[at] for part, at in places.items()},
    description={
      'split': _SPLITS[protocol.split],
      'classes': list(classes),
      'windows': {part: len(at) for part, at in places.items()},
      'by_class': {
        part: np.bincount(labels[at], minlength=len(classes)).tolist() for part, at in places.items()
      },
      'subjects': {part: np.unique(people[subjects[at]]).tolist() for part, at in places.items()},
      'normalizer': {'mean': normalizer.mean.tolist(), 'deviation': normalizer.deviation.tolist()},
      'position': windows.meta['position'],
    },
  )


def unlabeled_windows(
  folder: pathlib.Path, target: str, protocol: config.Protocol, seed: int
) -> tuple[Batch, Batch]:
  """All windows of a target's train and validation parts, whatever the label budget, without their labels."""
  whole = _unthinned(folder, target, protocol, seed)
  learned = {name: whole.train[name] for name in ('signal', 'origin')}
  return learned, {'signal': whole.validation['signal']}


def _unthinned(folder: pathlib.Path, target: str, protocol: config.Protocol, seed: int) -> TargetWindows:
  every = repr(1 - protocol.test_fraction)
  return target_windows(folder, target, dataclasses.replace(protocol, label_budget=every), seed)


def followed_windows(
  folder: pathlib.Path, target: str, protocol: config.Protocol, seed: int
) -> tuple[Batch, Batch]:
  """As `unlabeled_windows`, each beside what follows it in its recording, of the same part: `near`; and whose it is, `subject`,
  `recording` and `start_s`. In the order of `neighbors.by_person`, also to validate on, as batches go from front to back.
  """
  whole, archive = _unthinned(folder, target, protocol, seed), store.load(folder / target)
  window_s = config.WINDOW_SAMPLES / RATE_HZ

  def part(windows: Batch, places: np.ndarray) -> Batch:
    near = temporal_pairs.following(archive.recording[places], archive.start_s[places], window_s)
    order = temporal_pairs.by_person(archive.subject[places], seed=0)
    at = places[order]
    return {
      'signal': windows['signal'][order],
      'near': windows['signal'][near[order]],
      'subject': archive.subject[at],
      'recording': archive.recording[at],
      'start_s': archive.start_s[at].astype(np.float32),
      'origin': np.broadcast_to(whole.train['origin'][:1], (len(at), 2)),
    }

  return part(whole.train, whole.places['train']), part(whole.validation, whole.places['validation'])


def _official(windows: store.Windows, target: str, protocol: config.Protocol) -> Int[np.ndarray, 's'] | None:
  """The subjects that the archive's authors test on, as the windows number them, where the protocol wants them."""
  if protocol.split != 'official':
    return None
  named = ARCHIVES[target].test_subjects if target in ARCHIVES else ()
  if not named:
    having = ', '.join(name for name, archive in ARCHIVES.items() if archive.test_subjects)
    raise UserError(f'{target} ships with no split of its own ({having} do); use --split=subject')
  return np.flatnonzero(np.isin(windows.meta['subjects'], named))

"""The windows of one fold: of the sources to pretrain on, of the target to adapt, validate and test on."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax import config, records
from har_jax.archives import ARCHIVES
from har_jax.datasets import balancing, normalization, splits
from har_jax.datasets.batches import Batch, concatenate
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.windows import find_labels
from har_jax.errors import UserError
from har_jax.signal import summary
from har_jax.signal.recording import LOCOMOTION, STANDARD_GRAVITY_M_S2

_SPLITS = {
  'subject': 'subject-wise: no subject is in two parts',
  'official': "subject-wise: tests on the archive's own test subjects; no subject is in two parts",
  'five_fold': 'subject-wise five-fold cross-validation: seed k tests on fold k; no subject is in two parts',
  'window': 'window-wise, optimistic: windows overlap by half, and neighbors land in different parts',
}


@dataclasses.dataclass(frozen=True)
class Sources:
  """Datasets to pretrain on.

  Each holds out subjects for validation, at all positions, and each of its positions is normalized on the
  other subjects. No seed has a part in it. If varied, labeled windows to train on have the variants of
  `balancing.vary`, for devices that no source has.
  """

  datasets: Datasets
  names: tuple[str, ...]
  protocol: config.Protocol
  is_varied: bool = False

  @property
  def classes(self) -> tuple[str, ...]:
    """All activities of all sources, sorted; then, if varied, each in reverse."""
    names = sorted({name for source in self.names for name in self.datasets[source].meta.activities})
    return (*names, *(f'{name} reversed' for name in names if self.is_varied))

  def windows(self) -> tuple[Batch, Batch]:
    """Train and validation windows, without labels."""
    train, validation = zip(*map(self._read, self.names), strict=True)
    return concatenate(train, ('signal', 'origin')), concatenate(validation, ('signal',))

  def labeled_windows(self) -> tuple[Batch, Batch]:
    """`windows` with labels, which index `classes`; a part of a large source."""
    parts: tuple[list[Batch], list[Batch]] = ([], [])
    for source in self.names:
      label = find_labels(self.datasets[source].meta.activities, self.classes)
      for batches, part in zip(parts, self._read(source), strict=True):
        batches.append(balancing.draw_from_source(part | {'label': label[part['activity']]}, seed=0))
    train, validation = parts
    drawn = concatenate(train, ('signal', 'origin', 'label'))
    drawn = balancing.vary(drawn, len(self.classes) // 2, seed=0) if self.is_varied else drawn
    return drawn, concatenate(validation, ('signal', 'label'))

  def windows_of_classes(self, classes: Sequence[str]) -> Batch:
    """The train windows of a target's classes; labels index these."""
    train, _ = self.labeled_windows()
    label = find_labels(self.classes, classes)[train['label']]
    return {name: values[label >= 0] for name, values in (train | {'label': label}).items()}

  def held_out(self, name: str) -> Bool[np.ndarray, 'w']:
    """True for a source's windows to validate on. Raises UserError if it has too few subjects."""
    try:
      return splits.hold_out_subjects(
        self.datasets[name].windows.subject, self.protocol.validation_fraction, seed=0
      )
    except UserError as error:
      raise UserError(f'{name}: {error}; leave it out with --sources') from error

  def summarize(self, names: Mapping[str, str]) -> summary.SignalSummary | None:
    """Summarizes windows of activities in `names`, under their names there; None if there are none."""
    gravity: list[summary.Gravity] = []
    samples, means = [], []
    for source in self.names:
      windows = self.datasets[source].windows
      activities = np.array(windows.meta.activities)[windows.activity]
      indices = np.flatnonzero(np.isin(activities, list(names)))
      if not len(indices):
        continue
      signals, rate_hz = windows.signals[indices], windows.meta.rate_hz
      positions = [f'{source}, {windows.meta.all_positions[place]}' for place in windows.position[indices]]
      known_names = [names[activity] for activity in activities[indices]]
      gravity += summary.summarize(signals, known_names, rate_hz, positions).gravity
      samples.append(summary.draw_evenly(signals))
      means.append(signals[..., :3].mean(axis=1, dtype=np.float64) / STANDARD_GRAVITY_M_S2)
    if not gravity:
      return None
    return summary.summarize_means(gravity, np.concatenate(samples), np.concatenate(means), rate_hz)

  def _read(self, name: str) -> tuple[Batch, Batch]:
    """A source's train and validation windows, with its own indices of activities."""
    windows, held_out = self.datasets[name].windows, self.held_out(name)
    parts: tuple[list[Batch], list[Batch]] = ([], [])
    for position in np.unique(windows.position[~held_out]):
      is_here = windows.position == position
      normalizer = normalization.make(windows.signals[is_here & ~held_out], self.protocol.normalize)
      for batches, mask in zip(parts, (is_here & ~held_out, is_here & held_out), strict=True):
        signal = normalizer(windows.signals[mask])
        origin = normalizer.origins(len(signal))
        batches.append({'signal': signal, 'origin': origin, 'activity': windows.activity[mask]})
    train, validation = map(concatenate, parts)
    return train, validation


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
  description: records.TargetData


@dataclasses.dataclass(frozen=True)
class Fold:
  """One target and its sources, split as the protocol and the seed say."""

  datasets: Datasets
  target: str
  source_names: tuple[str, ...]
  protocol: config.Protocol
  seed: int

  @property
  def sources(self) -> Sources:
    return Sources(self.datasets, self.source_names, self.protocol)

  def check(self) -> None:
    """Raises UserError if the target cannot be split as the protocol says: now, not after pretraining."""
    self._split()

  def target_windows(self) -> TargetWindows:
    """Splits the target, applies its label budget, and normalizes it as the protocol says.

    Has the first position only. The normalizer is fitted on the full train part: it needs no labels, so the
    label budget does not limit it.
    """
    protocol, windows = self.protocol, self.datasets[self.target].first_position
    classes, rows, labels, parts = self._split()
    subjects = windows.subject[rows]
    fitted_on = slice(None) if protocol.normalize == 'dataset' else parts.train
    normalizer = normalization.make(windows.signals[rows[fitted_on]], protocol.normalize)
    indices = {
      'train': splits.apply_label_budget(parts.train, labels, protocol, self.seed),
      'validation': splits.apply_label_budget(parts.validation, labels, protocol, self.seed),
      'test': parts.test,
    }
    batches = {
      part: {'signal': normalizer(windows.signals[rows[index]]), 'label': labels[index]}
      for part, index in indices.items()
    }
    batches['train']['origin'] = normalizer.origins(len(indices['train']))
    subject_names = np.array(windows.meta.subjects)[subjects]
    return TargetWindows(
      **batches,
      test_subjects=subject_names[parts.test],
      classes=classes,
      signals=windows.signals,
      subjects=windows.subject,
      indices={part: rows[index] for part, index in indices.items()},
      description=records.TargetData(
        split=_SPLITS[protocol.split],
        classes=list(classes),
        windows=records.Parts(*(len(index) for index in indices.values())),
        by_class=records.Parts(
          *(np.bincount(labels[index], minlength=len(classes)).tolist() for index in indices.values())
        ),
        subjects=records.Parts(*(np.unique(subject_names[index]).tolist() for index in indices.values())),
        normalizer=records.Normalizer(normalizer.mean.tolist(), normalizer.deviation.tolist()),
        position=windows.meta.position,
      ),
    )

  def unlabeled_windows(self) -> tuple[Batch, Batch]:
    """All windows of the target's train and validation parts, whatever the label budget, without labels."""
    all_labels = repr(1 - self.protocol.test_fraction)
    protocol = dataclasses.replace(self.protocol, label_budget=all_labels)
    parts = dataclasses.replace(self, protocol=protocol).target_windows()
    train = {name: parts.train[name] for name in ('signal', 'origin')}
    return train, {'signal': parts.validation['signal']}

  def _split(self) -> tuple[tuple[str, ...], Int[np.ndarray, 'p'], Int[np.ndarray, 'p'], splits.Split]:
    """Classes of the target; its windows of these, of all of the first position; their labels, and parts."""
    windows = self.datasets[self.target].first_position
    activities = windows.meta.activities
    classes = tuple(name for name in activities if self.protocol.classes == 'all' or name in LOCOMOTION)
    if len(classes) < 2:
      raise UserError(
        f'{self.target} has fewer than two classes ({", ".join(classes) or "none"}); try --classes=all'
      )
    every = windows.labels(classes)
    rows = np.flatnonzero(every >= 0)
    labels, official = every[rows], self._official_test_subjects()
    try:
      parts = splits.split(labels, windows.subject[rows], self.protocol, self.seed, official=official)
    except UserError as error:
      legend = ', '.join(f'{label} {name}' for label, name in enumerate(classes))
      raise UserError(f'{self.target}: {error} (classes: {legend})') from error
    return classes, rows, labels, parts

  def _official_test_subjects(self) -> Int[np.ndarray, 's'] | None:
    """Indices of the archive's own test subjects, if the protocol splits by them."""
    if self.protocol.split != 'official':
      return None
    test_subjects = ARCHIVES[self.target].test_subjects if self.target in ARCHIVES else ()
    if not test_subjects:
      others = ', '.join(name for name, archive in ARCHIVES.items() if archive.test_subjects)
      raise UserError(f'{self.target} has no official split ({others} have one); use --split=subject')
    return np.flatnonzero(np.isin(self.datasets[self.target].first_position.meta.subjects, test_subjects))

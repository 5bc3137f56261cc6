"""Heads that recognize activities without any label of the user: of a base, and of whole recordings.

w windows, f features, s activities of the sources, y classes.
The sources' many activities are grouped. For a base, the groups' output weights are fitted to the logits of
the supervised stage, and the encoder does not change. For recordings, small networks are fitted to features
relative to walking.
"""

from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import msgspec
import numpy as np
import scipy  # loads scipy.special when it is used
from jaxtyping import Float, Int

from har_jax import methods
from har_jax.baselines import relative_features
from har_jax.datasets.batches import Batch
from har_jax.datasets.folds import Sources
from har_jax.datasets.windows import find_labels
from har_jax.errors import UserError
from har_jax.files import Base, make_base
from har_jax.recognizer import prediction_sets, recording_head
from har_jax.recognizer.recording_head import WALKING, RecordingHead
from har_jax.recognizer.unknown_activities import UNKNOWN
from har_jax.train import metrics
from har_jax.train.evaluation import class_means, predict
from har_jax.train.objective import Classify

# Class → the sources' activities that it stands for.
CLASSES: dict[str, tuple[str, ...]] = {
  'walking': ('walking', 'nordic_walking', 'treadmill_walking', 'treadmill_incline_walking'),
  'running': ('running',),
  'upstairs': ('upstairs',),
  'downstairs': ('downstairs',),
  'stairs': ('stairs',),  # of unknown direction
  'sitting': ('sitting', 'watching_tv', 'computer_work'),
  'standing': ('standing', 'standing_in_elevator'),
  'lying': ('lying', 'lying_on_side', 'lying_on_stomach'),
  'cycling': ('cycling',),
  'jumping': ('jumping',),
  # Not what the hands do while one sits or stands, such as typing: then both answers are right.
  UNKNOWN: (
    *('kicking', 'catching', 'dribbling', 'playing_basketball', 'playing_soccer', 'rowing', 'falling'),
    *('stand_to_sit', 'sit_to_stand', 'turning', 'crouching', 'stumbling', 'vacuuming', 'house_cleaning'),
  ),
}
# Of the head's probabilities, which are too sure on devices and places that no source has. Chosen among 1 to
# 4 with four pretrainings, for adapted answers on HAPT, PDIoT, WEDA-FALL and LIARA: docs/results/unseen.md.
_TEMPERATURE = 2.5
# The sources' activity → the class it stands for.
NAMES = {activity: name for name, activities in CLASSES.items() for activity in activities}
KNOWN_CLASSES = tuple(name for name in CLASSES if name != UNKNOWN)
_PER_POSITION = 4000  # windows of a source at one position of the device, for a head of recordings
_DRAWN = 12_000  # windows to fit it to, of all sources


def with_general_head(base: Base, train: Batch, validation: Batch) -> Base:
  """The base with a head for those of CLASSES that its sources have.

  train, validation: `Sources.labeled_windows`, whose labels index `base.classes`.
  Raises UserError as `check_activities`.
  """
  check_activities(base.classes)
  objective = Classify(base.model, len(base.classes))
  group = np.array([_group(activity) for activity in base.classes])
  (logits, labels), (held_out, true) = (
    (predict(objective, base.variables, part)[is_grouped], group[part['label']][is_grouped])
    for part in (train, validation)
    for is_grouped in [group[part['label']] >= 0]
  )
  present = np.unique(labels)
  kernel, bias = _fit(logits, labels)
  is_known = np.isin(true, present)
  answers, true_index = held_out[is_known] @ kernel + bias, np.searchsorted(present, true[is_known])
  measured = metrics.measure(true_index, answers.argmax(axis=1), len(present))
  probabilities = scipy.special.softmax(answers / _TEMPERATURE, axis=1)
  scores = prediction_sets.fit_scores(probabilities, true_index).tolist()
  output = methods.output_layer(base.variables)
  leaves = {
    f'{output}/kernel': base.variables[f'{output}/kernel'] @ kernel,
    f'{output}/bias': base.variables[f'{output}/bias'] @ kernel + bias,
  }
  pretraining = base.card.pretraining | {'head_validation_macro_f1': measured.macro_f1}
  classes = [list(CLASSES)[n] for n in present]
  means = class_means(logits @ kernel + bias, np.searchsorted(present, labels))
  card = msgspec.structs.replace(
    base.card,
    classes=classes,
    pretraining=pretraining,
    temperature=_TEMPERATURE,
    class_logits=means,
    set_scores=scores,
  )
  return make_base(base.variables | {path: jnp.asarray(leaf) for path, leaf in leaves.items()}, card)


def check_activities(activities: Sequence[str]) -> None:
  """Raises UserError where the activities are of fewer than two of the classes."""
  if len({_group(activity) for activity in activities} - {-1}) < 2:
    raise UserError(f'a head needs two classes; the sources have {", ".join(activities)}')


def _group(activity: str) -> int:
  """Index in CLASSES, or -1."""
  return list(CLASSES).index(NAMES[activity]) if activity in NAMES else -1


def _fit(
  logits: Float[np.ndarray, 'w s'], labels: Int[np.ndarray, 'w']
) -> tuple[Float[np.ndarray, 's y'], Float[np.ndarray, 'y']]:
  """Weights and biases of multinomial logistic regression on the logits; classes weigh equally."""
  from sklearn.linear_model import LogisticRegression  # late: importing it takes a second
  from sklearn.pipeline import make_pipeline
  from sklearn.preprocessing import StandardScaler

  scaler = StandardScaler()
  regression = LogisticRegression(class_weight='balanced', max_iter=1000)
  make_pipeline(scaler, regression).fit(logits, labels)
  coefficients, intercept = regression.coef_, regression.intercept_
  if len(coefficients) == 1:  # two classes have one row
    coefficients, intercept = (np.concatenate([-half, half]) for half in (coefficients / 2, intercept / 2))
  kernel = (coefficients / scaler.scale_).T
  return kernel.astype(np.float32), (intercept - scaler.mean_ @ kernel).astype(np.float32)


def fit_recording_head(sources: Sources, *, seed: int) -> RecordingHead | None:
  """Fits a head to the subjects that pretraining trains on. A subject at one position is one recording.

  A class with n windows at a position of a source weighs as √n. None where no source has walking and
  another activity.
  """
  parts = [part for source in sources.names for part in _read_recordings(sources, source, seed)]
  if len({label for _, labels in parts for label in labels.tolist()}) < 2:
    return None
  features, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
  weights = np.concatenate([1 / np.sqrt(np.bincount(of_part)[of_part]) for _, of_part in parts])
  rng = np.random.default_rng(seed)
  drawn = rng.choice(len(labels), _DRAWN, p=weights / weights.sum())
  return recording_head.fit(features[drawn], labels[drawn], KNOWN_CLASSES, seed=seed)


def _read_recordings(sources: Sources, source: str, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Features and labels of each position of a source, which index KNOWN_CLASSES."""
  windows, held_out = sources.datasets[source].windows, sources.held_out(source)
  groups = [NAMES.get(name, UNKNOWN) for name in windows.meta.activities]
  label = find_labels(groups, KNOWN_CLASSES)[windows.activity]
  rng = np.random.default_rng(seed)
  for position in np.unique(windows.position):
    here = np.flatnonzero((windows.position == position) & ~held_out)
    here = np.sort(rng.permutation(here)[:_PER_POSITION])
    features, labels = [], []
    for subject in np.unique(windows.subject[here]):
      indices = here[windows.subject[here] == subject]
      described = relative_features.describe(windows.signals[indices], windows.meta.windowing.rate_hz)
      relative = described.relative_to(label[indices] == KNOWN_CLASSES.index(WALKING))
      if relative is not None:
        is_labeled = label[indices] >= 0
        features.append(relative[is_labeled])
        labels.append(label[indices][is_labeled])
    if features:
      yield np.concatenate(features), np.concatenate(labels)

"""The head of a base: it recognizes activities without any label of the user.

w windows, s activities of the sources, y classes.
The sources' many activities are grouped, and the groups' output weights are fitted to the logits of the
supervised stage. The encoder does not change.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import msgspec
import numpy as np
import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing
from jaxtyping import Float, Int
from scipy import special

from har_jax import methods
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.files import Base, make_base
from har_jax.recognizer import prediction_sets
from har_jax.train import metrics
from har_jax.train.evaluation import class_means, predict
from har_jax.train.objective import Classify

UNKNOWN = 'unknown'
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
  scores = prediction_sets.fit_scores(special.softmax(answers / _TEMPERATURE, axis=1), true_index).tolist()
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
  scaler = sklearn.preprocessing.StandardScaler()
  regression = sklearn.linear_model.LogisticRegression(class_weight='balanced', max_iter=1000)
  sklearn.pipeline.make_pipeline(scaler, regression).fit(logits, labels)
  coefficients, intercept = regression.coef_, regression.intercept_
  if len(coefficients) == 1:  # two classes have one row
    coefficients, intercept = (np.concatenate([-half, half]) for half in (coefficients / 2, intercept / 2))
  kernel = (coefficients / scaler.scale_).T
  return kernel.astype(np.float32), (intercept - scaler.mean_ @ kernel).astype(np.float32)

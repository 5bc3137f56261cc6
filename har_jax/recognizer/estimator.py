"""Methods that scikit-learn asks of a classifier. To import it would take a second of each start."""

import inspect
from typing import Any

from numpy.typing import ArrayLike


class Estimator:
  """Parameters, score, tags and the check for a fit, as scikit-learn's BaseEstimator and ClassifierMixin.

  An estimator's `__init__` stores each parameter under its own name. No parameter is itself an estimator.
  """

  def get_params(self, deep: bool = True) -> dict[str, Any]:
    """The parameters of `__init__`. deep: no effect."""
    names = list(inspect.signature(type(self)).parameters)
    return {name: getattr(self, name) for name in names}

  def set_params(self, **changed: Any) -> Any:
    """Changes parameters and returns itself. Raises ValueError where one is unknown."""
    names = self.get_params()
    for name, value in changed.items():
      if name not in names:
        raise ValueError(f'{name!r} is no parameter of {type(self).__name__}; one of {", ".join(names)}')
      setattr(self, name, value)
    return self

  def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Accuracy of `predict`."""
    from sklearn.metrics import accuracy_score

    predicted = self.predict(X)  # type: ignore[attr-defined]
    return float(accuracy_score(y, predicted, sample_weight=sample_weight))

  def __sklearn_is_fitted__(self) -> bool:
    return hasattr(self, 'classes_')

  def check_fitted(self) -> None:
    """Raises scikit-learn's NotFittedError before `fit`, which sets `classes_`."""
    if not self.__sklearn_is_fitted__():
      from sklearn.exceptions import NotFittedError

      raise NotFittedError(f'this {type(self).__name__} is not fitted: call fit first')

  def __sklearn_tags__(self) -> Any:
    from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

    return Tags(
      estimator_type='classifier',
      requires_fit=not self.__sklearn_is_fitted__(),  # the bundled base recognizes without
      target_tags=TargetTags(required=True),
      classifier_tags=ClassifierTags(),
      input_tags=InputTags(two_d_array=False, three_d_array=True),
    )

"""The recognizer: scikit-learn's habits, and what it says of windows that are none."""

import copy
import dataclasses
import doctest
import pathlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import har_jax
from har_jax import config, config_fields, files, methods, recognizer
from har_jax.errors import UserError
from har_jax.inference.recognizer import Recognizer
from har_jax.train.objective import Classify

_PER_CLASS = 24
_QUICK = {'rank': 4, 'alpha': 8.0, 'max_steps': 30, 'batch': 16, 'learning_rate': 0.01}

pytestmark = pytest.mark.usefixtures('compiled_fast')


@pytest.fixture(scope='module')
def base(tiny: config.Model, drawn: Callable[[Callable[[jax.Array], Any]], Any]) -> files.Base:
  model = dataclasses.replace(tiny, blocks=1)
  return files.make_base(drawn(Classify(model, 2).init), {'model': config_fields.to_json(model)})


_LABELS = np.tile(np.array(['walking', 'lying', 'still']), _PER_CLASS)
_SUBJECTS = np.repeat(['Ann', 'Bob', 'Cem', 'Dov'], 3 * _PER_CLASS // 4)


def _signals() -> np.ndarray:
  """Lying has gravity along another axis, and walking swings."""
  noise = np.random.default_rng(0).standard_normal((len(_LABELS), 128, 6))
  signals = np.where(_LABELS == 'walking', 3.0, 0.3)[:, None, None] * noise
  signals[..., 2] += np.where(_LABELS == 'lying', 0.0, 9.8)[:, None]
  signals[..., 0] += np.where(_LABELS == 'lying', 9.8, 0.0)[:, None]
  return signals


_SIGNALS = _signals()


@pytest.fixture(scope='module')
def fitted(base: files.Base) -> Recognizer:
  return Recognizer(base, **_QUICK).fit(_SIGNALS, _LABELS, _SUBJECTS)


def test_it_learns_and_says_how_sure_it_is(fitted: Recognizer):
  assert fitted.classes_.tolist() == ['lying', 'still', 'walking']
  assert fitted.score(_SIGNALS, _LABELS) > 0.9
  probabilities = fitted.predict_proba(_SIGNALS[:7])
  assert probabilities.shape == (7, 3)
  np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
  np.testing.assert_array_equal(fitted.predict(_SIGNALS[:7]), fitted.classes_[probabilities.argmax(axis=1)])


def test_it_looks_as_often_as_it_is_told_to(fitted: Recognizer):
  often = copy.copy(fitted).set_params(tta_shifts=4)
  given, once = often.predict_proba(_SIGNALS), fitted.predict_proba(_SIGNALS)
  assert 0 < np.abs(given - once).max() < 0.5
  assert often.score(_SIGNALS, _LABELS) > 0.9
  with pytest.raises(UserError, match='shifts is 0; give 1 or more'):
    often.set_params(tta_shifts=0).predict(_SIGNALS)


def test_a_fit_is_the_same_again_and_another_with_another_seed(base: files.Base, fitted: Recognizer):
  again = clone(fitted).fit(_SIGNALS, _LABELS, _SUBJECTS)
  np.testing.assert_array_equal(again.predict_proba(_SIGNALS), fitted.predict_proba(_SIGNALS))
  other = fitted.adapt(_SIGNALS, _LABELS, _SUBJECTS, random_state=1)
  assert not np.array_equal(other.predict_proba(_SIGNALS), fitted.predict_proba(_SIGNALS))
  assert (fitted.seed, other.seed) == (0, 1)


def test_a_clone_has_the_parameters_and_is_not_fitted(fitted: Recognizer):
  cloned = clone(fitted)
  assert cloned.get_params() == fitted.get_params()
  assert cloned.base is fitted.base
  with pytest.raises(NotFittedError):
    cloned.predict(_SIGNALS)
  with pytest.raises(NotFittedError):
    cloned.save('nowhere')


@pytest.mark.parametrize('name', [name for name in methods.METHODS if name != 'lora'])
def test_every_method_adapts(fitted: Recognizer, name: str):
  adapted = fitted.adapt(_SIGNALS, _LABELS, method=name, max_steps=3)
  assert adapted.adapter_.card['method'] == name
  assert adapted.predict_proba(_SIGNALS).shape == (len(_LABELS), 3)


def test_what_is_saved_predicts_the_same_anywhere(
  base: files.Base, fitted: Recognizer, tmp_path: pathlib.Path
):
  expected = fitted.predict_proba(_SIGNALS)
  fitted.save(tmp_path / 'whole')
  fitted.save(tmp_path / 'alone', with_base=False)
  files.save_base(tmp_path / 'base', base.variables, base.card)
  assert not (tmp_path / 'alone' / 'base.json').exists()
  whole = Recognizer.load(tmp_path / 'whole')
  alone = Recognizer.load(str(tmp_path / 'alone'), base=tmp_path / 'base')
  for loaded in (whole, alone, pickle.loads(pickle.dumps(fitted))):
    np.testing.assert_array_equal(loaded.predict_proba(_SIGNALS), expected)
    assert loaded.predict(_SIGNALS).tolist() == fitted.predict(_SIGNALS).tolist()
  for name in (
    'method',
    'rank',
    'alpha',
    'steps',
    'batch',
    'learning_rate',
    'rotation',
    'shifts',
    'seed',
    'validation',
  ):
    assert getattr(whole, name) == getattr(fitted, name)
  with pytest.raises(UserError, match=f'wants the base with checksum {base.checksum}'):
    Recognizer.load(tmp_path / 'alone')
  unfitted = Recognizer.load(tmp_path / 'base')
  assert unfitted.base.checksum == base.checksum
  assert not hasattr(unfitted, 'classes_')
  with pytest.raises(UserError, match='holds no base'):
    Recognizer.load(tmp_path)


def test_an_adapter_says_how_it_came_about_and_names_nobody(fitted: Recognizer):
  card = fitted.adapter_.card
  assert card['split'] == {'by': 'subject', 'windows': {'train': 54, 'validation': 18}}
  assert 0 < card['metrics']['validation']['macro_f1'] <= 1
  assert card['training']['step'] == 30
  assert card['classes'] == ['lying', 'still', 'walking']
  assert not any(name in str(card) for name in set(_SUBJECTS))
  np.testing.assert_allclose(card['normalizer']['mean'][1], 0.0, atol=0.1)


def test_the_windows_to_choose_by_are_of_other_people_or_of_every_class():
  labels = np.unique(_LABELS, return_inverse=True)[1]
  people = np.unique(_SUBJECTS, return_inverse=True)[1]
  held_out, by = Recognizer()._hold_out(labels, people)
  assert by == 'subject'
  assert len(set(people[held_out])) == 1
  assert not set(people[held_out]) & set(people[~held_out])
  for subject in (None, people % 3):
    held_out, by = Recognizer(validation_fraction=0.25)._hold_out(labels, subject)
    assert by == 'window'
    assert np.bincount(labels[held_out]).tolist() == [6, 6, 6]
  # One person alone shows class 0: whoever is kept apart, it is learned.
  alone = np.where(people == 2, 0, 1)
  for seed in range(8):
    held_out, by = Recognizer(random_state=seed)._hold_out(alone, people)
    assert by == 'subject'
    assert set(alone[~held_out]) == {0, 1}
  # Every class is known of one person alone, so none can be kept apart.
  held_out, by = Recognizer()._hold_out(people, people)
  assert by == 'window'


@pytest.mark.parametrize('parameters', [{}, {'validation': 0}])
def test_without_windows_to_choose_by_the_last_step_is_taken(base: files.Base, parameters: dict[str, Any]):
  few = slice(0, 12 if not parameters else None)  # four of each class
  made = Recognizer(base, **_QUICK | {'max_steps': 3} | parameters).fit(_SIGNALS[few], _LABELS[few])
  card = made.adapter_.card
  assert card['training']['step'] == 3
  assert card['metrics'] == {'validation': None}
  assert card['split']['windows'] == {'train': len(_LABELS[few]), 'validation': 0}
  assert 'none kept apart' in card['split']['by']


def test_in_a_pipeline_with_people_apart_it_is_cross_validated(base: files.Base):
  in_g = _SIGNALS / np.array([9.81] * 3 + [1.0] * 3)
  to_m_s2 = FunctionTransformer(lambda given: given * np.array([9.81] * 3 + [1.0] * 3))
  chain = make_pipeline(to_m_s2, Recognizer(base, **_QUICK))
  scores = cross_val_score(
    chain,
    in_g,
    _LABELS,
    groups=_SUBJECTS,
    cv=GroupKFold(2),
    params={'recognizer__subjects': _SUBJECTS},
    error_score='raise',
  )
  assert scores.shape == (2,)
  assert scores.min() > 0.6


def test_labels_are_numbers_too(base: files.Base, tmp_path: pathlib.Path):
  numbers = np.unique(_LABELS, return_inverse=True)[1] * 10
  made = Recognizer(base, **_QUICK | {'max_steps': np.int64(2), 'rank': np.int64(4)}).fit(_SIGNALS, numbers)
  assert set(made.predict(_SIGNALS)) <= {0, 10, 20}
  made.save(tmp_path)
  loaded = Recognizer.load(tmp_path)
  assert loaded.classes_.tolist() == [0, 10, 20]


_NAN = np.array(_SIGNALS)
_NAN[3, 5, 1] = np.nan
_NAN[4, :, 0] = np.inf


@pytest.mark.parametrize(
  ('signals', 'says'),
  [
    (_SIGNALS[0], r'the windows are \[128, 6\]; give \[w, 128, 6\]: windows of 2.56 s at 50 Hz'),
    (_SIGNALS[:, :100], r'the windows are \[72, 100, 6\]'),
    (_SIGNALS[:, :, :3], r'the windows are \[72, 128, 3\]'),
    (_SIGNALS[:0], r'the windows are \[0, 128, 6\]'),
    (_SIGNALS.astype(str), r'the windows are of str.*, no real numbers'),
    (_SIGNALS + 1j, 'the windows are of complex128'),
    (_NAN, '2 of 72 windows hold a value that is not finite'),
  ],
)
def test_what_is_no_windows_is_refused_with_what_was_given(fitted: Recognizer, signals: Any, says: str):
  with pytest.raises(UserError, match=says):
    fitted.predict(signals)
  with pytest.raises(UserError, match=says):
    clone(fitted).fit(signals, _LABELS)


@pytest.mark.parametrize(
  ('parameters', 'labels', 'subjects', 'says'),
  [
    ({}, _LABELS[:5], None, r'the labels are \[5\], and there are 72 windows'),
    ({}, ['walking'] * 72, None, "all labels are .*'walking'.*two classes"),
    ({}, [None, 'walking'] * 36, None, 'give strings or numbers'),
    ({}, [np.nan, 1.0] * 36, None, 'give strings or numbers'),
    ({}, _LABELS, _SUBJECTS[:5], r'the subjects are \[5\], and there are 72 windows'),
    ({'method': 'lroa'}, _LABELS, None, "unknown method 'lroa'; one of full, probe"),
    ({'base': None}, _LABELS, None, "base is None: give a folder of one, or method='scratch'"),
    ({'base': '/nowhere'}, _LABELS, None, '/nowhere holds no base'),
    ({'rank': 0}, _LABELS, None, 'lora rank is 0; it must be at least 1'),
    ({'max_steps': 0}, _LABELS, None, 'steps is 0; give 1 or more'),
    ({'validation': 1.0}, _LABELS, None, r'validation is 1\.0'),
    ({'rotation': -1.0}, _LABELS, None, 'rotation is -1.0; it must be not negative'),
    ({'learning_rate': -1.0}, _LABELS, None, 'learning_rate is -1.0; it must be not negative'),
  ],
)
def test_a_fit_that_cannot_be_says_why(
  base: files.Base, parameters: dict[str, Any], labels: Any, subjects: Any, says: str
):
  with pytest.raises(UserError, match=says):
    Recognizer(**{'base': base} | _QUICK | parameters).fit(_SIGNALS, labels, subjects)


def test_the_example_in_the_docstring_holds():
  failed, tried = doctest.testmod(recognizer)
  assert (failed, tried > 5) == (0, True)


def test_the_package_gives_it_and_is_imported_at_once():
  assert har_jax.Recognizer is Recognizer
  code = 'import har_jax, sys; assert not {"jax", "sklearn", "numpy"} & set(sys.modules)'
  subprocess.run([sys.executable, '-c', code], check=True)
  with pytest.raises(AttributeError, match="no attribute 'Recognizer'"):
    _ = har_jax.Recognizer

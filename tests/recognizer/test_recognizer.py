"""The recognizer behaves as a scikit-learn classifier, and says what is wrong with its arguments."""

import copy
import dataclasses
import functools
import subprocess
import sys

import msgspec
import numpy as np
import pytest
import scipy.sparse
from labeled_windows import LABELS, SIGNALS, SUBJECTS
from scipy import special
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

import har_jax
from har_jax import config, config_fields, files, methods, records
from har_jax.errors import UserError
from har_jax.recognizer import frame_check, recording_adaptation, validation
from har_jax.recognizer.calibration import calibrate
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import Reading
from har_jax.timeline import warnings_for
from har_jax.train.objective import Classify


def test_it_learns_and_gives_probabilities(fitted):
  assert fitted.classes_.tolist() == ['lying', 'still', 'walking']
  assert fitted.score(SIGNALS, LABELS) > 0.9
  probabilities = fitted.predict_proba(SIGNALS[:7])
  assert probabilities.shape == (7, 3)
  np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
  np.testing.assert_array_equal(fitted.predict(SIGNALS[:7]), fitted.classes_[probabilities.argmax(axis=1)])


def test_a_recognizer_has_these_parameters_if_none_are_given():
  assert Recognizer().get_params() == {
    **{'base': None, 'method': 'auto', 'rank': 8, 'alpha': 16.0, 'max_steps': 300, 'learning_rate': 0.001},
    **{'batch': 32, 'rotation_std_deg': 10.0, 'random_state': 0, 'validation_fraction': 0.0},
    **{'tta_shifts': 1, 'verbose': False},
    **{'max_memory_mb': None, 'max_minutes': None, 'max_adapter_kb': None},
  }


def test_windows_are_checked_at_the_rate_of_the_base_before_a_fit(base, monkeypatch):
  rates_hz = []

  def fit_warnings(signals, rate_hz):
    rates_hz.append(rate_hz)
    raise UserError('seen')

  monkeypatch.setattr(frame_check, 'fit_warnings', fit_warnings)
  card = msgspec.structs.replace(base.card, model=dataclasses.replace(base.model, rate_hz=25))
  with pytest.raises(UserError, match='seen'):
    Recognizer(dataclasses.replace(base, card=card)).fit(SIGNALS, LABELS)
  assert rates_hz == [25]


def test_test_time_augmentation_changes_probabilities(fitted):
  shifted = copy.copy(fitted).set_params(tta_shifts=4)
  difference = np.abs(shifted.predict_proba(SIGNALS) - fitted.predict_proba(SIGNALS)).max()
  assert 0 < difference < 0.5
  assert shifted.score(SIGNALS, LABELS) > 0.9
  with pytest.raises(UserError, match='tta_shifts is 0'):
    shifted.set_params(tta_shifts=0).predict(SIGNALS)


@pytest.mark.slow
def test_the_random_state_decides_the_fit(fitted):
  again = clone(fitted).fit(SIGNALS, LABELS, SUBJECTS)
  np.testing.assert_array_equal(again.predict_proba(SIGNALS), fitted.predict_proba(SIGNALS))
  other = fitted.adapt(SIGNALS, LABELS, SUBJECTS, random_state=1)
  assert not np.array_equal(other.predict_proba(SIGNALS), fitted.predict_proba(SIGNALS))
  assert (fitted.random_state, other.random_state) == (0, 1)


def test_a_clone_has_the_parameters_and_is_not_fitted(fitted):
  cloned = clone(fitted)
  assert cloned.get_params() == fitted.get_params()
  assert cloned.base is fitted.base
  with pytest.raises(NotFittedError):
    cloned.predict(SIGNALS)
  with pytest.raises(NotFittedError):
    cloned.save('nowhere')
  assert get_tags(cloned).requires_fit
  assert not get_tags(Recognizer.load()).requires_fit
  assert (get_tags(cloned).input_tags.two_d_array, get_tags(cloned).input_tags.three_d_array) == (False, True)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['adalora', 'qpartial', 'prompt'])
def test_every_method_adapts(fitted, name):
  adapted = fitted.adapt(SIGNALS, LABELS, method=name, max_steps=3)
  assert adapted.adapter_.card.method == name
  assert adapted.predict_proba(SIGNALS).shape == (len(LABELS), 3)


def test_an_adapter_has_its_history_and_no_subject(fitted):
  card = fitted.adapter_.card
  assert card.split == records.Split(**{'by': 'subject', 'windows': {'train': 54, 'validation': 18}})
  assert 0 < card.metrics['validation']['macro_f1'] <= 1
  assert records.to_json(card.training) == {
    **{'max_steps': 30, 'learning_rate': 0.01, 'batch': 16, 'rotation_std_deg': 0.0, 'random_state': 0},
    **{'validation_fraction': 0.1, 'tta_shifts': 1, 'step': 30},
  }
  assert card.classes == ['lying', 'still', 'walking']
  assert not any(name in str(card) for name in set(SUBJECTS))
  np.testing.assert_allclose(card.normalizer.mean[1], 0.0, atol=0.1)
  assert card.normalizer.deviation[0] != 9.80665  # the base has no stem
  assert 'lora/encoder/embed/a' in fitted.adapter_.variables


def test_without_validation_the_last_step_is_kept(unfitted):
  card = unfitted.adapt(SIGNALS, LABELS, max_steps=3, validation_fraction=0).adapter_.card
  assert card.training.step == 3
  assert card.metrics == {'validation': None}
  assert card.split == records.Split(**{'by': 'none', 'windows': {'train': 72, 'validation': 0}})


def test_by_default_all_windows_are_trained_on(base):
  fitted = Recognizer(base, method='linear').fit(SIGNALS, LABELS, SUBJECTS)
  assert fitted.adapter_.card.split.windows == {'train': 72, 'validation': 0}


def test_held_out_windows_are_not_trained_on(unfitted):
  held_out = np.arange(72) >= 54
  card = clone(unfitted).set_params(max_steps=1).fit(SIGNALS, LABELS, held_out=held_out).adapter_.card
  assert card.split == records.Split(**{'by': 'held_out', 'windows': {'train': 54, 'validation': 18}})
  train = SIGNALS[~held_out].reshape(-1, 2, 3)
  np.testing.assert_allclose(card.normalizer.mean, train.mean(axis=(0, 2)), atol=1e-5)


@pytest.mark.parametrize(
  ('held_out', 'message'),
  [
    (np.arange(5) > 2, r'held_out is \[5\] of bool'),
    (np.arange(72), r'held_out is \[72\] of int64'),
    (LABELS == 'walking', 'held_out has all windows of a class'),
  ],
)
def test_an_unusable_held_out_mask_is_an_error(unfitted, held_out, message):
  with pytest.raises(UserError, match=message):
    clone(unfitted).fit(SIGNALS, LABELS, held_out=held_out)


def test_rotation_is_ignored_if_no_training_window_has_it(fitted):
  without = SIGNALS.copy()
  without[..., 3:] = 0.0
  acc_only = fitted.adapt(without, LABELS, method='probe', max_steps=3)
  assert (fitted.has_gyro, acc_only.has_gyro) == (True, False)
  np.testing.assert_array_equal(acc_only.predict_proba(SIGNALS), acc_only.predict_proba(without))
  (ignored,) = warnings_for(acc_only, Reading([], [], [], '', True))
  assert 'the gyroscope of this recording is ignored' in ignored


@pytest.mark.slow
def test_a_base_with_a_stem_takes_physical_units(tiny, drawn, tmp_path):
  model = dataclasses.replace(tiny, depth=1, patch_size=4, stem=(8, 16), pooling='statistics')
  base = files.make_base(drawn(Classify(model, 2).init), {'model': config_fields.to_json(model)})
  unfitted = Recognizer(base, method='qlora', rank=4, max_steps=2, batch=16, rotation_std_deg=0.0)
  adapted = unfitted.fit(SIGNALS, LABELS, SUBJECTS)
  assert adapted.adapter_.card.normalizer == records.Normalizer([0.0, 0.0], [9.80665, 1.0])
  assert 'lora/encoder/embed/down_0/a' in adapted.adapter_.variables
  adapted.save(tmp_path)
  loaded = Recognizer.load(tmp_path)
  np.testing.assert_array_equal(loaded.predict_proba(SIGNALS), adapted.predict_proba(SIGNALS))


@pytest.mark.slow
def test_from_scratch_the_default_model_with_its_stem_learns_and_is_saved(tmp_path, monkeypatch):
  small = {'width': 24, 'mlp_dim': 48, 'depth': 1, 'num_heads': 2, 'patch_size': 4, 'stem': (8, 16)}
  smaller = dataclasses.replace(config.Experiment().model, **small)
  monkeypatch.setattr(config, 'Experiment', functools.partial(config.Experiment, model=smaller))
  without_gyro = SIGNALS.copy()
  without_gyro[..., 3:] = 0
  unfitted = Recognizer(method='scratch', max_steps=20, batch=16, rotation_std_deg=0.0)
  fitted = unfitted.fit(without_gyro, LABELS, SUBJECTS)
  card = fitted.adapter_.card
  assert card.model == methods.with_linear_head(config.Experiment().model)
  assert card.normalizer.deviation[0] == 9.80665
  assert fitted.base_ is None
  assert not fitted.has_gyro
  assert fitted.score(without_gyro, LABELS) > 0.6
  np.testing.assert_array_equal(fitted.predict_proba(SIGNALS), fitted.predict_proba(without_gyro))
  fitted.save(tmp_path)
  loaded = Recognizer.load(tmp_path)
  assert (loaded.method, loaded.base_) == ('scratch', None)
  np.testing.assert_array_equal(loaded.predict_proba(SIGNALS), fitted.predict_proba(SIGNALS))


@pytest.mark.slow
def test_it_is_cross_validated_by_subject_in_a_pipeline(unfitted):
  g_per_unit = np.array([9.81] * 3 + [1.0] * 3)
  to_m_s2 = FunctionTransformer(lambda signals: signals * g_per_unit)
  pipeline, options = make_pipeline(to_m_s2, unfitted), {'cv': GroupKFold(2), 'error_score': 'raise'}
  params = {'recognizer__groups': SUBJECTS}
  scores = cross_val_score(pipeline, SIGNALS / g_per_unit, LABELS, groups=SUBJECTS, params=params, **options)
  assert scores.shape == (2,)
  assert scores.min() > 0.6


def test_windows_labels_and_parameters_may_be_other_numbers(unfitted, tmp_path):
  numbers = np.array([9, 10, 100])[np.unique(LABELS, return_inverse=True)[1]]  # as text, 9 would be last
  recognizer = unfitted.adapt(SIGNALS, numbers, max_steps=np.int64(2), rank=np.int64(4))
  for windows in (SIGNALS, SIGNALS.astype(int).tolist()):
    assert set(recognizer.predict(windows)) <= {9, 10, 100}
  assert calibrate(recognizer, SIGNALS, numbers).accuracy == recognizer.score(SIGNALS, numbers)
  recognizer.save(tmp_path)
  assert Recognizer.load(tmp_path).classes_.tolist() == [9, 10, 100]


_NOT_FINITE = np.array(SIGNALS)
_NOT_FINITE[3, 5, 1] = np.nan
_NOT_FINITE[4, :, 0] = np.inf
_HUGE = np.array(SIGNALS, np.float64)
_HUGE[[2, 3, 4], 0, 0] = -1e7, 1e30, 1e39  # the last one is infinite in float32


@pytest.mark.parametrize(
  ('signals', 'message'),
  [
    (SIGNALS[0], r'\[128, 6\]; give \[w, 128, 6\]'),
    (SIGNALS[:, :100], r'\[72, 100, 6\]'),
    (SIGNALS[:, :, :3], r'\[72, 128, 3\]'),
    (SIGNALS[:0], r'\[0, 128, 6\]'),
    (SIGNALS.astype(str), r'the windows are str'),
    (SIGNALS + 1j, 'the windows are complex128'),
    (_NOT_FINITE, '2 of 72 windows'),
    (_HUGE, '3 of 72 windows'),
  ],
)
def test_arrays_that_are_no_windows_are_errors(fitted, signals, message):
  with pytest.raises(UserError, match=message):
    fitted.predict(signals)
  with pytest.raises(UserError, match=message):
    clone(fitted).fit(signals, LABELS)


def test_sparse_windows_are_an_error():
  with pytest.raises(UserError, match='the windows are sparse, a csr_array'):
    validation.check_windows(scipy.sparse.csr_array(SIGNALS[0]), config.DEFAULT_WINDOWING)


def test_texts_of_numpy_in_a_list_or_among_objects_are_labels():
  for labels in ([*LABELS], np.array([*LABELS], object)):
    classes, _ = validation.check_labels(labels, len(LABELS))
    assert set(map(type, classes.tolist())) == {str}


@pytest.mark.parametrize(
  ('parameters', 'labels', 'groups', 'message'),
  [
    ({}, LABELS[:5], None, r'the labels are \[5\]'),
    ({}, ['walking'] * 72, None, "'walking'.*two classes"),
    ({}, [None, 'walking'] * 36, None, 'give strings or numbers'),
    ({}, [np.nan, 1.0] * 36, None, 'give strings or numbers'),
    *(({}, [blank, 'walking'] * 36, None, f'have {blank!r}.* leave out') for blank in ('', ' ', 'nan')),
    ({}, [True, False] * 36, None, 'the labels have (True|False); give strings'),
    ({}, np.array([1, 'walking'] * 36, object), None, 'the labels are strings and numbers'),
    ({}, [1, 'walking'] * 36, None, 'the labels are strings and numbers'),
    ({}, LABELS, np.array([1, 'ana', 2] * 24, object), 'the groups are strings and numbers'),
    ({}, LABELS, [None, 'ana', 'ben'] * 24, 'the groups have None'),
    ({}, LABELS, [np.nan, 1.0, 2.0] * 24, 'the groups have nan'),
    ({'tta_shifts': 0}, LABELS, None, 'tta_shifts is 0; give 1 or more'),
    ({}, LABELS, SUBJECTS[:5], r'the groups are \[5\]'),
    ({'method': 'lroa'}, LABELS, None, "'lroa'; one of full, scratch"),
    ({'base': '/nowhere'}, LABELS, None, 'no such folder: /nowhere'),
    ({}, [0.5, 1.5] * 36, None, 'continuous, such as 0.5'),
    ({'rank': 0}, LABELS, None, 'rank is 0'),
    ({'batch': 2.5}, LABELS, None, 'batch is 2.5; give a whole number'),
    ({'batch': 10**9}, LABELS, None, 'batch is 1000000000; it must be at least 1 and at most 100,000'),
    ({'max_steps': 0}, LABELS, None, 'max_steps is 0'),
    ({'random_state': 2**32}, LABELS, None, 'random_state is 4294967296; give a whole number'),
    ({'validation_fraction': 1.0}, LABELS, None, r'validation_fraction is 1\.0'),
    ({'rotation_std_deg': -1.0}, LABELS, None, 'rotation_std_deg is -1.0'),
  ],
)
def test_invalid_arguments_of_a_fit_are_named(unfitted, parameters, labels, groups, message):
  with pytest.raises(UserError, match=message):
    unfitted.adapt(SIGNALS, labels, groups, **parameters)


@pytest.mark.slow
def test_the_package_exports_it_and_imports_nothing_heavy():
  assert har_jax.Recognizer is Recognizer
  late = '"sklearn", "scipy", "pandas", "orbax", "grain", "matplotlib"'
  code = (
    'import har_jax, sys; assert not {"jax", "numpy"} & set(sys.modules);'
    f'import har_jax.recognizer.recognizer; print({{{late}}} & set(sys.modules))'
  )
  done = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True)
  assert done.stdout == 'set()\n'
  assert {*har_jax.__all__, 'recognize'} <= {*dir(har_jax)}
  assert all(getattr(har_jax, name).__module__.startswith('har_jax.') for name in har_jax.__all__)
  with pytest.raises(AttributeError, match='Recogniser'):
    _ = har_jax.Recogniser


def test_windows_of_a_recording_are_answered_together(fitted, monkeypatch):
  """By probabilities in which one recording's windows have all moved towards another class."""
  recordings = np.arange(len(SIGNALS)) % 2
  logits = 2.0 * np.eye(3)[np.unique(LABELS, return_inverse=True)[1]] + np.outer(recordings, [2.5, 0.0, 0.0])
  logits += 0.3 * np.random.default_rng(0).standard_normal(logits.shape)
  probabilities, class_logits = special.softmax(logits, axis=1), 2.0 * np.eye(3)
  monkeypatch.setattr(Recognizer, 'predict_proba', lambda self, X: probabilities)
  monkeypatch.setattr(Recognizer, 'class_logits', class_logits)
  expected = recording_adaptation.adapt_to_recordings(probabilities, class_logits, recordings).argmax(axis=1)
  together = fitted.predict_recordings(SIGNALS, recordings)
  np.testing.assert_array_equal(together, fitted.classes_[expected])
  whole = recording_adaptation.adapt_to_recording(probabilities, class_logits).argmax(axis=1)
  np.testing.assert_array_equal(fitted.predict_recordings(SIGNALS), fitted.classes_[whole])
  assert (whole != probabilities.argmax(axis=1)).any()
  assert (whole != expected).any()
  with pytest.raises(UserError, match='give one recording per window'):
    fitted.predict_recordings(SIGNALS, [0, 1])


def test_a_recording_adapts_at_a_temperature_of_its_own(fitted):
  """Probabilities at a temperature of 2 are adapted at 0.5: as logits four times as large."""
  recognizer, rng = copy.copy(fitted), np.random.default_rng(0)
  logits, class_logits = rng.standard_normal((40, 3)), 2.0 * np.eye(3)
  entries = {'class_logits': class_logits.tolist(), 'temperature': 2.0, 'adaptation_temperature': 0.5}
  recognizer.adapter_ = fitted.adapter_.with_card(**entries)
  adapted = recognizer.adapt_probabilities(special.softmax(logits / 2, axis=1), np.zeros(40))
  sharp = special.softmax(logits / 0.5, axis=1)
  np.testing.assert_allclose(adapted, recording_adaptation.adapt_to_recording(sharp, class_logits / 0.5))
  assert np.abs(adapted - sharp).max() > 0.1

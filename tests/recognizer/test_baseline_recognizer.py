"""A recognizer whose method is a baseline answers as that baseline does, wherever a recognizer answers."""

import copy
import types

import numpy as np
import pandas as pd
import pytest
from labeled_windows import LABELS, SIGNALS, SUBJECTS
from sklearn.base import clone
from small_baselines import small_baselines  # noqa: F401

import har_jax
from har_jax import export, records
from har_jax.baselines import BASELINES, forest
from har_jax.config import Windowing
from har_jax.errors import UserError
from har_jax.recognizer import comparison
from har_jax.recognizer.calibration import calibrate
from har_jax.recognizer.recognizer import Recognizer
from har_jax.stream.stream import Stream
from har_jax.timeline import adaptation

_HELD_OUT = SUBJECTS == 'Dov'
_CLASSES, _INDICES = np.unique(LABELS, return_inverse=True)


@pytest.fixture(scope='module')
def grown(base) -> Recognizer:
  return Recognizer(base, method='forest').fit(SIGNALS, LABELS, held_out=_HELD_OUT)


@pytest.fixture(scope='module')
def recording() -> pd.DataFrame:
  """Half a minute of each activity."""
  rng = np.random.default_rng(1)
  order = np.repeat(['walking', 'lying', 'still'], 1500)
  signals = np.where(order == 'walking', 3.0, 0.3)[:, None] * rng.standard_normal((4500, 6))
  signals[np.arange(4500), np.where(order == 'lying', 0, 2)] += 9.8
  frame = pd.DataFrame(signals, columns=['ax', 'ay', 'az', 'gx', 'gy', 'gz'])
  return frame.assign(time_s=np.arange(4500) / 50, label=order)


@pytest.mark.parametrize(
  'name', [pytest.param(name, marks=pytest.mark.slow if name == 'rocket' else ()) for name in BASELINES]
)
def test_it_answers_as_the_baseline_before_and_after_it_is_saved(base, name, tmp_path):
  recognizer = Recognizer(base, method=name, random_state=3).fit(SIGNALS, LABELS, held_out=_HELD_OUT)
  train = SIGNALS[~_HELD_OUT].astype(np.float32)
  plain = BASELINES[name](3).fit(train, _INDICES[~_HELD_OUT].astype(np.int32))
  expected = plain.predict_proba(SIGNALS.astype(np.float32))
  probabilities = recognizer.predict_proba(SIGNALS)
  np.testing.assert_allclose(probabilities, expected, atol=4e-4)  # none is 0
  assert recognizer.predict(SIGNALS).tolist() == _CLASSES[expected.argmax(axis=1)].tolist()
  recognizer.save(tmp_path / 'saved')
  loaded = Recognizer.load(tmp_path / 'saved')
  np.testing.assert_array_equal(loaded.predict_proba(SIGNALS), probabilities)
  assert loaded.get_params() == recognizer.get_params() | {'base': loaded.base}
  assert clone(loaded).method == name


def test_a_comparison_has_the_same_answers_and_does_not_fit_it_twice(base, grown, monkeypatch):
  made_with = []

  def spied(*arguments: int) -> forest.Forest:
    made_with.append(arguments)
    return forest.Forest(*arguments)

  fit_installed, rates_hz = comparison.fit_installed, []

  def timed(X, y, seed, rate_hz, **options):
    rates_hz.append(rate_hz)
    fitted, _, missing = fit_installed(X, y, seed, rate_hz, **options)
    return fitted, {'forest': 5.0, 'rocket': 7.0}, missing

  monkeypatch.setitem(BASELINES, 'forest', spied)
  monkeypatch.setattr(comparison, 'fit_installed', timed)
  linear = Recognizer(base, method='linear', random_state=3).fit(SIGNALS, LABELS, held_out=_HELD_OUT)
  made = comparison.compare(linear, SIGNALS, LABELS, _HELD_OUT, 1.0)
  (in_comparison,) = (score for score in made.baselines if score.model == 'forest')
  is_correct = grown.predict(SIGNALS[_HELD_OUT]) == LABELS[_HELD_OUT]
  np.testing.assert_array_equal(in_comparison.is_correct, is_correct)
  assert made_with == [(3, 50)]  # seed and rate
  assert {score.model: score.seconds for score in made.scores} == {
    'linear': 1.0,
    'forest': 5.0,
    'rocket': 7.0,
  }
  monkeypatch.setattr(Recognizer, 'windowing', property(lambda _: Windowing(rate_hz=25)))
  others = comparison.compare(grown, SIGNALS, LABELS, _HELD_OUT, 1.0)
  assert [score.model for score in others.scores] == ['forest', 'rocket']
  assert rates_hz == [50, 25]
  assert 'the best other baseline' in others.sentences[-1]
  assert comparison.Comparison(others.adapted, [], ['rocket needs aeon']).sentences == ['rocket needs aeon']


def test_its_card_has_its_history(base, grown):
  card = grown.adapter_.card
  assert card.split == records.Split(by='held_out', windows={'train': 54, 'validation': 18})
  assert card.metrics['validation']['accuracy'] == grown.score(SIGNALS[_HELD_OUT], LABELS[_HELD_OUT])
  assert card.fitted_with.keys() == {'scikit-learn', 'jax', 'har_jax'}
  assert not any(name in str(card) for name in set(SUBJECTS))
  alone = Recognizer(base, method='forest', validation_fraction=0).fit(SIGNALS, LABELS)
  assert alone.adapter_.card.metrics == {'validation': None}


def test_parameters_of_networks_change_nothing(base, grown):
  again = Recognizer(base, method='forest', max_steps=1, rank=2)
  again.fit(SIGNALS, LABELS, held_out=_HELD_OUT)
  np.testing.assert_array_equal(again.predict_proba(SIGNALS), grown.predict_proba(SIGNALS))


def test_without_a_gyroscope_in_training_it_ignores_that_of_others(base):
  still = SIGNALS.copy()
  still[..., 3:] = 0
  recognizer = Recognizer(base, method='forest', validation_fraction=0).fit(still, LABELS)
  assert not recognizer.has_gyro
  np.testing.assert_array_equal(recognizer.probabilities(SIGNALS), recognizer.probabilities(still))


def test_it_is_calibrated_with_sets_and_without_refusals(grown, tmp_path):
  calibrated = copy.copy(grown)
  before = calibrated.predict(SIGNALS)
  assert calibrate(calibrated, SIGNALS[_HELD_OUT], LABELS[_HELD_OUT]).temperature != 1
  assert calibrated.predict(SIGNALS).tolist() == before.tolist()
  sets = calibrated.predict_set(SIGNALS)
  assert sets[np.arange(len(sets)), _INDICES].mean() > 0.9
  assert sets.sum(axis=1).mean() < 2
  assert calibrated.unknown_scores == []
  calibrated.save(tmp_path)
  np.testing.assert_array_equal(Recognizer.load(tmp_path).predict_set(SIGNALS), sets)


def test_what_needs_a_network_is_refused_with_what_to_do(grown, recording, tmp_path):
  refused = 'forest is a baseline: .*Adapt with the method linear'
  with pytest.raises(UserError, match=refused):
    export.make(grown, 'stablehlo')
  with pytest.raises(UserError, match=refused):
    har_jax.recognize(recording, grown, refusal_rate=0.1)
  stream = Stream(grown)
  stream.push(SIGNALS[0])
  with pytest.raises(UserError, match=refused):
    stream.correct('lying')
  with pytest.raises(UserError, match=refused):
    stream.to_recognizer()
  with pytest.raises(
    UserError, match='method=forest has no limits, and max_minutes is given: give method=auto'
  ):
    grown.adapt(SIGNALS, LABELS, max_minutes=1)


def test_a_stream_answers_as_the_windows_alone(grown):
  samples = SIGNALS[:6].reshape(-1, 6)
  predictions = Stream(grown, hop_s=2.56, mean_bout_s=0, frame='as_is').push(samples)
  probabilities = grown.probabilities(SIGNALS[:6])
  assert [each.activity for each in predictions] == _CLASSES[probabilities.argmax(axis=1)].tolist()
  np.testing.assert_allclose([each.confidence for each in predictions], probabilities.max(axis=1), rtol=1e-6)


def test_recordings_are_adapted_to_and_recognized_with_it(base, recording, tmp_path):
  adapted = har_jax.adapt(recording, base=base, method='forest', rank=5, progress=True)
  assert adapted.recognizer.verbose
  assert adapted.recognizer.alpha == 10  # twice the rank
  assert adapted.scores.index.tolist() == ['forest', 'rocket']
  tested = adapted.validation[['training', 'validation']].to_numpy().sum()
  labeled = adapted.recognizer.variables_['baseline/labels']  # those held out, and those that overlap them
  assert len(labeled) == tested + adapted.left_out[adaptation.OVERLAPPING]
  assert adapted.left_out[adaptation.OVERLAPPING] > 0
  adapted.save(tmp_path)
  answers, loaded = (
    har_jax.recognize(recording.drop(columns='label'), adapter) for adapter in (adapted, tmp_path)
  )
  pd.testing.assert_frame_equal(loaded.windows, answers.windows)
  assert answers.summary['adapter']['method'] == 'forest'
  truth = recording['label'].to_numpy()[((answers.windows['time_s'] + 1.28) * 50).astype(int)]
  assert (answers.windows['activity'] == truth).mean() > 0.9


def test_other_versions_are_a_warning_of_the_recording(grown, recording):
  older = copy.copy(grown)
  older.adapter_ = grown.adapter_.with_card(fitted_with={'scikit-learn': '0.1'})
  (sentence,) = (
    sentence for sentence in har_jax.recognize(recording, older).warnings if 'scikit-learn 0.1' in sentence
  )
  assert 'adapt again' in sentence
  assert not any('scikit-learn' in sentence for sentence in har_jax.recognize(recording, grown).warnings)


def test_a_parameter_is_checked_before_the_recording_is_read(base, tmp_path):
  with pytest.raises(UserError, match=r"unknown method 'forrest'; one of full, .*, forest, rocket, auto"):
    har_jax.adapt(tmp_path / 'nowhere.csv', base=base, method='forrest')


def test_nothing_is_held_out_of_files_of_its_own_and_a_recognizer_has_its_base(base, recording):
  adapted = har_jax.adapt(recording, base=base, method='forest', validation_fraction=0)
  assert not adapted.recognizer.verbose
  assert not adapted.are_files_apart
  with pytest.raises(UserError, match='leave base out'):
    har_jax.recognize(recording, adapted, base='runs/base')


@pytest.mark.parametrize(
  ('parts', 'are_apart'),
  [
    ([('walking', 384)], False),
    ([('walking', 384), ('lying', 384), ('still', 384)], True),
    # The first part is trained on. A gap makes it a recording of its own, but it is of the same file.
    ([('walking', 384), ('', 500), ('walking', 512), ('lying', 384), ('still', 384)], False),
  ],
)  # of each activity, the last four to seven windows are held out
def test_files_are_apart_if_none_has_windows_of_both_parts(
  base, recording, tmp_path, monkeypatch, parts, are_apart
):
  recording.to_csv(tmp_path / 'a.csv', index=False)
  more = pd.concat(
    [recording[recording['label'] == (name or 'still')][:size].assign(label=name) for name, size in parts]
  )
  more = more.assign(time_s=np.arange(len(more)) / 50)
  more[more['label'] != ''].to_csv(tmp_path / 'b.csv', index=False)

  def compare(recognizer, signals, activities, held_out, seconds):
    assert len(recognizer.variables_['baseline/labels']) == (~held_out).sum()  # not fitted to them yet
    is_correct = np.ones(held_out.sum(), bool)
    return types.SimpleNamespace(scores=[], adapted=types.SimpleNamespace(is_correct=is_correct))

  monkeypatch.setattr(comparison, 'compare', compare)
  calibrated = []

  def calibrate(recognizer, *given):
    calibrated.append((len(recognizer.variables_['baseline/labels']), *given))

  monkeypatch.setattr(adaptation, 'calibrate', calibrate)
  adapted = har_jax.adapt(tmp_path, base=base, method='forest')
  validation = adapted.validation
  assert adapted.are_files_apart == are_apart
  ((fitted_to, signals, activities, recording_of_window),) = calibrated
  assert fitted_to == validation['training'].sum()
  assert len(signals) == validation['validation'].sum()
  assert (recording_of_window == 0).tolist() == [activity not in dict(parts) for activity in activities]

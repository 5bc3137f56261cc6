"""An ensemble: weights by a general minimizer, and runs from a finished LoRA run and the baselines."""

import types
from typing import Any

import msgspec
import numpy as np
import pytest
from lodo_studies import LORA, QUIET, always_first, as_record, run, spec_of, target_of, with_altered
from scipy import optimize, special

from har_jax import config, files, records, results, storage
from har_jax.experiments import fitting, job_lock, kinds

_ENSEMBLE = 'alpha/ensemble/subject/labels-0.7/seed0.json'
_NAMES = ('encoder', 'forest', 'rocket')


def _drawn(windows: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
  """Probabilities of three members, the last of which is best, and labels of three classes."""
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 3, windows)
  logits = rng.standard_normal((3, windows, 3)) + np.eye(3)[labels] * np.array([0.5, 1.0, 2.0])[:, None, None]
  return dict(zip(_NAMES, special.softmax(logits, axis=2), strict=True)), labels


@pytest.mark.parametrize('windows', [40, 2000])
def test_weights_minimize_the_log_loss_with_a_prior_of_100_windows_at_2_1_1(windows):
  members, labels = _drawn(windows)
  likelihood = np.stack([member[np.arange(windows), labels] for member in members.values()])

  def loss(free: np.ndarray) -> float:
    weights = special.softmax(np.r_[0.0, free])
    return -np.log(weights @ likelihood).sum() - 100 * np.array([0.5, 0.25, 0.25]) @ np.log(weights)

  expected = special.softmax(np.r_[0.0, optimize.minimize(loss, np.zeros(2), tol=1e-10).x])
  fitted = fitting._fit_weights(members, labels)
  assert [fitted[name] for name in _NAMES] == pytest.approx(expected, abs=1e-4)
  assert (fitted['rocket'] > 0.5) == (windows == 2000)


def test_without_windows_the_weights_are_2_1_1():
  none = np.empty((0, 3))
  temperature, weights = fitting.fit_members(none, {'forest': none, 'rocket': none}, np.empty(0, int))
  assert (temperature, weights) == (1.0, {'encoder': 0.5, 'forest': 0.25, 'rocket': 0.25})


def test_an_overconfident_encoder_gets_its_temperature_before_it_is_weighted():
  members, labels = _drawn(2000)
  others = {'forest': members['forest'], 'rocket': members['encoder']}
  logits = np.log(members['rocket'])  # the best member
  plain, expected = fitting.fit_members(logits, others, labels)
  temperature, weights = fitting.fit_members(5 * logits, others, labels)
  assert temperature == pytest.approx(5 * plain, rel=1e-2)
  assert weights == pytest.approx(expected, abs=1e-2)


def test_the_mean_is_weighted_by_member():
  members = {'encoder': np.array([[1.0, 0.0]]), 'forest': np.array([[0.2, 0.8]])}
  np.testing.assert_allclose(fitting.average(members, {'encoder': 0.75, 'forest': 0.25}), [[0.8, 0.2]])


@pytest.fixture(scope='module')
def made(runs, study_of, out) -> dict:
  """The result of the ensemble of the finished LoRA run, which is not trained again."""
  with pytest.MonkeyPatch.context() as patched:
    for module in ('adaptation.loop', 'stages'):
      patched.setattr(f'har_jax.experiments.{module}.train', lambda *_, **__: pytest.fail('trained again'))
    results = run(study_of(out, methods=('lora', 'ensemble')))
  assert list(results) == [LORA, _ENSEMBLE]
  assert storage.read(out / _ENSEMBLE) == results[_ENSEMBLE]
  return results[_ENSEMBLE]


class _Forest:
  """Answers the first class; ten numbers of four bytes."""

  arrays = (np.zeros((2, 5), np.float32),)

  def __init__(self, random_state: int, rate_hz: int):
    assert (random_state, rate_hz) == (0, 50)

  def fit(self, X: np.ndarray, y: np.ndarray) -> None: ...

  def predict_proba(self, X: np.ndarray) -> np.ndarray:
    return np.tile([0.6, 0.2, 0.2], (len(X), 1))


def test_its_encoder_answers_both_parts_with_its_temperature(study_of, tmp_path, monkeypatch):
  study = study_of(tmp_path, protocol={'tta_shifts': 3})
  spec, of_lora = spec_of(study, 'ensemble'), spec_of(study)
  lora = msgspec.structs.replace(
    always_first(of_lora, {}, QUIET),
    collections=['lora'],
    starts_from='../pretrain',
    parameters=records.Counted(trainable=20, total=300),
    bytes=records.Bytes(frozen={'params': 8}, trainable={'lora': 16}),
    seconds={'training': 9000.0, 'pretraining': 5.0},
  )
  job_lock.write(of_lora.result, lora)
  asked, answers, average = [], [], fitting.average

  def predict(objective: str, whole: str, windows: Any, *, tta_shifts: int) -> np.ndarray:
    """Much too sure: every third window is wrong."""
    asked.append((objective, whole, tta_shifts, len(windows['label'])))
    shown = (windows['label'] + (np.arange(len(windows['label'])) % 3 == 0)) % 3
    return 20 * np.eye(3, dtype=np.float32)[shown]

  adapter = types.SimpleNamespace(objective='objective')
  monkeypatch.setattr(files, 'load_run', lambda path: {of_lora.result: ('base', adapter)}[path])
  monkeypatch.setattr(files, 'attach', lambda *both: 'attached' if both == ('base', adapter) else 'mixed up')
  monkeypatch.setattr(fitting, 'predict', predict)
  monkeypatch.setattr(fitting, 'BASELINES', {'forest': _Forest})
  monkeypatch.setattr(
    fitting, 'average', lambda members, weights: answers.append(members) or average(members, weights)
  )
  result = kinds.find('ensemble').run([spec], {}, QUIET)[0]
  # The validation part is answered to fit, and then both parts.
  assert asked == [('objective', 'attached', 3, count) for count in (18, 18, 36)]
  ensemble = result.ensemble
  assert ensemble is not None
  # Of 18 windows 12 are right, and a right answer counts as 19 of 20, a wrong one as half of the rest.
  sure = np.exp(20 / ensemble.encoder_temperature)
  assert sure / (sure + 2) == pytest.approx((12 * 19 / 20 + 6 / 40) / 18, abs=1e-3)
  np.testing.assert_allclose(np.sort(answers[-1]['encoder'])[:, -1], sure / (sure + 2), rtol=1e-6)
  assert answers[-1].keys() == ensemble.weights.keys() == {'encoder', 'forest'}
  assert result.test.accuracy == pytest.approx(2 / 3)
  assert [entry.accuracy for entry in result.validation] == pytest.approx([2 / 3])
  assert (result.parameters.trainable, result.parameters.total) == (30, 310)
  assert result.bytes == records.Bytes(frozen={'params': 8}, trainable={'lora': 16, 'fitted': 40})
  assert (result.collections, result.starts_from) == (['lora'], '../pretrain')
  assert result.seconds == {'training': pytest.approx(9030, abs=30), 'pretraining': 5}
  assert result.seconds['training'] > 9000


@pytest.mark.slow
def test_the_test_part_changes_no_weight(made, study_of, windows, out, tmp_path):
  held_out = target_of(study_of(out)).description.subjects.test
  altered = with_altered(windows, tmp_path / 'windows', 'alpha', set(held_out))
  again = fitting.combine_and_test(spec_of(study_of(out, windows=altered), 'ensemble'), QUIET)
  assert again.ensemble == as_record(made).ensemble
  assert again.test != as_record(made).test


@pytest.mark.slow
def test_its_result_has_the_identity_and_the_hyperparameters_of_lora(made, runs):
  assert np.sum(made['test']['confusion']) == made['data']['windows']['test']
  assert made['test']['accuracy'] > 0.9
  assert made['identity'] == runs[LORA]['identity'] | {'method': 'ensemble'}
  row, of_lora = results.row(as_record(made), 'a'), results.row(as_record(runs[LORA]), 'a')
  assert {flag: row[flag] for flag in config.HYPERPARAMETERS} == {
    flag: of_lora[flag] for flag in config.HYPERPARAMETERS
  }


@pytest.mark.slow
def test_without_its_lora_run_that_is_trained_first(study_of, out, tmp_path):
  study = study_of(tmp_path, methods=('ensemble',), pretrained_dir=out)
  assert list(run(study)) == [_ENSEMBLE]
  assert storage.read(tmp_path / LORA)['step'] > 0

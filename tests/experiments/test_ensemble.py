"""An ensemble: weights by a general minimizer, and runs from a finished LoRA run and the baselines."""

import numpy as np
import pytest
from lodo_studies import LORA, QUIET, as_record, run, spec_of, target_of, with_altered
from scipy import optimize, special

from har_jax import config, files, results, storage
from har_jax.experiments import fitting
from har_jax.train.evaluation import predict

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


@pytest.mark.slow
def test_weights_and_temperature_are_those_of_the_validation_part(made, study_of, out):
  base, adapter = files.load_run(out / LORA)
  data = target_of(study_of(out))
  logits = predict(adapter.objective, files.attach(base, adapter), data.validation)
  uniform = {name: np.full(logits.shape, 1 / 3) for name in ('forest', 'rocket')}
  temperature, _ = fitting.fit_members(logits.astype(np.float64), uniform, data.validation['label'])
  assert made['ensemble']['encoder_temperature'] == pytest.approx(temperature, rel=1e-3)
  assert list(made['ensemble']['weights']) == ['encoder', 'forest', 'rocket']
  assert sum(made['ensemble']['weights'].values()) == pytest.approx(1)


@pytest.mark.slow
def test_its_encoder_answers_both_parts_with_the_shifts_of_the_protocol(
  made, runs, study_of, out, monkeypatch
):
  shifts, logits, answers, average = [], [], [], fitting.average

  def spied(*arguments, tta_shifts: int = 1) -> np.ndarray:
    shifts.append(tta_shifts)
    logits.append(predict(*arguments, tta_shifts=tta_shifts))
    return logits[-1]

  def averaged(members, weights):
    answers.append(members['encoder'])
    return average(members, weights)

  monkeypatch.setattr(fitting, 'average', averaged)

  monkeypatch.setattr(fitting, 'predict', spied)
  monkeypatch.setattr(fitting, 'BASELINES', {'forest': fitting.BASELINES['forest']})
  monkeypatch.setattr(fitting._Fits, 'seconds', property(lambda _: 9000.0, lambda *_: None), raising=False)
  result = fitting.combine_and_test(spec_of(study_of(out, protocol={'tta_shifts': 3}), 'ensemble'), QUIET)
  assert shifts == [3, 3, 3]  # validation to fit and to measure, test
  softened = special.softmax(logits[-1].astype(np.float64) / result.ensemble.encoder_temperature, axis=1)
  np.testing.assert_allclose(answers[-1], softened, rtol=1e-6)
  assert abs(result.ensemble.encoder_temperature - 1) > 0.01
  assert result.seconds['training'] == pytest.approx(9000 + runs[LORA]['seconds']['training'])


@pytest.mark.slow
def test_the_test_part_changes_no_weight(made, study_of, windows, out, tmp_path):
  held_out = target_of(study_of(out)).description.subjects.test
  altered = with_altered(windows, tmp_path / 'windows', 'alpha', set(held_out))
  again = fitting.combine_and_test(spec_of(study_of(out, windows=altered), 'ensemble'), QUIET)
  assert again.ensemble == as_record(made).ensemble
  assert again.test != as_record(made).test


@pytest.mark.slow
def test_its_result_has_the_costs_of_all_members_and_the_hyperparameters_of_lora(made, runs):
  assert np.sum(made['test']['confusion']) == made['data']['windows']['test']
  assert made['test']['accuracy'] > 0.9
  assert made['identity'] == runs[LORA]['identity'] | {'method': 'ensemble'}
  for name in ('trainable', 'total'):
    assert made['parameters'][name] > runs[LORA]['parameters'][name]
  assert made['seconds']['training'] > runs[LORA]['seconds']['training']
  for name in ('collections', 'starts_from'):
    assert made[name] == runs[LORA][name] is not None
  row, of_lora = results.row(as_record(made), 'a'), results.row(as_record(runs[LORA]), 'a')
  assert {flag: row[flag] for flag in config.HYPERPARAMETERS} == {
    flag: of_lora[flag] for flag in config.HYPERPARAMETERS
  }
  assert row['trainable_bytes'] > of_lora['trainable_bytes']


@pytest.mark.slow
def test_without_its_lora_run_that_is_trained_first(study_of, out, tmp_path):
  study = study_of(tmp_path, methods=('ensemble',), pretrained_dir=out)
  assert list(run(study)) == [_ENSEMBLE]
  assert storage.read(tmp_path / LORA)['step'] > 0

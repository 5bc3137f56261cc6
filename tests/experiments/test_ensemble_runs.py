"""An ensemble's run: a finished LoRA run and the baselines, weighted on the validation part."""

import numpy as np
import pytest
from lodo_studies import LORA, as_record, run, spec_of, target_of, with_altered

from har_jax import config, files, results, storage
from har_jax.experiments import fitting
from har_jax.train.evaluation import predict

pytestmark = pytest.mark.slow

_ENSEMBLE = 'alpha/ensemble/subject/labels-0.7/seed0.json'


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


def test_weights_and_temperature_are_those_of_the_validation_part(made, study_of, out):
  base, adapter = files.load_run(out / LORA)
  data = target_of(study_of(out))
  logits = predict(adapter.objective, files.attach(base, adapter), data.validation)
  uniform = {name: np.full(logits.shape, 1 / 3) for name in ('forest', 'rocket')}
  temperature, _ = fitting.fit_members(logits.astype(np.float64), uniform, data.validation['label'])
  assert made['ensemble']['encoder_temperature'] == pytest.approx(temperature, rel=1e-3)
  assert list(made['ensemble']['weights']) == ['encoder', 'forest', 'rocket']
  assert sum(made['ensemble']['weights'].values()) == pytest.approx(1)


def test_the_test_part_changes_no_weight(made, study_of, windows, out, tmp_path):
  held_out = target_of(study_of(out)).description.subjects.test
  altered = with_altered(windows, tmp_path / 'windows', 'alpha', set(held_out))
  again = fitting.combine_and_test(spec_of(study_of(out, windows=altered), 'ensemble'), stop=lambda: False)
  assert again.ensemble == as_record(made).ensemble
  assert again.test != as_record(made).test


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


def test_without_its_lora_run_that_is_trained_first(study_of, out, tmp_path):
  study = study_of(tmp_path, methods=('ensemble',), pretrained_dir=out)
  assert list(run(study)) == [_ENSEMBLE]
  assert storage.read(tmp_path / LORA)['step'] > 0

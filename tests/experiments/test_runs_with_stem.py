"""Runs of a model with a convolutional stem, through every stage, method and file."""

import dataclasses

import numpy as np
import pytest
from lodo_studies import ACTIVITIES, LORA, pretrained, run, spec_of, target_of
from sklearn.metrics import confusion_matrix

from har_jax import config, experiments, files, methods, variables
from har_jax.errors import UserError
from har_jax.experiments.adaptation import prepare_run
from har_jax.train.evaluation import predict
from har_jax.train.objective import Classify

pytestmark = pytest.mark.slow

# Two stages: each costs seconds of compiling. So does each shape of kernel that is no whole number of blocks
# of 64: here there are two.
_WIDTHS = (8, 16)


@pytest.fixture(scope='module')
def with_stem(experiment) -> config.Experiment:
  model = dataclasses.replace(
    experiment.model,
    patch_size=4,
    stem=_WIDTHS,
    pooling='statistics',
    log_std=False,
    invariant_features=False,
  )
  protocol = dataclasses.replace(experiment.protocol, normalize='none', supervised_pretraining_steps=4)
  lora = config.Lora(rank=4, alpha=8.0)
  return dataclasses.replace(experiment, model=model, lora=lora, protocol=protocol)


@pytest.fixture(scope='module')
def study(study_of, with_stem, tmp_path_factory) -> experiments.Study:
  made = study_of(tmp_path_factory.mktemp('stem'))
  return dataclasses.replace(made, experiment=with_stem)


@pytest.fixture(scope='module')
def made(study) -> dict:
  """The result of LoRA."""
  return run(study)[LORA]


def test_parameters_and_bytes_have_the_stem(made, study):
  qlora = prepare_run(spec_of(study, 'qlora'), pretrained(study)).run
  frozen = variables.bytes_held(qlora.frozen)
  one, two = _WIDTHS
  stages = [(7 * 12, one), (3 * one, one), (12, one)]
  stages += [(5 * one, two), (3 * two, two), (one, two), (two, 24)]
  block = [(24, 24)] * 4 + [(24, 48), (48, 24)]
  adapters = 4 * sum(i + o for i, o in stages + block)
  assert made['bytes']['trainable']['lora'] == 4 * adapters
  assert made['parameters']['trainable'] == variables.count(qlora.trainable)
  sizes = [i * o for i, o in stages + block]
  assert any(size % 64 for size in sizes)
  assert made['bytes']['frozen']['params'] - frozen['params'] == 4 * sum(sizes)
  assert frozen['nf4'] == sum(-(-size // 2) + 4 * -(-size // 64) for size in sizes)


def test_a_finished_run_is_loaded_and_merged(made, study):
  base, adapter = files.load_run(study.out / LORA)
  variables, data = files.attach(base, adapter), target_of(study)
  objective = Classify(study.experiment.model, len(data.classes))
  logits = predict(objective, variables, data.test)
  assert confusion_matrix(data.test['label'], logits.argmax(axis=1)).tolist() == made['test']['confusion']
  merged = predict(objective, methods.merge(adapter.method, variables), data.test)
  np.testing.assert_allclose(merged, logits, rtol=0, atol=1e-4 * np.abs(logits).max())


def test_zero_shot_is_the_head_of_the_sources_on_the_classes_they_share(made, study):
  (result,) = run(dataclasses.replace(study, methods=('zero_shot',))).values()
  activities, data = sorted((*ACTIVITIES, 'eating_soup')), target_of(study)
  logits = predict(Classify(study.experiment.model, len(activities)), pretrained(study), data.test)
  columns = [activities.index(name) for name in data.classes]
  confusion = confusion_matrix(data.test['label'], logits[:, columns].argmax(axis=1))
  assert result['test']['confusion'] == confusion.tolist()
  assert (result['parameters']['trainable'], result['step']) == (0, 0)
  assert result['starts_from'].endswith('../supervised')


def test_zero_shot_needs_supervised_pretraining(study_of, tmp_path):
  with pytest.raises(UserError, match='zero_shot needs the head of supervised pretraining'):
    study_of(tmp_path, methods=('zero_shot',))

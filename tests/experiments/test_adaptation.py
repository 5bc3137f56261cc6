"""Adaptation around trainings and predictions whose numbers are known."""

import dataclasses
import pathlib
import types
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from lodo_studies import QUIET, spec_of

from har_jax import methods, variables
from har_jax.experiments import adaptation
from har_jax.methods import METHODS, Settings
from har_jax.signal.summary import summarize
from har_jax.train.run import Run, Trained

_BASE = {'params/encoder/b': np.ones(7, np.float32), 'params/head/c': np.ones(1, np.float32)}
_SHAPES = {'params/head/a': 3, 'params/encoder/b': 7, 'batch_stats/head/m': 2, 'lora/encoder/b/a': 5}


@pytest.fixture
def asked(monkeypatch) -> dict[str, Any]:
  """What preparation and trainings are asked for. A training takes 10 s, and one more for each seed."""
  leaves = {path: np.zeros(size, np.float32) for path, size in _SHAPES.items()}
  frozen, others = variables.split(leaves, lambda path: path == 'params/encoder/b')
  statistics, trainable = variables.split_statistics(others)
  prepared = types.SimpleNamespace(trainable=trainable, statistics=statistics, frozen=frozen)
  plain = {path: leaf for path, leaf in leaves.items() if not path.startswith('lora/')}
  asked: dict[str, Any] = {'prepared': [], 'trained': [], 'predicted': []}

  def prepare(init: Any, *words: Any, **named: Any) -> Any:
    asked['prepared'].append((*words, named['init_new'], named['pretrained'], named['head']))
    return prepared

  def train(objective: Any, runs: Sequence[Run], **named: Any) -> list[Trained]:
    asked['trained'].append((runs, named))
    history = [{'step': 3, 'score': 0.25}, {'step': 6, 'score': 0.5, 'macro_f1': 0.5}]
    return [Trained(trainable | statistics, 6, history, 40, 10.0 + run.seed) for run in runs]

  def predict(objective: Any, whole: Any, windows: Any, tta_shifts: int = 1) -> np.ndarray:
    """Labeled windows get their label, but for the first one, the least sure; others the first class."""
    assert whole.keys() == leaves.keys()
    asked['predicted'].append((len(windows['signal']), tta_shifts))
    labels = np.array(windows.get('label', np.zeros(len(windows['signal']), int)))
    labels[0] = 2 - labels[0]
    logits = 2 * np.eye(3)[labels]
    logits[0] = 100 + logits[0] / 2
    return logits

  monkeypatch.setattr(methods, 'prepare', prepare)
  monkeypatch.setattr(adaptation.loop, 'train', train)
  monkeypatch.setattr(adaptation, 'predict', predict)
  monkeypatch.setattr(adaptation, 'initial_shapes', lambda objective: plain)
  monkeypatch.setattr(adaptation, 'seconds_of', lambda stages: {stage.name: 5.0 for stage in stages})
  return asked


def test_results_of_seeds_that_train_together_have_their_own_numbers(study_of, tmp_path, asked):
  study = study_of(tmp_path, seeds=(0, 1), protocol={'tta_shifts': 4})
  results = adaptation.adapt_and_test(study.runs, {0: _BASE, 1: _BASE}, QUIET)
  ((runs, named),) = asked['trained']
  assert (named['training'], named['pretrained']) == (study.experiment.finetune, True)
  for seed, spec in enumerate(study.runs):
    result, data = results[seed], spec.fold.target_windows()
    assert (runs[seed].seed, runs[seed].folder) == (seed, spec.folder)
    np.testing.assert_array_equal(runs[seed].windows['signal'], data.train['signal'])
    np.testing.assert_array_equal(runs[seed].validation['signal'], data.validation['signal'])
    assert asked['prepared'][seed][:3] == (
      METHODS['lora'],
      Settings.from_experiment(study.experiment),
      seed,
    )
    assert result.test.accuracy == pytest.approx(35 / 36)
    assert result.selective is not None
    assert result.selective.aurc == pytest.approx(1 / 36**2, abs=1e-4)
    assert result.identity.seed == seed
    names = [data.classes[label] for label in data.train['label']]
    assert result.signals == summarize(data.signals[data.indices['train']], names, 50)
    assert (result.parameters.trainable, result.parameters.total) == (8, 15)
    assert result.bytes.frozen == {'params': 28}
    assert result.bytes.trainable == {'params': 12, 'lora': 20}
    assert (result.bytes.statistics, result.bytes.optimizer) == ({'batch_stats': 8}, {'state': 40})
    assert result.seconds == {'training': 10 + seed, 'pretraining': 5}
    assert (result.collections, result.starts_from) == (['lora', 'lora_scale'], '../../../pretrain')
    assert (result.step, result.validated.macro_f1, result.batch_runs) == (6, 0.5, 2)
  assert asked['predicted'] == [(36, 4)] * 2
  assert adaptation.adapt_and_test([], {}, QUIET) == {}


@pytest.mark.parametrize('method', ['lora', 'scratch'])
def test_a_student_learns_from_labels_of_its_teacher(study_of, tmp_path, asked, method):
  """The sources' windows are for those that start from them."""
  spec = spec_of(study_of(tmp_path, protocol={'self_training': 1}), method)
  result = adaptation.adapt_and_test([spec], {0: _BASE}, QUIET)[0]
  (teacher,), (student,) = (runs for runs, _ in asked['trained'])
  assert (teacher.folder, student.folder) == (spec.folder / 'teacher1', spec.folder)
  assert teacher.title == f'alpha: {method}, subject split, seed 0, teacher 1'
  is_pretrained = method == 'lora'
  assert result.seconds == {'training': 20, 'pretraining': 5 if is_pretrained else 0}
  assert (result.starts_from is not None) == is_pretrained
  data, labels = spec.fold.target_windows(), student.windows['label']
  np.testing.assert_array_equal(labels[:36], data.train['label'])
  parts = np.split(labels, 3 if is_pretrained else 2)
  assert set(parts[1].tolist()) == {0, 2}  # as the teacher says
  assert [set(part.tolist()) for part in parts[2:]] == [{0, 1, 2}] * is_pretrained


@pytest.mark.parametrize(
  ('steps', 'targets', 'base', 'has_head'),
  [
    (4, ('up',), _BASE, True),
    (0, ('up',), _BASE, False),
    (4, ('head',), _BASE, False),
    (4, ('up',), {}, False),
  ],
)
def test_a_head_of_the_sources_is_a_start_unless_it_gets_adapters(
  study_of, experiment, tmp_path, asked, monkeypatch, steps, targets, base, has_head
):
  changed = dataclasses.replace(
    experiment,
    lora=dataclasses.replace(experiment.lora, targets=targets),
    protocol=dataclasses.replace(experiment.protocol, supervised_pretraining_steps=steps),
  )
  prepared = adaptation.prepare_run(spec_of(study_of(tmp_path, experiment=changed)), base)
  *_, init_new, pretrained, head = asked['prepared'][0]
  assert init_new == prepared.objective.init_new
  assert pretrained.keys() == base.keys() - {'params/head/c'}
  assert (head is not None) == has_head
  if head is not None:
    monkeypatch.setattr(methods, 'arrange_head', lambda *arguments: arguments)
    others, drawn, activities, classes = head('drawn')
    assert (list(others), drawn) == (['params/head/c'], 'drawn')
    assert activities == ('eating_soup', 'lying', 'sitting', 'walking')
    assert classes == ('walking', 'sitting', 'lying')


def test_a_folder_in_a_bucket_is_named_by_its_address():
  local = pathlib.Path('/runs/alpha/pretrain')
  assert adaptation.relative_to(local, pathlib.Path('/runs/alpha/lora/seed0.json')) == '../pretrain'
  assert adaptation.relative_to('gs://runs/pretrain', local) == 'gs://runs/pretrain'
  assert adaptation.relative_to(local, 'gs://runs/seed0.json') == '/runs/alpha/pretrain'

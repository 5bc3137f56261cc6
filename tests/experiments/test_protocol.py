"""The protocol, end to end on small windows: one result file a run, and its content."""

import json
import shutil

import numpy as np
import pytest
import toy_method
from lodo_studies import ACTIVITIES, EACH, METHODS, run

from har_jax import config_fields, files, results, storage

pytestmark = pytest.mark.slow


def test_each_run_has_one_result_file(runs, out):
  assert list(runs) == [f'alpha/{name}/subject/labels-0.7/seed0.json' for name in METHODS]
  for name, result in runs.items():
    assert storage.read(out / name) == json.loads(json.dumps(result))
  assert len(results.find(out)) == len(runs)


@pytest.mark.parametrize('name', METHODS)
def test_a_result_states_its_experiment_data_and_versions(runs, experiment, name):
  result = runs[f'alpha/{name}/subject/labels-0.7/seed0.json']
  identity = result['identity']
  assert (identity['target'], identity['method'], identity['seed']) == ('alpha', name, 0)
  assert identity['experiment'] == config_fields.to_json(experiment)
  assert identity['windows'].keys() == {'alpha', 'beta', 'gamma'}
  assert identity['windows']['beta']['checksum'] == 'sum of beta'
  assert {'jax', 'flax', 'numpy', 'har_jax', 'python'} <= result['versions'].keys()
  assert result['device']['platform']
  assert result['seconds'].keys() == {'training', 'pretraining'}
  assert result['data']['classes'] == list(ACTIVITIES)  # eating soup is no locomotion
  assert [entry['step'] for entry in result['validation']] == [3, 6]
  assert result['step'] in (3, 6)


def test_parameters_and_bytes_are_counted_by_collection(runs):
  parameters = {name.split('/')[1]: result['parameters'] for name, result in runs.items()}
  sizes = {name.split('/')[1]: result['bytes'] for name, result in runs.items()}
  assert parameters['full']['trainable'] == parameters['full']['total'] == parameters['probe']['total']
  # Rank 4, one block: four attention matrices of 24·24, up and down of 24·48.
  adapters = 4 * (4 * (24 + 24) + 2 * (24 + 48))
  assert parameters['lora']['total'] == parameters['full']['total'] + adapters
  assert parameters['lora']['trainable'] == parameters['probe']['trainable'] + adapters
  assert parameters['qlora'] == parameters['lora']
  assert sizes['full']['frozen'] == {}
  assert sizes['lora']['trainable']['lora'] == 4 * adapters
  for name, parts in sizes.items():  # AdamW's two moments of each trainable number, and its few counters
    assert 0 <= parts['optimizer']['state'] - 8 * parameters[name]['trainable'] <= 64
  weights = 4 * 24 * 24 + 2 * 24 * 48
  assert sizes['lora']['frozen']['params'] - sizes['qlora']['frozen']['params'] == 4 * weights
  assert sizes['qlora']['frozen']['nf4'] == weights // 2 + 4 * weights // 64  # blocks of 64 fit evenly


def test_a_new_method_is_counted_saved_and_read(runs, study_of, out, tmp_path):
  with toy_method.installed():
    ((name, result),) = run(study_of(tmp_path, methods=(toy_method.NAME,), pretrained_dir=out)).items()
    base, adapter = files.load_run(tmp_path / name)
    attached = files.attach(base, adapter)
  gains = 4 * 24 + 48 + 24  # query, key, value, output, up, down
  probe = runs['alpha/probe/subject/labels-0.7/seed0.json']['parameters']
  assert result['parameters'] == {'trainable': probe['trainable'] + gains, 'total': probe['total'] + gains}
  assert result['bytes']['trainable']['gain'] == 4 * gains
  assert result['collections'] == ['gain']
  assert sum(leaf.size for path, leaf in adapter.variables.items() if path.startswith('gain/')) == gains
  assert attached.keys() >= adapter.variables.keys()


def test_the_test_part_is_of_subjects_that_training_never_saw(runs):
  for result in runs.values():
    subjects = result['data']['subjects']
    assert {part: len(of_part) for part, of_part in subjects.items()} == {
      'train': 2,
      'validation': 1,
      'test': 2,
    }
    assert len(set().union(*subjects.values())) == 5
    counted = np.sum(result['test']['confusion'], axis=1).tolist()
    assert counted == result['data']['by_class']['test'] == [2 * EACH] * 3
    assert result['test_by_subject'].keys() == set(subjects['test'])
    by_subject = [measured['confusion'] for measured in result['test_by_subject'].values()]
    np.testing.assert_array_equal(np.sum(by_subject, axis=0), result['test']['confusion'])


def test_finished_runs_are_read_and_not_run_again(runs, study_of, out, monkeypatch):
  def forbidden(*_, **__):
    raise AssertionError('trained again')

  before = {path: path.stat().st_mtime_ns for path in out.rglob('*') if path.is_file()}
  for place in ('adaptation.loop', 'stages'):
    monkeypatch.setattr(f'har_jax.experiments.{place}.train', forbidden)
  again = run(study_of(out, methods=METHODS))
  assert json.dumps(again) == json.dumps(runs)
  assert {path: path.stat().st_mtime_ns for path in out.rglob('*') if path.is_file()} == before


def test_seeds_trained_together_give_the_results_of_one_by_one(runs, study_of, out, tmp_path):
  shutil.copytree(out / 'alpha' / 'pretrain', tmp_path / 'alpha' / 'pretrain')
  together = run(study_of(tmp_path, methods=('qlora',), seeds=(0, 1, 2), batch_runs=2))
  alone = run(study_of(out, methods=('qlora',), seeds=(0, 1)))
  assert [result['batch_runs'] for result in together.values()] == [2, 2, 1]
  for name, result in alone.items():
    assert together[name].keys() == result.keys()
    assert result['batch_runs'] == 1
    same = ('identity', 'test', 'test_by_subject', 'step', 'parameters', 'bytes', 'data')
    assert {entry: together[name][entry] for entry in same} == {entry: result[entry] for entry in same}

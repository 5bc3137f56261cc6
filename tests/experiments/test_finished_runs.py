"""Finished runs, read as bases and adapters."""

import shutil

import numpy as np
import pytest
from lodo_studies import LORA, assert_equal, pretrained, run, target_of
from sklearn.metrics import confusion_matrix

from har_jax import files, storage
from har_jax.errors import UserError
from har_jax.experiments import stages
from har_jax.recognizer import parameters
from har_jax.recognizer.recognizer import Recognizer
from har_jax.train.evaluation import predict

pytestmark = pytest.mark.slow


def confusion_of(base, adapter, data) -> list[list[int]]:
  predicted = predict(adapter.objective, files.attach(base, adapter), data.test).argmax(axis=1)
  return confusion_matrix(data.test['label'], predicted).tolist()


def test_a_pretraining_folder_is_a_base(study_of, out, runs, tmp_path):
  folder = out / 'alpha' / 'pretrain'
  base = files.load_base(folder)
  assert_equal(base.variables, pretrained(study_of(out)))
  sources = [(source.archive, source.checksum, source.windows) for source in base.card.sources]
  assert sources == [('beta', 'sum of beta', 120), ('gamma', 'sum of gamma', 120)]
  done = storage.read(folder / 'pretrained.json')
  assert base.card.pretraining['steps'] == done['step']
  assert base.card.pretraining['training'] == done['identity']['training']
  assert base.card.pretraining['validation_loss'] in [entry['loss'] for entry in done['history']]
  assert (base.model.mlp_dim, base.model.depth) == (48, 1)
  files.save_base(tmp_path, base.variables, base.card)
  assert files.load_base(tmp_path).card == base.card


@pytest.mark.parametrize('name', [LORA, LORA.replace('lora', 'scratch')])
def test_the_adapter_of_a_run_predicts_its_result(study_of, out, runs, name):
  study, result = study_of(out), runs[name]
  base, adapter = files.load_run(out / name)
  assert (base is None) == ('scratch' in name)
  data = target_of(study)
  assert confusion_of(base, adapter, data) == result['test']['confusion']
  assert list(adapter.card.classes) == result['data']['classes']
  (validated,) = (entry for entry in result['validation'] if entry['step'] == result['step'])
  assert adapter.card.metrics == {
    part: {name: scores[name] for name in ('macro_f1', 'accuracy')}
    for part, scores in (('validation', validated), ('test', result['test']))
  }
  by_subject = [measures['confusion'] for measures in result['test_by_subject'].values()]
  assert np.sum(by_subject, axis=0).tolist() == result['test']['confusion']  # of all classes
  assert adapter.card.signals is not None
  assert {gravity.activity: gravity.windows for gravity in adapter.card.signals.gravity} == dict(
    zip(data.classes, np.bincount(data.train['label']).tolist(), strict=True)
  )
  raw = np.array(study.datasets['alpha'].windows.signals)
  assert any(np.array_equal(adapter.normalizer(raw)[i], data.test['signal'][0]) for i in range(len(raw)))


@pytest.mark.parametrize('asked', [{}, {'supervised_pretraining_steps': 2}])
def test_a_run_is_read_with_the_stage_it_started_from(study_of, out, runs, asked, tmp_path):
  study = study_of(tmp_path, protocol={'continued_pretraining_steps': 2, **asked}, pretrained_dir=out)
  ((name, result),) = run(study).items()
  base, adapter = files.load_run(tmp_path / name)
  assert base is not None
  start = {path: leaf for path, leaf in pretrained(study).items() if '/encoder/' in path}
  assert_equal(base.encoder, start)
  assert {source.archive for source in base.card.sources} == {'alpha', 'beta', 'gamma'}
  assert bool(base.classes) == bool(asked)
  assert confusion_of(base, adapter, target_of(study)) == result['test']['confusion']


def test_a_stage_starts_from_the_encoder_of_the_stage_before_it(study_of, out, tmp_path, monkeypatch):
  study = study_of(tmp_path, protocol={'supervised_pretraining_steps': 2}, pretrained_dir=out)
  started = []

  def train(objective, runs, **options):
    started.extend(runs)
    raise UserError('that is all')

  monkeypatch.setattr(stages, 'train', train)
  with pytest.raises(UserError, match='that is all'):
    pretrained(study)
  encoder = files.load_base(out / 'alpha' / 'pretrain').encoder
  assert_equal({path: leaf for path, leaf in started[0].trainable.items() if path in encoder}, encoder)


def test_a_recognizer_of_a_run_has_its_test_time_augmentation(out, tmp_path):
  copied = shutil.copytree((out / LORA).parent, tmp_path / 'run') / 'seed0.json'
  entries = storage.read(copied)
  entries['identity']['experiment']['protocol']['tta_shifts'] = 4
  storage.write(copied, entries)
  base = files.load_base(out / 'alpha' / 'pretrain')
  assert Recognizer.load(copied, base).tta_shifts == 4


def test_a_run_from_scratch_takes_no_base(out):
  base = files.load_base(out / 'alpha' / 'pretrain')
  assert files.load_run(out / LORA.replace('lora', 'scratch'), base)[0] is None


def test_a_file_that_is_no_result_is_refused(out):
  with pytest.raises(UserError, match=r"has the format None, .* 'har_jax result 3'; give a run's seed"):
    files.load_run(out / 'alpha' / 'pretrain' / 'pretrained.json')


def test_a_base_has_its_sources_licenses_and_predicts_in_float32_after_bfloat16(out, tmp_path):
  folder = shutil.copytree(out / 'alpha' / 'pretrain', tmp_path / 'pretrain')
  stage = storage.read(folder / 'pretrained.json')
  stage['identity']['dtype'] = 'bfloat16'
  stage['identity']['windows']['hapt'] = stage['identity']['windows'].pop('beta')
  storage.write(folder / 'pretrained.json', stage)
  base = files.load_base(folder)
  assert ['no commercial use' in source.license for source in base.card.sources] == [False, True]
  assert base.card.pretraining['dtype'] == 'bfloat16'
  _, asked = parameters.check(parameters.Parameters(base))
  assert asked.precision.dtype == 'float32'

"""Runs of har_jax.experiments, read as bases and adapters."""

import dataclasses
import pathlib
import shutil
from typing import Any

import numpy as np
import pytest
from adapters import assert_equal

import har_jax
from har_jax import config, experiments, files, records, storage
from har_jax.config import DEFAULT_WINDOWING
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Fold
from har_jax.errors import UserError
from har_jax.experiments.stages import run_stages, stages_of
from har_jax.files import safetensors_io
from har_jax.recognizer import parameters
from har_jax.recognizer.recognizer import Recognizer
from har_jax.signal import cutting
from har_jax.train.evaluation import predict

_ACTIVITIES = ('walking', 'sitting', 'lying')
QUIET = experiments.TrainOptions(progress=False)


def _dataset(name: str, seed: int) -> store.Windows:
  rng = np.random.default_rng(seed)
  windows = [
    cutting.Window(
      (np.array([0, 0, 9.8, 0, 0, 0]) + (1 + 3 * swing) * rng.standard_normal((128, 6))).astype(np.float32),
      activity,
      f'{name}-{subject}',
      subject,
      0.0,
    )
    for subject in range(4)
    for swing, activity in enumerate(_ACTIVITIES)
    for _ in range(5)
  ]
  return store.gather(
    windows,
    {'archive': name, 'position': 'waist', 'checksum': f'sum of {name}', 'code_version': '0'},
    DEFAULT_WINDOWING,
  )


def _started_from(study: experiments.Study) -> dict[str, Any]:
  stages = stages_of(dataclasses.replace(study, methods=('lora',)).runs[0])
  held = run_stages(stages, experiments.TrainOptions(may_train=False))
  return {path: leaf for path, leaf in held.items() if path.startswith('params/encoder/')}


@pytest.fixture(scope='module')
def study(tiny, tmp_path_factory) -> experiments.Study:
  folder = tmp_path_factory.mktemp('lodo')
  for seed, name in enumerate(('alpha', 'hapt')):
    store.save(_dataset(name, seed), folder / 'windows' / name)
  return experiments.Study(
    datasets=Datasets.open(folder / 'windows'),
    out=folder / 'out',
    # Of shapes that tests/experiments compile, too.
    experiment=config.Experiment(
      model=dataclasses.replace(tiny, depth=1),
      lora=config.Lora(rank=4, alpha=8.0, targets=('query', 'up', 'head')),
      protocol=config.Protocol(validation_fraction=0.2),
      pretrain=config.Training(max_steps=4, batch=32, num_evals=2),
      finetune=config.Training(max_steps=6, batch=16, num_evals=3),
    ),
    targets=('alpha',),
    methods=('lora', 'scratch'),
    seeds=(3,),
  )


@pytest.fixture(scope='module')
def runs(study) -> dict[str, tuple[pathlib.Path, records.Result]]:
  return {result.identity.method: (path, result) for path, result in experiments.run(study, QUIET)}


@pytest.mark.slow
def test_a_pretraining_folder_is_a_base(study, runs, tmp_path):
  folder = study.out / 'alpha' / 'pretrain'
  base = files.load_base(folder)
  assert_equal(base.variables, _started_from(study))
  (source,) = base.card.sources
  assert (source.archive, source.checksum, source.windows) == ('hapt', 'sum of hapt', 60)
  assert 'no commercial use' in source.license
  done = storage.read(folder / 'pretrained.json')
  assert base.card.pretraining['steps'] == done['step']
  assert base.card.pretraining['validation_loss'] in [entry['loss'] for entry in done['history']]
  assert (base.model.mlp_dim, base.model.depth) == (48, 1)
  files.save_base(tmp_path, base.variables, base.card)
  assert files.load_base(tmp_path).card == base.card


@pytest.mark.slow
@pytest.mark.parametrize('name', ['lora', 'scratch'])
def test_the_adapter_of_a_run_predicts_its_result(study, runs, name):
  path, result = runs[name]
  base, adapter = files.load_run(path)
  assert (base is None) == (name == 'scratch')
  data = Fold(study.datasets, 'alpha', (), study.experiment.protocol, 3).target_windows()
  predicted = predict(adapter.objective, files.attach(base, adapter), data.test).argmax(axis=1)
  confusion = np.zeros((3, 3), int)
  np.add.at(confusion, (data.test['label'], predicted), 1)
  assert confusion.tolist() == result.test.confusion
  assert adapter.card.classes == result.data.classes
  assert adapter.signals is not None
  assert {each.activity: each.windows for each in adapter.signals.gravity} == dict(
    zip(data.classes, np.bincount(data.train['label']).tolist(), strict=True)
  )
  raw = np.array(study.datasets['alpha'].windows.signals)
  assert any(np.array_equal(adapter.normalizer(raw)[i], data.test['signal'][0]) for i in range(len(raw)))


@pytest.mark.slow
@pytest.mark.parametrize(
  'asked',
  [
    {'continued_pretraining_steps': 2, 'contrastive_steps': 2},
    {'contrastive_steps': 2, 'supervised_pretraining_steps': 2},
  ],
)
def test_a_run_is_read_with_the_stage_it_started_from(study, runs, asked, tmp_path):
  protocol = dataclasses.replace(study.experiment.protocol, **asked)
  experiment = dataclasses.replace(study.experiment, protocol=protocol)
  continued = dataclasses.replace(
    study, out=tmp_path, pretrained_dir=study.out, methods=('lora',), experiment=experiment
  )
  ((path, result),) = experiments.run(continued, QUIET)
  base, adapter = files.load_run(path)
  assert base is not None
  start = _started_from(continued)
  assert base.encoder.keys() == {path for path in start if path.startswith('params/encoder/')}
  assert_equal(base.encoder, {path: start[path] for path in base.encoder})
  assert {source.archive for source in base.card.sources} == {'alpha', 'hapt'}
  assert bool(base.classes) == ('supervised_pretraining_steps' in asked)
  data = Fold(study.datasets, 'alpha', (), protocol, 3).target_windows()
  predicted = predict(adapter.objective, files.attach(base, adapter), data.test).argmax(axis=1)
  confusion = np.zeros((3, 3), int)
  np.add.at(confusion, (data.test['label'], predicted), 1)
  assert confusion.tolist() == result.test.confusion


@pytest.mark.slow
def test_a_run_is_read_with_its_test_time_augmentation(study, runs, tmp_path):
  protocol = dataclasses.replace(study.experiment.protocol, tta_shifts=4)
  experiment = dataclasses.replace(study.experiment, protocol=protocol)
  augmented = dataclasses.replace(
    study, out=tmp_path, pretrained_dir=study.out, methods=('lora',), experiment=experiment
  )
  ((path, _),) = experiments.run(augmented, QUIET)
  base = files.load_base(study.out / 'alpha' / 'pretrain')
  _, adapter = files.load_run(path, base)
  assert adapter.card.training.tta_shifts == Recognizer.load(path, base).tta_shifts == 4
  assert Recognizer.load(runs['lora'][0], base).tta_shifts == 1


@pytest.mark.slow
def test_a_file_that_is_no_result_is_refused(study, runs):
  with pytest.raises(UserError, match=r"pretrained\.json is not a 'har_jax result 3' file"):
    files.load_run(study.out / 'alpha' / 'pretrain' / 'pretrained.json')


@pytest.mark.slow
def test_a_base_that_was_trained_in_bfloat16_predicts_in_float32(study, runs, tmp_path):
  folder = shutil.copytree(study.out / 'alpha' / 'pretrain', tmp_path / 'pretrain')
  stage = storage.read(folder / 'pretrained.json')
  stage['identity']['dtype'] = 'bfloat16'
  storage.write(folder / 'pretrained.json', stage)
  base = files.load_base(folder)
  assert base.card.pretraining['dtype'] == 'bfloat16'
  _, asked = parameters.check(parameters.Parameters(base))
  assert asked.precision.dtype == 'float32'


def test_the_bundled_base_is_redistributable_and_small():
  base = files.bundled_base()
  licenses = {source.archive: source.license for source in base.card.sources}
  assert licenses.keys() == {'motionsense', 'sp_sw_har', 'wisdm', 'dsads'}
  assert all('MIT' in text or 'CC BY 4.0' in text for text in licenses.values())
  assert safetensors_io.checksum(base.variables) == base.checksum
  folder = pathlib.Path(har_jax.__file__).parent / 'assets' / 'base'
  assert sum(path.stat().st_size for path in folder.iterdir()) < 2e6


def test_the_bundled_base_recognizes_without_labels():
  windows = np.zeros((2, 128, 6), np.float32)
  windows[..., 1] = 9.8
  # A walk: two steps a second.
  windows[1] += (
    4 * np.sin(2 * np.pi * 2 * np.arange(128) / 50)[:, None] * np.array([0.5, 1, 0.3, 0.2, 0.2, 0.1])
  )
  recognizer = Recognizer.load()
  assert recognizer.predict(windows).tolist() == ['lying', 'walking']
  assert (recognizer.predict_proba(windows).max(axis=1) > 0.9).all()

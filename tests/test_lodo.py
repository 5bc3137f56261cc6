"""The protocol, end to end on small windows: who is left out, what is shared, and what a killed run comes back to."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest

from har_jax import config, lodo, peft, results
from har_jax.data import batches, folds, splits
from har_jax.data import windows as store
from har_jax.errors import Stopped, UserError
from har_jax.lodo import pictures
from har_jax.lodo.adaptation import begin
from har_jax.lodo.personal import personalise
from har_jax.train import loop
from har_jax.train.log import Log

_ACTIVITIES = ('walking', 'sitting', 'lying')
_SUBJECTS = 5
_EACH = 6  # windows of each activity a subject
_ROOT = pathlib.Path(__file__).parents[1]


def _dataset(name: str, seed: int) -> store.Windows:
  rng = np.random.default_rng(seed)
  time = np.arange(128)[:, None] / 50
  windows = []
  for subject in range(_SUBJECTS):
    for number, activity in enumerate((*_ACTIVITIES, 'eating_soup')):
      for _ in range(_EACH):
        swing = (3 - number) * np.sin(2 * np.pi * (1 + 0.1 * subject) * time + rng.uniform(0, 6, 6))
        gravity = np.array([0, 0, 9.8, 0, 0, 0]) if number < 2 else np.array([9.8, 0, 0, 0, 0, 0])
        signal = (swing + gravity + 0.1 * rng.standard_normal((128, 6))).astype(np.float32)
        windows.append(store.Window(signal, activity, f'{name}-{subject}', subject, 0.0))
  return store.gather(
    windows, {'archive': name, 'position': 'waist', 'checksum': f'sum of {name}', 'code_version': '0'}
  )


@pytest.fixture(scope='module', autouse=True)
def compiled_fast() -> Iterator[None]:
  """With XLA's optimisations off, in child processes too: programs run once or twice here, and compiling is what takes."""
  with pytest.MonkeyPatch.context() as patched:
    patched.setenv('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
    jax.config.update('jax_disable_most_optimizations', True)
    yield
    jax.config.update('jax_disable_most_optimizations', False)


@pytest.fixture(scope='module')
def windows(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('windows')
  for seed, name in enumerate(('alpha', 'beta', 'gamma')):
    store.save(_dataset(name, seed), folder / name)
  return folder


@pytest.fixture(scope='module')
def experiment(tiny: config.Model) -> config.Experiment:
  return config.Experiment(
    model=dataclasses.replace(tiny, blocks=1),
    lora=config.Lora(rank=4, alpha=8.0),
    protocol=config.Protocol(validation_share=0.2),
    pretrain=config.Training(epochs=1.0, batch=32, evaluations=2),
    finetune=config.Training(max_steps=6, batch=16, evaluations=3),
  )


Study = Callable[..., lodo.Study]


@pytest.fixture(scope='module')
def study_of(windows: pathlib.Path, experiment: config.Experiment) -> Study:
  def study(out: pathlib.Path, **given: Any) -> lodo.Study:
    protocol = dataclasses.replace(experiment.protocol, **given.pop('protocol', {}))
    fields = {
      'windows': windows,
      'experiment': dataclasses.replace(experiment, protocol=protocol),
      'targets': ('alpha',),
      'methods': ('lora',),
      'seeds': (0,),
    }
    return lodo.Study(out=out, **{**fields, **given})

  return study


def _run(study: lodo.Study) -> dict[str, dict[str, Any]]:
  """Results by their file's name under `out`."""
  runs = lodo.run(study, progress=False)
  return {str(path.relative_to(study.out)): result for path, result in runs}


def _target(study: lodo.Study) -> folds.TargetWindows:
  return folds.target_windows(study.windows, 'alpha', study.experiment.protocol, seed=0)


def _pretraining(study: lodo.Study) -> tuple[batches.Batch, batches.Batch]:
  return folds.pretraining_windows(study.windows, ('beta',), study.experiment.protocol)


@pytest.fixture(scope='module')
def out(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  return tmp_path_factory.mktemp('results')


@pytest.fixture(scope='module')
def runs(study_of: Study, out: pathlib.Path) -> dict[str, dict[str, Any]]:
  """Every method, by subject, with seed 0."""
  return _run(study_of(out, methods=tuple(peft.METHODS)))


_LORA = 'alpha/lora/subject/labels-0.7/seed0.json'


def test_each_run_is_a_file_in_its_place(runs: dict[str, dict], out: pathlib.Path):
  assert list(runs) == [f'alpha/{name}/subject/labels-0.7/seed0.json' for name in peft.METHODS]
  for name, result in runs.items():
    assert results.read(out / name) == json.loads(json.dumps(result))
  assert len(results.find(out)) == len(runs)


@pytest.mark.parametrize('name', peft.METHODS)
def test_a_result_says_all_that_it_came_from(runs: dict[str, dict], experiment: config.Experiment, name: str):
  result = runs[f'alpha/{name}/subject/labels-0.7/seed0.json']
  identity = result['identity']
  assert (identity['target'], identity['method'], identity['seed']) == ('alpha', name, 0)
  assert config.from_json(config.Experiment, identity['experiment']) == experiment
  assert identity['windows'].keys() == {'alpha', 'beta', 'gamma'}
  assert identity['windows']['beta']['checksum'] == 'sum of beta'
  assert {'jax', 'flax', 'numpy', 'har_jax', 'python'} <= result['versions'].keys()
  assert result['device']['platform']
  assert result['seconds'].keys() == {'training', 'pretraining'}
  assert result['data']['classes'] == list(_ACTIVITIES)  # eating soup is no locomotion
  assert [entry['step'] for entry in result['validation']] == [2, 4, 6]
  assert result['step'] in (2, 4, 6)


def test_parameters_and_bytes_are_counted_by_collection(runs: dict[str, dict]):
  parameters = {name.split('/')[1]: result['parameters'] for name, result in runs.items()}
  held = {name.split('/')[1]: result['bytes'] for name, result in runs.items()}
  assert parameters['full']['trainable'] == parameters['full']['total'] == parameters['probe']['total']
  # Rank 4, one block: four attention matrices of 24·24, up and down of 24·48.
  adapters = 4 * (4 * (24 + 24) + 2 * (24 + 48))
  assert parameters['lora']['total'] == parameters['full']['total'] + adapters
  assert parameters['lora']['trainable'] == parameters['probe']['trainable'] + adapters
  assert parameters['qlora'] == parameters['lora']
  assert held['full']['frozen'] == {}
  assert held['lora']['trainable']['lora'] == 4 * adapters
  for name, each in held.items():  # AdamW's two moments of each trainable number, and its few counters
    assert 0 <= each['optimizer']['state'] - 8 * parameters[name]['trainable'] <= 64
  weights = 4 * 24 * 24 + 2 * 24 * 48
  assert held['lora']['frozen']['params'] - held['qlora']['frozen']['params'] == 4 * weights
  assert held['qlora']['frozen']['nf4'] == weights // 2 + 4 * weights // 64  # blocks of 64 fit evenly


def test_the_test_part_is_of_subjects_that_training_never_saw(runs: dict[str, dict]):
  for result in runs.values():
    subjects = result['data']['subjects']
    assert {part: len(of_part) for part, of_part in subjects.items()} == {
      'train': 2,
      'validation': 1,
      'test': 2,
    }
    assert len(set().union(*subjects.values())) == 5
    counted = np.sum(result['test']['confusion'], axis=1).tolist()
    assert counted == result['data']['by_class']['test'] == [2 * _EACH] * 3
    assert result['test_by_subject'].keys() == set(subjects['test'])
    by_subject = [measured['confusion'] for measured in result['test_by_subject'].values()]
    np.testing.assert_array_equal(np.sum(by_subject, axis=0), result['test']['confusion'])


def test_finished_runs_are_read_not_run_again(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  def forbidden(*_, **__):
    raise AssertionError('trained again')

  before = {path: path.stat().st_mtime_ns for path in out.rglob('*') if path.is_file()}
  for module in ('adaptation', 'pretraining'):
    monkeypatch.setattr(f'har_jax.lodo.{module}.train', forbidden)
  again = _run(study_of(out, methods=tuple(peft.METHODS)))
  assert json.dumps(again) == json.dumps(runs)
  assert {path: path.stat().st_mtime_ns for path in out.rglob('*') if path.is_file()} == before


def test_pretraining_is_done_once_for_methods_seeds_splits_and_budgets(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path
):
  pretrained = out / 'alpha' / 'pretrain' / 'pretrained.json'
  before = pretrained.stat().st_mtime_ns
  by_window = _run(study_of(out, methods=('probe',), seeds=(0, 1), protocol={'split': 'window'}))
  few = _run(study_of(out, methods=('probe',), protocol={'labels': '2/class'}))
  assert list(by_window) == [f'alpha/probe/window/labels-0.7/seed{seed}.json' for seed in (0, 1)]
  assert pretrained.stat().st_mtime_ns == before
  (result,) = few.values()
  assert list(few) == ['alpha/probe/subject/labels-2-per-class/seed0.json']
  assert result['data']['by_class']['train'] == result['data']['by_class']['validation'] == [2, 2, 2]
  # The budget leaves the test part as it was.
  whole = runs['alpha/probe/subject/labels-0.7/seed0.json']
  assert result['data']['subjects'] == whole['data']['subjects']
  assert result['data']['windows']['test'] == whole['data']['windows']['test']


def test_a_pretraining_without_checkpoints_as_in_a_clone_is_made_again(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path, tmp_path: pathlib.Path
):
  at = pathlib.Path('alpha', 'pretrain', 'pretrained.json')
  (tmp_path / at).parent.mkdir(parents=True)
  results.write(tmp_path / at, results.read(out / at))
  name = 'alpha/probe/subject/labels-0.7/seed0.json'
  assert _run(study_of(tmp_path, methods=('probe',)))[name]['test'] == runs[name]['test']


@pytest.mark.parametrize(
  'change',
  [{'finetune': config.Training(max_steps=5, batch=16)}, {'lora': config.Lora(rank=2)}],
  ids=['finetune', 'lora'],
)
def test_another_experiment_in_the_same_folder_is_refused_with_what_differs(
  runs: dict[str, dict],
  study_of: Study,
  experiment: config.Experiment,
  out: pathlib.Path,
  change: dict[str, Any],
):
  (part,) = change
  with pytest.raises(UserError) as caught:
    _run(study_of(out, experiment=dataclasses.replace(experiment, **change)))
  assert 'is of another experiment; give another --out' in str(caught.value)
  assert f'experiment.{part}.' in str(caught.value)
  assert 'made with' in str(caught.value)


def test_a_begun_run_of_another_experiment_names_its_folder(
  runs: dict[str, dict],
  study_of: Study,
  experiment: config.Experiment,
  out: pathlib.Path,
  tmp_path: pathlib.Path,
):
  shutil.copytree(out, tmp_path / 'out')
  (tmp_path / 'out' / _LORA).unlink()
  other = dataclasses.replace(experiment, finetune=config.Training(max_steps=5, batch=16))
  with pytest.raises(UserError, match=r'labels-0\.7/seed0 is of another experiment'):
    _run(study_of(tmp_path / 'out', experiment=other))


def _pretrained(study: lodo.Study, seed: int = 0) -> dict[str, np.ndarray]:
  return {
    path: np.asarray(leaf)
    for path, leaf in lodo.pretrained_encoder(study, 'alpha', seed, progress=False).items()
  }


def _altered(windows: pathlib.Path, folder: pathlib.Path, name: str, subjects: set[str]) -> pathlib.Path:
  """The same windows, but for the signals of some subjects of one dataset."""
  shutil.copytree(windows, folder)
  old = store.load(folder / name)
  signals = np.array(old.signals)
  signals[np.isin(np.array(old.meta['subjects'])[old.subject], list(subjects))] *= -3
  store.save(dataclasses.replace(old, signals=signals), folder / name)
  return folder


def test_pretraining_never_sees_the_target(
  runs: dict[str, dict], study_of: Study, windows: pathlib.Path, out: pathlib.Path, tmp_path: pathlib.Path
):
  expected = _pretrained(study_of(out))
  everyone = {f'{name}-{number}' for name in ('alpha', 'beta') for number in range(_SUBJECTS)}
  of_target = _altered(windows, tmp_path / 'target', 'alpha', everyone)
  given = _pretrained(study_of(tmp_path / 'out', windows=of_target))
  assert given.keys() == expected.keys()
  assert all(path.startswith('params/encoder/') for path in given)
  assert all(np.array_equal(given[path], expected[path]) for path in given)
  of_source = _altered(windows, tmp_path / 'source', 'beta', everyone)
  other = _pretrained(study_of(tmp_path / 'other', windows=of_source))
  assert not np.array_equal(other['params/encoder/embed/kernel'], expected['params/encoder/embed/kernel'])


def test_what_is_tested_on_moves_neither_training_nor_choice(
  runs: dict[str, dict], study_of: Study, windows: pathlib.Path, tmp_path: pathlib.Path
):
  tested = set(runs[_LORA]['data']['subjects']['test'])
  altered = _altered(windows, tmp_path / 'windows', 'alpha', tested)
  result = _run(study_of(tmp_path / 'out', windows=altered))[_LORA]
  assert _without_seconds(result)['validation'] == _without_seconds(runs[_LORA])['validation']
  assert result['data']['normaliser'] == runs[_LORA]['data']['normaliser']
  assert result['step'] == runs[_LORA]['step']
  assert result['test']['confusion'] != runs[_LORA]['test']['confusion']


_GOES_ON = {'unlabelled_steps': 3}


def test_pretraining_goes_on_once_a_seed_over_the_train_part(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path, tmp_path: pathlib.Path
):
  shared = {'protocol': _GOES_ON, 'pretrained': out, 'seeds': (0, 1)}
  made = _run(study_of(tmp_path, methods=('full', 'lora', 'scratch'), **shared))
  continued = {seed: tmp_path / f'alpha/continued/subject/seed{seed}/pretrained.json' for seed in (0, 1)}
  before = {seed: path.stat().st_mtime_ns for seed, path in continued.items()}
  few = {'protocol': _GOES_ON | {'labels': '2/class'}}
  made |= _run(study_of(tmp_path, **shared | few))
  assert {seed: path.stat().st_mtime_ns for seed, path in continued.items()} == before
  whole = _target(study_of(tmp_path))
  told = {seed: results.read(path) for seed, path in continued.items()}
  assert (told[0]['step'], told[0]['windows']) == (3, len(whole.train['label']))
  for name, result in made.items():
    seed, method = result['identity']['seed'], result['identity']['method']
    expected = None if method == 'scratch' else told[seed]['seconds']
    assert result['seconds'].get('continued') == expected, name
  started = [_pretrained(study_of(tmp_path, **shared), seed) for seed in (0, 1)]
  base = _pretrained(study_of(out))
  kernel = 'params/encoder/embed/kernel'
  assert started[0].keys() == base.keys()
  assert len({each[kernel].tobytes() for each in (base, *started)}) == 3


def test_pretraining_that_goes_on_never_sees_a_label_or_who_is_tested_on(
  runs: dict[str, dict], study_of: Study, windows: pathlib.Path, out: pathlib.Path, tmp_path: pathlib.Path
):
  expected = _pretrained(study_of(tmp_path / 'out', protocol=_GOES_ON, pretrained=out))
  tested = set(runs[_LORA]['data']['subjects']['test'])
  altered = _altered(windows, tmp_path / 'windows', 'alpha', tested)
  given = _pretrained(study_of(tmp_path / 'altered', windows=altered, protocol=_GOES_ON, pretrained=out))
  assert all(np.array_equal(given[path], leaf) for path, leaf in expected.items())
  protocol = study_of(out).experiment.protocol
  learned, measured_by = folds.unlabelled_windows(windows, 'alpha', protocol, 0)
  assert (list(learned), list(measured_by)) == (['signal', 'origin'], ['signal'])


def test_pretraining_alone_goes_on_too_and_adapting_alone_does_not(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path, tmp_path: pathlib.Path
):
  study = study_of(tmp_path, protocol=_GOES_ON, pretrained=out)
  with pytest.raises(UserError, match=r'continued/subject/seed0/pretrained\.json is missing'):
    list(lodo.run(study, may_pretrain=False, progress=False))
  paths = [path for path, _ in lodo.pretrain(study, progress=False)]
  assert [path.parent.name for path in paths] == ['pretrain', 'seed0']
  (result,) = _run(study).values()
  assert result['identity']['experiment']['protocol']['unlabelled_steps'] == 3


_TOLD = {'source_label_steps': 4}


def test_source_labels_are_learned_once_a_seed_after_all_other_pretraining(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path, tmp_path: pathlib.Path
):
  shared = {'protocol': _GOES_ON | _TOLD, 'pretrained': out}
  made = _run(study_of(tmp_path, methods=('full', 'scratch'), **shared))
  path = tmp_path / 'alpha/labelled/subject/seed0/pretrained.json'
  before, told = path.stat().st_mtime_ns, results.read(path)
  (lora,) = _run(
    study_of(tmp_path, **shared | {'protocol': _GOES_ON | _TOLD | {'labels': '2/class'}})
  ).values()
  assert path.stat().st_mtime_ns == before
  assert told['identity']['classes'] == sorted(_ACTIVITIES)  # of both sources; eating soup is no locomotion
  assert told['identity']['windows'].keys() == {'beta', 'gamma'}
  assert (
    told['identity']['from']
    == results.read(tmp_path / 'alpha/continued/subject/seed0/pretrained.json')['identity']
  )
  each = 2 * len(_ACTIVITIES) * _EACH  # of both sources, a subject of each
  assert (told['step'], told['windows']) == (4, each * (_SUBJECTS - 1))
  seconds = {name.split('/')[1]: result['seconds'] for name, result in made.items()}
  assert seconds['full']['labelled'] == lora['seconds']['labelled'] == told['seconds']
  assert 'labelled' not in seconds['scratch']
  assert (
    made['alpha/scratch/subject/labels-0.7/seed0.json']['test']
    == runs['alpha/scratch/subject/labels-0.7/seed0.json']['test']
  )
  # A study that asks for less finds what it shares.
  continued = _pretrained(study_of(tmp_path, protocol=_GOES_ON, pretrained=out))
  started = _pretrained(study_of(tmp_path, **shared))
  assert {path for path in started if '/encoder/' in path} == continued.keys()
  kernel = 'params/encoder/embed/kernel'
  assert not np.array_equal(continued[kernel], started[kernel])


def test_source_labels_move_what_is_learned_and_the_targets_do_not(
  runs: dict[str, dict], study_of: Study, windows: pathlib.Path, out: pathlib.Path, tmp_path: pathlib.Path
):
  expected = _pretrained(study_of(tmp_path / 'out', protocol=_TOLD, pretrained=out))
  for name, moves in (('alpha', False), ('beta', True)):
    shutil.copytree(windows, tmp_path / name)
    old = store.load(tmp_path / name / name)
    shuffled = np.random.default_rng(0).permutation(old.activity)
    store.save(dataclasses.replace(old, activity=shuffled), tmp_path / name / name)
    altered = study_of(tmp_path / f'out-{name}', windows=tmp_path / name, protocol=_TOLD, pretrained=out)
    given = _pretrained(altered)
    assert any(not np.array_equal(given[path], leaf) for path, leaf in expected.items()) is moves, name


def test_labelled_source_windows_are_those_of_pretraining(
  windows: pathlib.Path, study_of: Study, tmp_path: pathlib.Path
):
  protocol = study_of(tmp_path).experiment.protocol
  sources = ('beta', 'gamma')
  every, _ = folds.pretraining_windows(windows, sources, dataclasses.replace(protocol, classes='all'))
  assert list(every) == ['signal', 'origin']
  learned, measured_by = folds.labelled_source_windows(
    windows, sources, dataclasses.replace(protocol, classes='all')
  )
  assert np.array_equal(learned['signal'], every['signal'])
  assert folds.source_classes(windows, sources, dataclasses.replace(protocol, classes='all')) == tuple(
    sorted((*_ACTIVITIES, 'eating_soup'))
  )
  assert np.bincount(learned['label']).tolist() == [2 * _EACH * (_SUBJECTS - 1)] * 4
  assert np.bincount(measured_by['label']).tolist() == [2 * _EACH] * 4
  fewer, _ = folds.labelled_source_windows(windows, sources, protocol)
  assert np.array_equal(fewer['signal'], learned['signal'][learned['label'] != 0])  # eating_soup is first
  # beta's lying windows, and no others, have gravity along x; whatever was normalised, they stand apart.
  along = fewer['signal'][..., 0].mean(axis=1)
  assert along[fewer['label'] == 0].min() > along[fewer['label'] != 0].max()


def test_the_head_goes_on_from_the_sources_activities_and_is_drawn_for_others(
  study_of: Study, out: pathlib.Path, windows: pathlib.Path, runs: dict[str, dict], tmp_path: pathlib.Path
):
  asked = {'protocol': _TOLD, 'pretrained': out}
  told = _pretrained(study_of(tmp_path, **asked))
  study = study_of(tmp_path, **asked | {'protocol': _TOLD | {'classes': 'locomotion'}})
  lora = dataclasses.replace(study.experiment.lora, targets=('query',))
  study = dataclasses.replace(study, experiment=dataclasses.replace(study.experiment, lora=lora))
  # The sources' outputs are sorted: lying, sitting, walking. The target has one more, and another order.
  every = dataclasses.replace(
    study,
    experiment=dataclasses.replace(
      study.experiment, protocol=dataclasses.replace(study.experiment.protocol, classes='all')
    ),
  )
  first = begin(study, 'alpha', peft.METHODS['lora'], told, 0).run
  assert folds.source_classes(windows, ('beta', 'gamma'), study.experiment.protocol) == (
    'lying',
    'sitting',
    'walking',
  )
  outputs = 'params/head/dense_1/kernel'
  assert np.array_equal(first.trainable[outputs], told[outputs][:, [2, 1, 0]])
  assert np.array_equal(first.trainable['params/head/dense_0/kernel'], told['params/head/dense_0/kernel'])
  assert np.array_equal(
    first.statistics['batch_stats/head/norm_0/mean'], told['batch_stats/head/norm_0/mean']
  )
  drawn = begin(every, 'alpha', peft.METHODS['scratch'], {}, 0).run.trainable[outputs]
  with pytest.MonkeyPatch.context() as patched:  # sources that lack one of the target's activities
    patched.setattr(folds, 'source_classes', lambda *_: ('lying', 'sitting', 'walking'))
    fewer = begin(every, 'alpha', peft.METHODS['full'], told, 0)
  place = fewer.data.classes.index('eating_soup')
  assert np.array_equal(fewer.run.trainable[outputs][:, place], drawn[:, place])
  assert np.array_equal(np.delete(fewer.run.trainable[outputs], place, axis=1), told[outputs][:, [2, 1, 0]])


def test_a_head_that_is_itself_adapted_stays_as_drawn(
  study_of: Study, out: pathlib.Path, runs: dict[str, dict], tmp_path: pathlib.Path
):
  study = study_of(tmp_path, protocol=_TOLD, pretrained=out)
  told = _pretrained(study)
  lora = dataclasses.replace(study.experiment.lora, targets=('query', 'head'))
  study = dataclasses.replace(study, experiment=dataclasses.replace(study.experiment, lora=lora))
  given = begin(study, 'alpha', peft.METHODS['lora'], told, 0).run
  bare = begin(
    study, 'alpha', peft.METHODS['lora'], {p: leaf for p, leaf in told.items() if '/encoder/' in p}, 0
  ).run
  kernel = 'params/head/dense_0/kernel'
  assert np.array_equal(given.frozen[kernel], bare.frozen[kernel])
  assert np.array_equal(given.frozen['params/encoder/embed/kernel'], told['params/encoder/embed/kernel'])


def test_source_labels_of_one_activity_are_refused(
  study_of: Study, windows: pathlib.Path, tmp_path: pathlib.Path
):
  for name in ('beta', 'gamma'):
    still = _dataset(name, 0)
    chosen = still.activity == still.meta['activities'].index('walking')
    store.save(
      store.gather(
        [
          store.Window(still.signals[at], 'walking', f'{name}-{still.subject[at]}', int(at), 0.0)
          for at in np.flatnonzero(chosen)
        ],
        {'archive': name, 'position': 'waist', 'checksum': name, 'code_version': '0'},
      ),
      tmp_path / 'windows' / name,
    )
  shutil.copytree(windows / 'alpha', tmp_path / 'windows' / 'alpha')
  study = study_of(tmp_path / 'out', windows=tmp_path / 'windows', protocol=_TOLD)
  with pytest.raises(
    UserError, match='source_label_steps 4 need two activities or more; beta, gamma have walking'
  ):
    _pretrained(study)


def test_normalisation_is_fitted_on_the_train_part_or_on_all_as_asked(
  study_of: Study, windows: pathlib.Path, tmp_path: pathlib.Path
):
  for protocol, moves in (({'normalise': 'train'}, False), ({'normalise': 'dataset'}, True)):
    study = study_of(tmp_path / 'out', protocol=protocol)
    before = _target(study)
    tested = set(before.description['subjects']['test'])
    folder = _altered(windows, tmp_path / protocol['normalise'], 'alpha', tested)
    after = _target(study_of(tmp_path / 'out', windows=folder, protocol=protocol))
    assert np.array_equal(before.train['signal'], after.train['signal']) is not moves
    assert (before.description['normaliser'] != after.description['normaliser']) is moves


def test_what_pretraining_holds_out_never_moves_its_normalisation(
  study_of: Study, windows: pathlib.Path, tmp_path: pathlib.Path
):
  beta = store.load(windows / 'beta')
  held_out = splits.hold_out(beta.subject, 0.2, seed=0)
  people = set(np.array(beta.meta['subjects'])[beta.subject[held_out]])
  altered = _altered(windows, tmp_path / 'windows', 'beta', people)
  for normalise in ('train', 'dataset'):
    parts = [
      _pretraining(study_of(tmp_path, windows=at, protocol={'normalise': normalise}))
      for at in (windows, altered)
    ]
    (train, validation), (train_altered, validation_altered) = parts
    assert np.array_equal(train['signal'], train_altered['signal'])
    assert not np.array_equal(validation['signal'], validation_altered['signal'])


def test_labels_follow_the_classes_chosen(study_of: Study, tmp_path: pathlib.Path, windows: pathlib.Path):
  data = _target(study_of(tmp_path))
  whole = _target(study_of(tmp_path, protocol={'classes': 'all'}))
  assert data.classes == _ACTIVITIES
  assert whole.classes == (*_ACTIVITIES, 'eating_soup')
  assert len(whole.test['label']) == len(data.test['label']) * 4 // 3
  # In the data each activity swings less than the one before.
  swings = [np.std(data.train['signal'][data.train['label'] == label], axis=1).mean() for label in range(3)]
  assert swings[0] > swings[1] > swings[2]


def _without_seconds(result: Any) -> Any:
  if isinstance(result, dict):
    return {name: _without_seconds(value) for name, value in result.items() if name != 'seconds'}
  return [_without_seconds(value) for value in result] if isinstance(result, list) else result


_KILLED = """
import json, os, pathlib, signal, sys
from har_jax import config, lodo
from har_jax.train.log import Log

windows, out, experiment, step = sys.argv[1:]
taken = Log.step

def dying(self, at, loss):
  taken(self, at, loss)
  if at == int(step):
    os.kill(os.getpid(), signal.SIGKILL)

Log.step = dying
study = lodo.Study(
  windows=pathlib.Path(windows), out=pathlib.Path(out), targets=('alpha',), methods=('lora',), seeds=(0,),
  experiment=config.from_json(config.Experiment, json.loads(experiment)),
)
list(lodo.run(study, progress=False))
"""


def test_a_run_killed_and_then_stopped_ends_with_the_same_numbers(
  runs: dict[str, dict],
  study_of: Study,
  experiment: config.Experiment,
  windows: pathlib.Path,
  tmp_path: pathlib.Path,
  monkeypatch: pytest.MonkeyPatch,
):
  # Both after a checkpoint and between two: SIGKILL in pretraining, an exception in adaptation.
  command = [
    sys.executable,
    '-c',
    _KILLED,
    str(windows),
    str(tmp_path),
    json.dumps(config.to_json(experiment)),
    '5',
  ]
  died = subprocess.run(
    command, env=os.environ | {'PYTHONPATH': str(_ROOT)}, cwd=tmp_path, capture_output=True, text=True
  )
  assert died.returncode == -signal.SIGKILL, died.stderr
  folder = tmp_path / 'alpha'
  assert [path.name for path in (folder / 'pretrain' / 'checkpoints').iterdir() if path.name.isdigit()] == [
    '3'
  ]
  assert not (folder / 'pretrain' / 'pretrained.json').exists()

  taken = Log.step

  def stopping(self: Log, at: int, loss: float) -> None:
    taken(self, at, loss)
    if self._path.parent.name == 'seed0' and at == 3:
      raise KeyboardInterrupt

  with monkeypatch.context() as patched:
    patched.setattr(Log, 'step', stopping)
    with pytest.raises(KeyboardInterrupt):
      _run(study_of(tmp_path))
  assert (folder / 'pretrain' / 'pretrained.json').exists()
  assert not (tmp_path / _LORA).exists()
  assert _without_seconds(_run(study_of(tmp_path))[_LORA]) == _without_seconds(runs[_LORA])


@pytest.mark.parametrize(
  ('given', 'says'),
  [
    ({'targets': ('alfa',)}, r"no windows of 'alfa' under .*; there are alpha, beta, gamma"),
    ({'sources': ('beta', 'delta')}, r"no windows of 'delta'"),
    ({'methods': ('lroa',)}, "unknown method 'lroa'; one of full, probe, lora, qlora"),
    ({'sources': ('alpha', 'beta')}, 'alpha among the sources is the target alpha'),
    ({'targets': ('beta', 'alpha'), 'sources': ('gamma', 'alpha')}, 'alpha among the sources'),
    ({'seeds': (0, -1)}, 'seed -1'),
  ],
)
def test_a_study_that_cannot_be_says_why(
  study_of: Study, tmp_path: pathlib.Path, given: dict[str, Any], says: str
):
  with pytest.raises(UserError, match=says):
    study_of(tmp_path, **given)


def test_no_windows_say_how_to_make_some(study_of: Study, tmp_path: pathlib.Path):
  with pytest.raises(UserError, match=r'make some with launch/prepare\.py'):
    study_of(tmp_path, windows=tmp_path)


def test_the_same_people_under_two_names_are_never_source_and_target(
  study_of: Study, windows: pathlib.Path, tmp_path: pathlib.Path
):
  for name in ('hapt', 'ucihar'):
    shutil.copytree(windows / 'alpha', tmp_path / name)
  with pytest.raises(UserError, match='nothing to pretrain on for hapt'):
    study_of(tmp_path, windows=tmp_path, targets=('hapt',))
  shutil.copytree(windows / 'beta', tmp_path / 'beta')
  study = study_of(tmp_path, windows=tmp_path, targets=('hapt', 'ucihar', 'beta'))
  assert [study.sources_of(target) for target in ('hapt', 'ucihar')] == [('beta',), ('beta',)]
  assert study.sources_of('beta') == ('hapt', 'ucihar')
  with pytest.raises(UserError, match='ucihar among the sources is the target hapt, or its recordings'):
    study_of(tmp_path, windows=tmp_path, targets=('hapt',), sources=('ucihar', 'beta'))


def test_a_dataset_that_cannot_be_split_is_named_with_its_classes(
  study_of: Study, windows: pathlib.Path, tmp_path: pathlib.Path
):
  shutil.copytree(windows, tmp_path / 'windows')
  old = store.load(windows / 'alpha')
  lone = dataclasses.replace(
    old, subject=np.zeros_like(old.subject), meta=old.meta | {'subjects': old.meta['subjects'][:1]}
  )
  store.save(lone, tmp_path / 'windows' / 'alpha')
  study = study_of(tmp_path / 'out', windows=tmp_path / 'windows')
  with pytest.raises(
    UserError, match=r'alpha: 1 subjects are too few .*classes: 0 walking, 1 sitting, 2 lying'
  ):
    _target(study)
  with pytest.raises(UserError, match=r'alpha: 1 subjects are too few .*leave it out'):
    lodo.pretrained_encoder(dataclasses.replace(study, targets=('beta',)), 'beta', 0, progress=False)


# --- many jobs


@pytest.mark.parametrize('shards', [1, 2, 3, 4, 7, 11, 12])
def test_shards_are_disjoint_complete_and_of_even_size(study_of: Study, tmp_path: pathlib.Path, shards: int):
  whole = study_of(
    tmp_path, targets=('alpha', 'beta'), methods=('full', 'lora', 'qlora'), seeds=(0, 1), shard=(0, 1)
  )
  assert len(whole.runs) == len(set(whole.runs)) == 12
  parts = [dataclasses.replace(whole, shard=(number, shards)).runs for number in range(shards)]
  assert [run for part in parts for run in part] == whole.runs
  assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_few_shards_have_a_target_to_themselves(study_of: Study, tmp_path: pathlib.Path):
  whole = study_of(tmp_path, targets=('alpha', 'beta', 'gamma'), methods=('full', 'lora'), seeds=(0, 1))
  for number, target in enumerate(whole.targets):
    assert {run[0] for run in dataclasses.replace(whole, shard=(number, 3)).runs} == {target}


def test_a_run_named_twice_is_one(study_of: Study, tmp_path: pathlib.Path):
  study = study_of(tmp_path, targets=('alpha', 'alpha'), methods=('lora', 'full', 'lora'), seeds=(1, 1))
  assert study.runs == [('alpha', 1, 'lora'), ('alpha', 1, 'full')]


@pytest.mark.parametrize(
  ('shard', 'says'),
  [
    ((2, 2), 'shard 2 of 2; they are counted from 0 to n-1'),
    ((-1, 2), 'shard -1 of 2'),
    ((0, 0), 'shard 0 of 0'),
    ((0, 2), '1 runs cannot be dealt to 2 shards; give at most 1'),
  ],
)
def test_a_shard_that_cannot_be_says_why(
  study_of: Study, tmp_path: pathlib.Path, shard: tuple[int, int], says: str
):
  with pytest.raises(UserError, match=says):
    study_of(tmp_path, shard=shard)


def test_adapting_alone_says_that_the_pretraining_is_missing(study_of: Study, tmp_path: pathlib.Path):
  with pytest.raises(UserError, match=r'pretrained\.json is missing, .* run --stage=pretrain before it'):
    list(lodo.run(study_of(tmp_path), may_pretrain=False, progress=False))
  assert not list(tmp_path.iterdir())


def test_pretraining_alone_gives_its_file_and_no_result(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path, tmp_path: pathlib.Path
):
  shutil.copytree(out / 'alpha', tmp_path / 'alpha')
  for path in tmp_path.rglob('seed0.json'):
    path.unlink()
  ((path, done),) = lodo.pretrain(study_of(tmp_path, methods=('full', 'lora')), progress=False)
  assert path == tmp_path / 'alpha' / 'pretrain' / 'pretrained.json'
  assert done == results.read(path)
  assert not list(tmp_path.rglob('seed0.json'))


def test_a_stop_comes_through_while_another_job_is_waited_for(
  study_of: Study, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.setattr(lodo.claim, '_LOOK_S', 0.01)
  other = results.lock(tmp_path / 'alpha' / 'pretrain')
  assert other.take()
  asked = iter((False, False, True))
  with pytest.raises(Stopped, match='alpha: pretraining on beta, gamma: stopped while another job is at it'):
    list(lodo.run(study_of(tmp_path), progress=False, stop=lambda: next(asked)))
  other.release()
  (line,) = capsys.readouterr().err.splitlines()
  assert f'alpha: pretraining on beta, gamma: process {os.getpid()} on ' in line
  assert 'is at it; waiting, 0 min so far' in line
  assert os.listdir(tmp_path / 'alpha' / 'pretrain') == []


def test_a_job_that_was_overtaken_trains_no_further(
  runs: dict[str, dict],
  study_of: Study,
  out: pathlib.Path,
  tmp_path: pathlib.Path,
  monkeypatch: pytest.MonkeyPatch,
):
  shutil.copytree(out / 'alpha' / 'pretrain', tmp_path / 'alpha' / 'pretrain')
  monkeypatch.setattr(loop, '_STEPS_AT_ONCE', 1)
  seen: list[int] = []
  taken = Log.step
  monkeypatch.setattr(Log, 'step', lambda self, at, loss: (seen.append(at), taken(self, at, loss))[1])
  monkeypatch.setattr(results.FolderLock, 'is_lost', lambda self: bool(seen) and seen[-1] == 3)
  with pytest.raises(UserError, match=r'alpha: lora, seed 0: no sign of life .* another has taken'):
    _run(study_of(tmp_path))
  assert seen == [1, 2, 3]
  assert not (tmp_path / _LORA).exists()
  assert not (tmp_path / _LORA).with_suffix('').joinpath('lock').exists()


def test_seeds_side_by_side_give_the_results_of_one_by_one(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path, tmp_path: pathlib.Path
):
  shutil.copytree(out / 'alpha' / 'pretrain', tmp_path / 'alpha' / 'pretrain')
  methods = ('lora', 'qlora')
  beside = _run(study_of(tmp_path, methods=methods, seeds=(0, 1, 2), batch_runs=2))
  alone = _run(study_of(out, methods=methods, seeds=(0, 1)))
  assert len(beside) == 6
  assert [result['side_by_side'] for result in beside.values()] == [2, 2, 1, 2, 2, 1]
  for name, result in alone.items():
    assert beside[name].keys() == result.keys()
    assert result['side_by_side'] == 1
    same = ('identity', 'test', 'test_by_subject', 'step', 'parameters', 'bytes', 'data')
    assert {of: beside[name][of] for of in same} == {of: result[of] for of in same}


def test_no_run_at_all_side_by_side_is_the_users_error(study_of: Study, tmp_path: pathlib.Path):
  with pytest.raises(UserError, match='lodo_batch_runs is 0; give 1'):
    study_of(tmp_path, batch_runs=0)


def test_from_scratch_is_the_full_model_without_pretraining(study_of: Study, tmp_path: pathlib.Path):
  ((_, result),) = lodo.run(study_of(tmp_path, methods=('scratch',)), progress=False, may_pretrain=False)
  assert not (tmp_path / 'alpha' / 'pretrain').exists()
  assert result['seconds']['pretraining'] == 0
  assert result['parameters']['trainable'] == result['parameters']['total']
  assert result['bytes']['frozen'] == {}


def test_experiments_share_pretrainings_where_told_to(study_of: Study, tmp_path: pathlib.Path):
  shared = tmp_path / 'pretrained'
  for split in ('subject', 'window'):  # and what each normalises the target on is no matter of pretraining
    normalise = 'dataset' if split == 'window' else 'train'
    study = study_of(
      tmp_path / split,
      pretrained=shared,
      protocol={'split': split, 'normalise': normalise},
    )
    list(lodo.run(study, progress=False, may_pretrain=split == 'subject'))
  assert len(list(tmp_path.rglob('pretrained.json'))) == 1
  assert (shared / 'alpha' / 'pretrain' / 'pretrained.json').exists()


def test_a_target_without_a_split_of_its_own_is_told_who_has_one(study_of: Study, tmp_path: pathlib.Path):
  study = study_of(tmp_path, protocol={'split': 'official'}, methods=('scratch',))
  with pytest.raises(UserError, match=r'alpha ships with no split of its own .*hapt.*--split=subject'):
    list(lodo.run(study, progress=False))


def test_pictures_show_the_same_windows_before_and_after(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path
):
  study = study_of(out)
  pictures.write(study, 'alpha', 'lora', 0)
  shown = results.read(out / 'alpha/lora/subject/labels-0.7/seed0/embeddings.json')
  windows = runs[_LORA]['data']['windows']['test']
  assert [len(shown[name]) for name in ('label', 'before', 'after')] == [windows] * 3
  assert np.bincount(shown['label']).tolist() == runs[_LORA]['data']['by_class']['test']
  assert shown['before'] != shown['after']
  filled = results.read(out / 'alpha/pretrain/reconstructions.json')
  assert [window['activity'] for window in filled['windows']] == list(_ACTIVITIES)
  model = study.experiment.model
  for window in filled['windows']:
    assert sum(window['hidden']) == model.hidden
    assert np.shape(window['signal']) == np.shape(window['reconstructed']) == (128, 6)


def test_pictures_of_a_run_that_is_not_done_are_refused(study_of: Study, tmp_path: pathlib.Path):
  with pytest.raises(UserError, match=r'pretrained.json is missing'):
    pictures.write(study_of(tmp_path), 'alpha', 'lora', 0)


def test_each_test_subject_gets_an_adapter_of_their_own(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path
):
  study = study_of(out)
  path, made = personalise(study, 'alpha', 'lora', 0, 2, progress=False)
  subjects = runs[_LORA]['data']['subjects']['test']
  assert list(made['by_subject']) == subjects
  assert made['side_by_side'] == len(subjects)
  for each in made['by_subject'].values():
    # Of six windows an activity two are learned, one shares samples with them, three are left.
    assert each['windows'] == {'learned': 2 * len(_ACTIVITIES), 'tested': 3 * len(_ACTIVITIES)}
    for when in ('before', 'after'):
      assert np.sum(each[when]['confusion'], axis=1).tolist() == [3, 3, 3]
  assert made['left_out'] == []
  assert personalise(study, 'alpha', 'lora', 0, 2, progress=False) == (path, results.read(path))


def test_personalisation_asks_for_a_finished_run_by_subject(
  study_of: Study, tmp_path: pathlib.Path, out: pathlib.Path
):
  with pytest.raises(UserError, match='learned from everyone'):
    personalise(study_of(tmp_path, protocol={'split': 'window'}), 'alpha', 'lora', 0, 2)
  with pytest.raises(UserError, match='run --stage=all before'):
    personalise(study_of(tmp_path), 'alpha', 'lora', 0, 2)
  with pytest.raises(UserError, match='fewer --personal_labels'):
    personalise(study_of(out), 'alpha', 'lora', 0, 6)

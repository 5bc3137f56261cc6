"""The stages between pretraining and adaptation: continued, supervised."""

import dataclasses
import itertools
import shutil

import numpy as np
import pytest
from lodo_studies import (
  ACTIVITIES,
  ADAPT_ONLY,
  EACH,
  LORA,
  QUIET,
  SUBJECTS,
  assert_equal,
  own_pretraining,
  pretrained,
  run,
  spec_of,
  target_of,
  with_altered,
)

from har_jax import experiments, storage
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Fold, Sources
from har_jax.errors import Stopped, UserError
from har_jax.experiments.adaptation import prepare_run

pytestmark = pytest.mark.slow

_CONTINUED = {'continued_pretraining_steps': 3}


def test_continued_pretraining_runs_once_per_seed_on_the_training_part(runs, study_of, out, tmp_path):
  shared = {'protocol': _CONTINUED, 'pretrained_dir': out, 'seeds': (0, 1)}
  made = run(study_of(tmp_path, methods=('lora', 'scratch'), **shared))
  continued = {seed: tmp_path / f'alpha/continued/subject/seed{seed}/pretrained.json' for seed in (0, 1)}
  before = {seed: path.stat().st_mtime_ns for seed, path in continued.items()}
  few = {'protocol': _CONTINUED | {'label_budget': '2/class'}}
  made |= run(study_of(tmp_path, **shared | few))
  assert {seed: path.stat().st_mtime_ns for seed, path in continued.items()} == before
  whole = target_of(study_of(tmp_path))
  entries = {seed: storage.read(path) for seed, path in continued.items()}
  assert (entries[0]['step'], entries[0]['windows']) == (3, len(whole.train['label']))
  for name, result in made.items():
    seed, method = result['identity']['seed'], result['identity']['method']
    expected = None if method == 'scratch' else entries[seed]['seconds']
    assert result['seconds'].get('continued') == expected, name
  started = [pretrained(study_of(tmp_path, **shared), seed) for seed in (0, 1)]
  base = pretrained(study_of(out))
  kernel = 'params/encoder/embed/kernel'
  assert started[0].keys() == base.keys()
  assert len({leaves[kernel].tobytes() for leaves in (base, *started)}) == 3


def test_stages_on_the_target_see_no_label_and_no_test_subject(runs, study_of, windows, out, tmp_path):
  expected = pretrained(study_of(tmp_path / 'out', protocol=_CONTINUED, pretrained_dir=out))
  tested = set(runs[LORA]['data']['subjects']['test'])
  altered = with_altered(windows, tmp_path / 'windows', 'alpha', tested)
  leaves = pretrained(
    study_of(tmp_path / 'altered', windows=altered, protocol=_CONTINUED, pretrained_dir=out)
  )
  assert_equal(leaves, expected)
  protocol = study_of(out).experiment.protocol
  learned, measured_by = Fold(Datasets.open(windows), 'alpha', (), protocol, 0).unlabeled_windows()
  assert (list(learned), list(measured_by)) == (['signal', 'origin'], ['signal'])


def test_stage_pretrain_trains_all_stages_and_stage_adapt_none(runs, study_of, out, tmp_path):
  study = study_of(tmp_path, protocol=_CONTINUED, pretrained_dir=out)
  with pytest.raises(UserError, match=r'continued/subject/seed0/pretrained\.json is missing'):
    list(experiments.run(study, ADAPT_ONLY))
  paths = [path for path, _ in experiments.pretrain(study, QUIET)]
  assert [path.parent.name for path in paths] == ['pretrain', 'seed0']
  (result,) = run(study).values()
  assert result['identity']['experiment']['protocol']['continued_pretraining_steps'] == 3


_SUPERVISED = {'supervised_pretraining_steps': 4}
_STAGES = ('continued', 'supervised')


def test_supervised_pretraining_alone_is_shared_by_seeds_and_splits(runs, study_of, out, tmp_path):
  shared = {'pretrained_dir': own_pretraining(out, tmp_path / 'own'), 'methods': ('full',)}
  made = [
    result
    for split, seed in (('subject', 0), ('subject', 1), ('window', 0))
    for result in run(
      study_of(tmp_path / 'out', seeds=(seed,), protocol=_SUPERVISED | {'split': split}, **shared)
    ).values()
  ]
  assert {path.parent for path in tmp_path.rglob('pretrained.json')} == {
    tmp_path / 'own/alpha/pretrain',
    tmp_path / 'own/alpha/supervised',
  }
  (seconds,) = {result['seconds']['supervised'] for result in made}
  assert seconds == storage.read(tmp_path / 'own/alpha/supervised/pretrained.json')['seconds']


def test_supervised_pretraining_depends_on_source_labels_only(runs, study_of, windows, out, tmp_path):
  folder = own_pretraining(out, tmp_path / 'own')
  expected = pretrained(study_of(tmp_path / 'out', protocol=_SUPERVISED, pretrained_dir=folder))
  for name, moves in (('alpha', False), ('beta', True)):
    shutil.copytree(windows, tmp_path / name)
    old = store.load(tmp_path / name / name)
    shuffled = np.random.default_rng(0).permutation(old.activity)
    store.save(dataclasses.replace(old, activity=shuffled), tmp_path / name / name)
    altered = study_of(
      tmp_path / f'out-{name}',
      windows=tmp_path / name,
      protocol=_SUPERVISED,
      pretrained_dir=own_pretraining(out, tmp_path / f'own-{name}', tmp_path / name),
    )
    leaves = pretrained(altered)
    assert any(not np.array_equal(leaves[path], leaf) for path, leaf in expected.items()) is moves, name


def test_stages_run_in_order_and_are_shared(runs, study_of, out, tmp_path):
  every = _CONTINUED | _SUPERVISED
  made = run(study_of(tmp_path, protocol=every, pretrained_dir=out, methods=('lora', 'scratch')))
  paths = [tmp_path / f'alpha/{stage}/subject/seed0/pretrained.json' for stage in _STAGES]
  entries = dict(zip(_STAGES, map(storage.read, paths), strict=True))
  before = [path.stat().st_mtime_ns for path in paths]
  for stage, following in itertools.pairwise(_STAGES):
    assert entries[following]['identity']['from'] == entries[stage]['identity']
  seconds = {stage: entries[stage]['seconds'] for stage in _STAGES}
  assert made[LORA]['seconds'].items() >= seconds.items()
  scratch = 'alpha/scratch/subject/labels-0.7/seed0.json'
  assert made[scratch]['seconds'].keys().isdisjoint(_STAGES)
  assert made[scratch]['test'] == runs[scratch]['test']
  # Every activity and subject of both sources; the target's classes are the first three.
  names = (*ACTIVITIES, 'eating_soup')
  supervised = entries['supervised']
  assert supervised['identity']['classes'] == sorted(names)
  assert supervised['identity']['windows'].keys() == {'beta', 'gamma'}
  assert (supervised['step'], supervised['windows']) == (4, 2 * len(names) * EACH * (SUBJECTS - 1))
  # Studies with fewer labels, self-training or fewer stages find the shared ones.
  other = every | {'label_budget': '2/class', 'self_training': 1}
  few = study_of(tmp_path, protocol=other, pretrained_dir=out)
  studies = few, study_of(tmp_path, protocol=_CONTINUED, pretrained_dir=out), study_of(out)
  started = [pretrained(study) for study in studies]
  assert started[1].keys() == started[2].keys()
  assert {path for path in started[0] if '/encoder/' in path} == started[1].keys()
  assert len({leaves['params/encoder/embed/kernel'].tobytes() for leaves in started}) == 3
  assert [path.stat().st_mtime_ns for path in paths] == before
  # A stage whose folder was deleted is trained again, although a later one is finished.
  shutil.rmtree(tmp_path / 'alpha' / 'continued')
  (tmp_path / LORA).unlink()
  (again,) = run(study_of(tmp_path, protocol=every, pretrained_dir=out)).values()
  assert again['test'] == made[LORA]['test']
  assert again['seconds'].keys() == made[LORA]['seconds'].keys()


def test_a_stopped_stage_resumes_to_the_same_numbers(runs, study_of, out, tmp_path):
  asked = {'supervised_pretraining_steps': 20}
  whole, stopped = (
    study_of(tmp_path / name, protocol=asked, pretrained_dir=own_pretraining(out, tmp_path / f'{name}-own'))
    for name in ('whole', 'stopped')
  )
  expected, study = pretrained(whole), stopped
  with pytest.raises(Stopped, match='saved at step 16'):
    pretrained(study, stop=lambda: True)
  leaves = pretrained(study)
  assert_equal(leaves, expected)
  list(experiments.run(study, QUIET))


def test_the_head_starts_from_known_activities_and_draws_others(study_of, out, windows, runs, tmp_path):
  asked = {'protocol': _SUPERVISED, 'pretrained_dir': own_pretraining(out, tmp_path / 'own')}
  entries = pretrained(study_of(tmp_path, **asked))
  study, every = (
    study_of(tmp_path, **asked | {'protocol': _SUPERVISED | {'classes': classes}})
    for classes in ('locomotion', 'all')
  )
  # The sources' outputs are sorted: eating_soup, lying, sitting, walking. The target's order is another.
  first = prepare_run(spec_of(study), entries).run
  assert Sources(study.datasets, ('beta', 'gamma'), study.experiment.protocol).classes == (
    'eating_soup',
    'lying',
    'sitting',
    'walking',
  )
  outputs = 'params/head/dense_1/kernel'
  assert np.array_equal(first.trainable[outputs], entries[outputs][:, [3, 2, 1]])
  assert np.array_equal(first.trainable['params/head/dense_0/kernel'], entries['params/head/dense_0/kernel'])
  assert np.array_equal(
    first.statistics['batch_stats/head/norm_0/mean'], entries['batch_stats/head/norm_0/mean']
  )
  drawn = prepare_run(spec_of(every, 'scratch'), {}).run.trainable[outputs]
  with pytest.MonkeyPatch.context() as patched:  # sources that lack one of the target's activities
    patched.setattr(Sources, 'classes', property(lambda _: ('dancing', 'lying', 'sitting', 'walking')))
    fewer = prepare_run(spec_of(every, 'full'), entries)
  place = fewer.data.classes.index('eating_soup')
  assert np.array_equal(fewer.run.trainable[outputs][:, place], drawn[:, place])
  assert np.array_equal(
    np.delete(fewer.run.trainable[outputs], place, axis=1), entries[outputs][:, [3, 2, 1]]
  )


def test_an_adapted_head_keeps_its_drawn_kernels(study_of, out, runs, tmp_path):
  folder = own_pretraining(out, tmp_path / 'own')
  study = study_of(tmp_path, protocol=_SUPERVISED, pretrained_dir=folder)
  entries = pretrained(study)
  lora = dataclasses.replace(study.experiment.lora, targets=('query', 'head'))
  study = dataclasses.replace(study, experiment=dataclasses.replace(study.experiment, lora=lora))
  start = prepare_run(spec_of(study), entries).run
  bare = prepare_run(spec_of(study), {p: leaf for p, leaf in entries.items() if '/encoder/' in p}).run
  kernel = 'params/head/dense_0/kernel'
  assert np.array_equal(start.frozen[kernel], bare.frozen[kernel])
  assert np.array_equal(start.frozen['params/encoder/embed/kernel'], entries['params/encoder/embed/kernel'])


def test_supervised_pretraining_refuses_a_single_activity(study_of, tmp_path, monkeypatch):
  monkeypatch.setattr(Sources, 'classes', property(lambda _: ('walking',)))
  with pytest.raises(UserError, match=r'supervised_pretraining_steps 4 .*; beta, gamma have walking'):
    pretrained(study_of(tmp_path, protocol=_SUPERVISED))

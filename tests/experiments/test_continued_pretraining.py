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
from har_jax.datasets.folds import Sources
from har_jax.errors import Stopped, UserError
from har_jax.experiments.adaptation import prepare_run
from har_jax.experiments.stages import stages_of

pytestmark = pytest.mark.slow

_CONTINUED = {'continued_pretraining_steps': 3}
_SUPERVISED = {'supervised_pretraining_steps': 4}
_STAGES = ('continued', 'supervised')


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


def _seen(study: experiments.Study) -> dict[str, dict[str, np.ndarray]]:
  """What each stage learns from and is measured by."""
  return {
    stage.name: {
      f'{part} {name}': values for part, batch in enumerate(stage.windows()) for name, values in batch.items()
    }
    for stage in stages_of(spec_of(study))
  }


@pytest.mark.parametrize(
  ('name', 'altered', 'stages'),
  [
    ('alpha', 'signals of people who are tested on', set()),
    ('alpha', 'signals', {'continued'}),
    ('alpha', 'labels', set()),
    ('beta', 'signals', {'pretraining', 'supervised'}),
    ('beta', 'labels', {'supervised'}),
  ],
)
def test_of_the_target_a_stage_sees_windows_to_train_on_and_no_label(
  study_of, windows, tmp_path, name, altered, stages
):
  tested = set(target_of(study_of(tmp_path)).description.subjects.test)
  everyone = {f'{name}-{number}' for number in range(SUBJECTS)}
  others = {'labels': set()}.get(altered, everyone if altered == 'signals' else tested)
  copied = with_altered(windows, tmp_path / 'windows', name, others)
  if altered == 'labels':
    old = store.load(copied / name)
    activity, shown = np.array(old.activity), old.activity < len(ACTIVITIES)  # others are left out
    activity[shown] = np.random.default_rng(0).permutation(activity[shown])
    store.save(dataclasses.replace(old, activity=activity), copied / name)
  every = _CONTINUED | _SUPERVISED
  before, after = (_seen(study_of(tmp_path, windows=folder, protocol=every)) for folder in (windows, copied))
  assert list(before) == ['pretraining', 'continued', 'supervised']
  assert list(before['continued']) == ['0 signal', '0 origin', '1 signal']
  moved = {
    stage
    for stage, arrays in before.items()
    if not all(np.array_equal(after[stage][part], values) for part, values in arrays.items())
  }
  assert moved == stages


def test_stage_pretrain_trains_all_stages_and_stage_adapt_none(runs, study_of, out, tmp_path):
  study = study_of(tmp_path, protocol=_CONTINUED, pretrained_dir=out)
  missing = r'continued/subject/seed0/pretrained\.json is missing, .* run --phase=pretrain first'
  with pytest.raises(UserError, match=missing):
    list(experiments.run(study, ADAPT_ONLY))
  assert not list(tmp_path.iterdir())
  twice = dataclasses.replace(study, methods=('lora', 'full'))
  paths = [path for path, _ in experiments.pretrain(twice, QUIET)]  # each stage once
  assert [path.parent.name for path in paths] == ['pretrain', 'seed0']
  (result,) = run(study).values()
  assert result['identity']['experiment']['protocol']['continued_pretraining_steps'] == 3


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

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
from har_jax.errors import Stopped, UserError
from har_jax.experiments.stages import stages_of

pytestmark = pytest.mark.slow

_CONTINUED = {'continued_pretraining_steps': 3}
_SUPERVISED = {'supervised_pretraining_steps': 4}
_STAGES = ('continued', 'supervised')


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
  whole = target_of(study_of(tmp_path))
  assert (entries['continued']['step'], entries['continued']['windows']) == (3, len(whole.train['label']))
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

"""Self-training: one more round of training on what the first one labeled."""

import dataclasses
import itertools
import json
import pathlib

import numpy as np
import pytest
from lodo_studies import QUIET, assert_equal, run, with_altered, without_seconds

from har_jax import experiments, storage
from har_jax.datasets import balancing
from har_jax.errors import Stopped
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.objective import Classify, initial_shapes

pytestmark = pytest.mark.slow

_FEW = {'label_budget': '2/class', 'self_training': 1}
_FULL = 'alpha/full/subject/labels-2-per-class/seed0.json'


def _weights(study: experiments.Study, name: str) -> dict[str, np.ndarray]:
  """What a run's last checkpoint holds of the encoder and the head."""
  path = study.out / name
  entries = storage.read(path)
  objective = Classify(study.experiment.model, len(entries['data']['classes']), study.experiment.precision)
  shapes = initial_shapes(objective)
  variables = Checkpoints(path.with_suffix('') / 'checkpoints').variables(entries['step'], shapes)
  return {path: np.asarray(leaf) for path, leaf in variables.items()}


@pytest.fixture(scope='module')
def self_trained(runs, study_of, out, tmp_path_factory) -> tuple[experiments.Study, dict[str, dict]]:
  study = study_of(
    tmp_path_factory.mktemp('self_trained'), protocol=_FEW, pretrained_dir=out, methods=('full', 'scratch')
  )
  return study, run(study)


def _losses(folder: pathlib.Path) -> list[float]:
  lines = (folder / 'log.jsonl').read_text().splitlines()
  return [entries['loss'] for entries in map(json.loads, lines) if 'loss' in entries]


def test_a_run_is_made_again_on_what_its_end_labeled(self_trained, study_of, out, tmp_path):
  study, made = self_trained
  asked = {'protocol': {'label_budget': '2/class'}, 'pretrained_dir': out, 'methods': ('full', 'scratch')}
  plain = run(study_of(tmp_path, **asked))
  assert made.keys() == plain.keys()
  for name, result in made.items():
    folder = name.removesuffix('.json')
    once, again = _losses(tmp_path / folder), _losses(study.out / folder)
    assert len(once) == len(again) == 6
    assert _losses(study.out / folder / 'teacher1') == once  # first it is the run without self-training
    assert again != once
    assert result['data'] == plain[name]['data']  # no label more is paid for
    assert result['parameters'] == plain[name]['parameters']
    taught = Checkpoints(study.out / folder / 'teacher1' / 'checkpoints')._about(6).history
    seconds = [history[-1]['seconds'] for history in (taught, result['validation'])]
    assert result['seconds']['training'] == pytest.approx(sum(seconds))


def test_self_training_never_sees_who_is_tested_on(self_trained, study_of, windows, out, tmp_path):
  study, made = self_trained
  tested = set(made[_FULL]['data']['subjects']['test'])
  altered = with_altered(windows, tmp_path / 'windows', 'alpha', tested)
  other = study_of(tmp_path / 'out', windows=altered, protocol=_FEW, pretrained_dir=out, methods=('full',))
  (result,) = run(other).values()
  assert result['test'] != made[_FULL]['test']
  assert_equal(_weights(other, _FULL), _weights(study, _FULL))


def test_stopped_self_training_resumes_to_the_same_numbers(self_trained, study_of, out, tmp_path):
  study, made = self_trained
  asked = itertools.count(1)
  stopped = study_of(tmp_path, protocol=_FEW, pretrained_dir=out, methods=('full',))
  with pytest.raises(Stopped, match=r'alpha: full, subject split, seed 0: .*step 3'):
    # One poll before the run, and two while the teacher trains.
    list(experiments.run(stopped, dataclasses.replace(QUIET, stop=lambda: next(asked) == 4)))
  assert not (tmp_path / _FULL).exists()
  (result,) = run(stopped).values()
  assert without_seconds(result) == without_seconds(made[_FULL])
  assert_equal(_weights(stopped, _FULL), _weights(study, _FULL))


def test_seeds_trained_together_have_their_own_teachers(self_trained, study_of, out, tmp_path, monkeypatch):
  study, _ = self_trained
  seeds: list[tuple[str, int]] = []
  for name in ('pseudo_labeled', 'filter_by_teacher'):
    draw = getattr(balancing, name)
    monkeypatch.setattr(
      balancing,
      name,
      lambda *args, seed, name=name, draw=draw: seeds.append((name, seed)) or draw(*args, seed=seed),
    )
  asked = {'protocol': _FEW, 'pretrained_dir': out, 'methods': ('full',), 'seeds': (0, 1), 'batch_runs': 2}
  made = run(study_of(tmp_path, **asked))
  assert [result['batch_runs'] for result in made.values()] == [2, 2]
  assert seeds == [(name, seed) for seed in (0, 1) for name in ('pseudo_labeled', 'filter_by_teacher')]
  folder = _FULL.removesuffix('.json')
  for each in (folder, f'{folder}/teacher1'):
    alone, together = _losses(study.out / each), _losses(tmp_path / each)
    other = _losses(tmp_path / each.replace('seed0', 'seed1'))
    np.testing.assert_allclose(together, alone, rtol=1e-3)
    assert not np.allclose(other, alone, rtol=1e-3)

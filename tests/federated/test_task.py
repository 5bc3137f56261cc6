"""What a client trains and sends, and whose windows it has."""

import ast
import dataclasses
import pathlib
import sys
import tomllib
import types

import numpy as np
import pytest
from made_people import CLASSES, QUICK

from har_jax import files
from har_jax.datasets import batches as data_batches
from har_jax.errors import UserError
from har_jax.federated import people
from har_jax.federated.federation import Federation
from har_jax.federated.task import Task, load_task

_ROOT = pathlib.Path(__file__).parents[2]
_FLOWER = tomllib.loads((_ROOT / 'launch' / 'flower' / 'pyproject.toml').read_text())['tool']['flwr']['app']


def _task(base: pathlib.Path, **changed) -> Task:
  return Task(Federation(CLASSES, **{**QUICK, **changed}), files.load_base(base))


def test_a_federation_without_a_base_takes_the_bundled_one():
  task = load_task(Federation(('walking', 'sitting'), **QUICK), None)
  assert task.training.base.checksum == files.bundled_base().checksum
  assert task.federation.rank == QUICK['rank']


def test_first_windows_are_for_training_and_later_ones_for_testing(archive):
  everyone = people.read(archive)
  assert everyone.classes == CLASSES
  assert len(everyone.clients) == 6  # of ten; one is for validation, three never take part
  assert len(everyone.unseen['label']) == 3 * 36
  for person in everyone.clients:
    assert np.bincount(person.train['label']).tolist() == [4, 4, 4]
    assert np.bincount(person.later['label']).tolist() == [7, 7, 7]  # one overlaps those to train on
    flat = [part['signal'].reshape(len(part['signal']), -1) for part in (person.train, person.later)]
    assert not (flat[0][:, None] == flat[1][None]).all(axis=-1).any()


def test_the_rate_follows_its_schedule_over_all_rounds_and_draws_depend_on_the_seed(
  archive, base, monkeypatch
):
  """A last step moves far less. With one order of windows, only dropout and augmentation differ by seed."""
  task, person = _task(base), people.read(archive).clients[0]
  training, start = task.training, task.start
  read = data_batches.training_batches
  monkeypatch.setattr(
    data_batches, 'training_batches', lambda arrays, **options: read(arrays, **options | {'seed': 0})
  )

  def run(seed: int, first: int) -> tuple[float, float]:
    trained, losses = training.run(start, person.train, seed=seed, first=first, steps=1, total=20)
    moved = [np.abs(trained[path] - start[path]).max() for path in training.prepared.trainable]
    return max(moved), float(losses[0])

  assert run(1, 19)[0] < 0.1 * run(1, 10)[0]
  assert run(1, 10)[1] != run(2, 10)[1]
  assert run(1, 10) == run(1, 10)


def test_a_part_of_the_people_can_be_clients(archive, monkeypatch):
  everyone, some = (people.read(dataclasses.replace(archive, most=most)) for most in (None, 3))
  assert [person.number for person in some.clients] == [0, 1, 2]
  drawn = np.sort(np.random.default_rng(archive.seed).permutation(6)[:3])
  assert drawn.tolist() != [0, 1, 2]
  for person, number in zip(some.clients, drawn, strict=True):
    np.testing.assert_array_equal(person.train['signal'], everyone.clients[number].train['signal'])
  of_another_seed = people.read(dataclasses.replace(archive, seed=1))
  assert not np.array_equal(of_another_seed.unseen['signal'], everyone.unseen['signal'])
  for part in ('unseen', 'validation'):
    np.testing.assert_array_equal(getattr(some, part)['signal'], getattr(everyone, part)['signal'])
  split = people._split
  monkeypatch.setattr(people, '_split', lambda *rows: None if 0 in rows[1] else split(*rows))
  fewer = people.read.__wrapped__(archive).clients  # without one who has too few windows
  assert [person.number for person in fewer] == [0, 1, 2, 3, 4]


def test_a_client_can_lack_activities(archive):
  everyone = people.read(dataclasses.replace(archive, missing=1))
  lacking = [set(range(3)) - set(person.train['label'].tolist()) for person in everyone.clients]
  assert {len(missing) for missing in lacking} == {1}
  assert len(set().union(*lacking)) > 1
  assert all(np.bincount(person.later['label']).tolist() == [7, 7, 7] for person in everyone.clients)
  with pytest.raises(UserError, match=r'2 of 3 activities cannot be missing'):
    people.read(dataclasses.replace(archive, missing=2))


def test_a_person_has_the_same_windows_by_name(archive, windows):
  by_name = people.read_person(windows, 'made', 'p3', classes=CLASSES, labels=4, number=3)
  assert np.bincount(by_name.train['label']).tolist() == [4, 4, 4]
  clients = people.read(archive).clients
  (same,) = (one for one in clients if np.array_equal(one.train['signal'], by_name.train['signal']))
  np.testing.assert_array_equal(same.later['signal'], by_name.later['signal'])
  two = people.read_person(windows, 'made', 'p3', classes=CLASSES[:2], labels=4, number=3)
  assert np.bincount(two.train['label']).tolist() == [4, 4]  # without windows of other activities
  with pytest.raises(UserError, match=r"has no person 'p99'"):
    people.read_person(windows, 'made', 'p99', classes=CLASSES, labels=4, number=0)


def test_settings_are_the_same_after_they_were_sent():
  sent = Federation(CLASSES, robust='median', participation=0.5)
  assert Federation.from_entries(sent.entries()) == sent
  assert Federation.from_entries(sent.entries() | {'classes': ','.join(CLASSES), 'out': 'x'}) == sent


def test_privacy_counts_all_rounds_and_gives_each_client_a_tenth_of_its_part(monkeypatch):
  class Accountant:
    def compose(self, event, count):
      self.composed = event, count

    def get_epsilon(self, delta):
      return *self.composed, delta

  events = types.SimpleNamespace(GaussianDpEvent=lambda noise: ('normal', noise))
  package = types.SimpleNamespace(dp_event=events, rdp=types.SimpleNamespace(RdpAccountant=Accountant))
  monkeypatch.setitem(sys.modules, 'dp_accounting', package)
  private = {'clip_norm': 1.0, 'noise_multiplier': 2.0, 'equal_weights': True}
  assert Federation(CLASSES, rounds=7, **private).epsilon(5) == ((('normal', 2.0), 7, 0.02), 0.02)


@pytest.mark.parametrize('name', ['serverapp', 'clientapp'])
def test_flower_finds_the_apps(name):
  module, _, app = _FLOWER['components'][name].partition(':')
  tree = ast.parse((_ROOT / f'{module.replace(".", "/")}.py').read_text())
  # It reads the source, and takes no assignment that has an annotation.
  assigned = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
  assert app in [target.id for target in assigned if isinstance(target, ast.Name)]


def test_the_app_for_flower_has_every_setting_with_its_default():
  entries = _FLOWER['config']
  classes = entries['classes'].split(',')
  changed = {name: entries.get(name) for name in Federation(CLASSES).entries()}
  assert changed | {'classes': classes} == Federation(tuple(classes)).entries()


@pytest.mark.parametrize(
  ('changed', 'named'),
  [
    ({'robust': 'mean'}, 'one of none, median, trimmed_mean, multi_krum'),
    ({'participation': 0.0}, 'participation is 0.0'),
    ({'rounds': 0}, 'rounds is 0; it must be at least 1'),
    ({'clip_norm': 1.0}, 'both clip_norm and noise_multiplier over 0; they are 1.0 and 0.0'),
    ({'clip_norm': 1.0, 'noise_multiplier': 1.0}, 'needs equal weights'),
    ({'robust': 'median', 'clip_norm': 1.0}, 'robust median is without differential privacy'),
  ],
)
def test_settings_that_do_not_fit_are_refused(changed, named):
  with pytest.raises(UserError, match=named):
    Federation(CLASSES, **changed)


def test_only_what_trains_is_sent_in_sorted_order(base):
  sent = _task(base).start
  assert list(sent) == sorted(sent)
  assert {path.partition('/')[0] for path in sent} == {'batch_stats', 'lora', 'params'}
  assert all('/head/' in path for path in sent if not path.startswith('lora/'))
  assert any(path.startswith('params/encoder/') for path in _task(base, method='bitfit').start)


@pytest.mark.slow
def test_a_client_trains_all_that_it_sends_and_nothing_else(base, archive):
  person = people.read(archive).clients[0]
  task = _task(base)
  frozen = {path: np.array(leaf) for path, leaf in task.prepared.frozen.items()}
  changed, loss = task.fit(task.start, person.train, number=0, done=0)
  again, _ = task.fit(task.start, person.train, number=0, done=0)
  other, _ = task.fit(task.start, person.train, number=1, done=0)
  assert np.isfinite(loss)
  for path, leaf in changed.items():
    np.testing.assert_array_equal(leaf, again[path])
    # At first B is zero, and so is A's gradient: A moves in the second step.
    assert not np.array_equal(leaf, task.start[path]), path
  assert not np.array_equal(changed['params/head/dense_0/kernel'], other['params/head/dense_0/kernel'])
  for path, leaf in frozen.items():
    np.testing.assert_array_equal(task.prepared.frozen[path], leaf)


def test_a_round_goes_on_in_the_schedule_of_all_rounds(base, monkeypatch):
  task = _task(base)
  asked: list[dict] = []

  def run(variables, windows, **options):
    asked.append(options)
    return variables, np.array([1.0, 3.0])

  monkeypatch.setattr(task.training, 'run', run)
  for done in range(2):
    assert task.fit(task.start, {}, number=5, done=done)[1] == 2  # the mean loss
  steps, rounds = QUICK['local_steps'], QUICK['rounds']
  calls = [(call['first'], call['steps'], call['total']) for call in asked]
  assert calls == [(0, steps, rounds * steps), (steps, steps, rounds * steps)]
  monkeypatch.setattr(task, 'federation', dataclasses.replace(task.federation, seed=1))
  task.fit(task.start, {}, number=5, done=0)
  task.fit(task.start, {}, number=6, done=0)
  assert len({call['seed'] for call in asked}) == 4  # by round, federation and client


def test_clients_without_the_same_frozen_leaves_have_another_checksum(base):
  assert _task(base).checksum == _task(base, rounds=9).checksum
  assert _task(base, method='bitfit').checksum != _task(base).checksum


def test_the_adapter_of_a_task_is_an_adapter_of_its_base(base):
  task = _task(base)
  adapter = task.adapter(task.start, federated={'settings': {}, 'history': []})
  variables = files.attach(task.training.base, adapter)
  assert variables.keys() == task.prepared.variables.keys()
  assert adapter.card.classes == list(CLASSES)

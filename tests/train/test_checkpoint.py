"""Checkpoints: which are kept, what they restore, and which errors they raise."""

import pathlib
import shutil
import sys
import types
from collections.abc import Iterator

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import multihost_utils

from har_jax import checksums, config
from har_jax.datasets.batches import training_batches
from har_jax.errors import UserError
from har_jax.train import checkpoint, optimizer
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.run import InMemory
from har_jax.train.step import State, start

_WINDOWS = {'signal': np.arange(10, dtype=np.float32)[:, None]}


def _state(step: int, *, width: int = 3) -> State:
  rng = np.random.default_rng(step)
  trainable = {
    'params/head/kernel': jnp.asarray(rng.standard_normal((2, width)), jnp.float32),
    'lora/encoder/a': jnp.asarray(rng.standard_normal((2, 2)), jnp.float32),
  }
  statistics = {'batch_stats/head/mean': jnp.full(width, float(step))}
  state = start(trainable, statistics, optimizer.build(config.Training(), pretrained=True))
  return State(jnp.int32(step), trainable, statistics, state.optimizer)


def _batches() -> grain.DatasetIterator:
  return training_batches(_WINDOWS, batch=2, steps=20, seed=0)


def _newest(
  folder: pathlib.Path, batches: grain.DatasetIterator | None = None
) -> tuple[State, list[dict], float]:
  """What a restarted run finds: state, history and seconds."""
  newest = Checkpoints(folder).newest(_state(0), batches or _batches())
  assert newest is not None
  return newest


def _assert_same(actual: State, expected: State) -> None:
  assert jax.tree.structure(actual) == jax.tree.structure(expected)
  for leaf, expected_leaf in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
    assert leaf.dtype == expected_leaf.dtype
    np.testing.assert_array_equal(leaf, expected_leaf)


@pytest.fixture(scope='module')
def saved(tmp_path_factory) -> Checkpoints:
  """One checkpoint, for tests that only read."""
  checkpoints = Checkpoints(tmp_path_factory.mktemp('saved') / 'checkpoints')
  checkpoints.save(_state(1), _batches(), [])
  return checkpoints


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
  return Checkpoints(tmp_path / 'checkpoints')


def test_a_run_without_a_folder_keeps_the_newest_and_the_best():
  kept, history = InMemory(), list[dict]()
  for step, score in enumerate((0.1, 0.9, 0.2), start=1):
    history.append({'step': step, 'score': score})
    kept.save(_state(step), None, history)
  for step in (2, 3):
    state, variables = _state(step), kept.variables(step, {})
    assert variables.keys() == state.trainable.keys() | state.statistics.keys()
    for path, leaf in (state.trainable | state.statistics).items():
      np.testing.assert_array_equal(variables[path], leaf)
  with pytest.raises(KeyError):
    kept.variables(1, {})


def test_an_empty_folder_has_no_newest_state(checkpoints):
  assert checkpoints.newest(_state(0), _batches()) is None


def test_a_restored_state_and_its_batches_continue(checkpoints):
  batches = _batches()
  for _ in range(7):
    next(batches)
  history = [{'step': 7, 'score': 0.5, 'seconds': 1.25}]
  checkpoints.save(_state(7), batches, history)
  rest, again = [each['signal'] for each in batches], _batches()
  state, read, _ = _newest(checkpoints.folder, again)
  _assert_same(state, _state(7))
  assert read == history
  np.testing.assert_array_equal([each['signal'] for each in again], rest)


def test_each_collection_is_one_item(saved):
  items = {path.name for path in (saved.folder / '1').iterdir() if path.is_dir()}
  assert {'params', 'lora', 'batch_stats', 'optimizer', 'data', 'about'} <= items


def test_variables_are_restored_without_the_optimizer(saved):
  state = _state(1)
  shapes = jax.eval_shape(lambda: state.trainable | state.statistics)
  found = saved.variables(1, shapes)
  assert found.keys() == shapes.keys()
  for path, leaf in (state.trainable | state.statistics).items():
    np.testing.assert_array_equal(found[path], leaf)


def _kept(checkpoints: Checkpoints) -> set[int]:
  return {int(path.name) for path in checkpoints.folder.iterdir() if path.name.isdigit()}


def test_the_newest_and_the_best_are_kept(checkpoints):
  history, kept = [], []
  for step, score in enumerate([0.3, 0.2, 0.3, 0.1, 0.2, 0.5], start=1):
    history.append({'step': step, 'score': score})
    checkpoints.save(_state(step), _batches(), history)
    kept.append(_kept(checkpoints))
  assert kept == [{1}, {1, 2}, {3}, {3, 4}, {3, 5}, {6}]  # on equal scores the later


def test_one_without_a_score_is_kept_while_it_is_the_newest(checkpoints):
  checkpoints.save(_state(1), _batches(), [])
  assert _kept(checkpoints) == {1}
  history = [{'step': 2, 'score': -5.0}]
  checkpoints.save(_state(2), _batches(), history)
  assert _kept(checkpoints) == {2}
  checkpoints.save(_state(3), _batches(), history, seconds=1.5)
  assert _kept(checkpoints) == {2, 3}
  state, _, seconds = _newest(checkpoints.folder)  # as after a restart
  assert (int(state.step), seconds) == (3, 1.5)
  Checkpoints(checkpoints.folder).save(_state(4), _batches(), [*history, {'step': 4, 'score': -6.0}])
  assert _kept(checkpoints) == {2, 4}


def test_a_save_does_not_poll_for_preemption(checkpoints, monkeypatch):
  # The loop's `stop` polls JAX with its own count; a poll with another count in between would disturb it.
  polled: list[int] = []
  monkeypatch.setattr(multihost_utils, 'reached_preemption_sync_point', polled.append)
  checkpoints.save(_state(1), _batches(), [])
  assert not polled


def test_restored_arrays_are_on_one_device(saved):
  for leaf in jax.tree.leaves(_newest(saved.folder)[0]):
    assert isinstance(leaf, jax.Array)
    assert leaf.sharding.device_set == {jax.devices()[0]}


def test_a_checkpoint_of_another_model_is_refused_with_the_difference(saved):
  for restore in (
    lambda other: saved.newest(other, _batches()),
    lambda other: saved.variables(1, other.trainable | other.statistics),
  ):
    with pytest.raises(UserError) as caught:
      restore(_state(0, width=5))
    assert 'params/head/kernel: expected float32[2, 5], found float32[2, 3]' in str(caught.value)
    assert 'lora' not in str(caught.value)


def test_a_deleted_step_is_a_user_error(checkpoints):
  state = _state(1)
  with pytest.raises(UserError, match=r'step 1;'):
    checkpoints.variables(1, state.trainable | state.statistics)


@pytest.fixture
def files_stay_small() -> Iterator[None]:
  """Limits files to 16 KiB: the system refuses larger writes, as on a full disk."""
  import resource

  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, hard))
  yield
  resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.linux
def test_a_failed_write_is_a_user_error_and_keeps_the_last_checkpoint(checkpoints, request):
  checkpoints.save(_state(1), _batches(), [])
  request.getfixturevalue('files_stay_small')
  large = _state(2)
  large.trainable['params/head/kernel'] = jnp.asarray(
    np.random.default_rng(0).standard_normal((100, 100)), jnp.float32
  )
  with pytest.raises(UserError, match=rf'{checkpoints.folder}: File too large'):
    checkpoints.save(large, _batches(), [])
  _assert_same(_newest(checkpoints.folder)[0], _state(1))


@pytest.mark.parametrize(
  ('says', 'error', 'words'),
  [  # TensorStore's message on a full disk
    ("RESOURCE_EXHAUSTED: failed to write [os_error_code='28']", UserError, 'No space left on device'),
    ('shapes do not match', ValueError, 'shapes do not match'),
  ],
)
def test_a_full_disk_is_a_user_error_and_another_value_error_is_not(
  checkpoints, monkeypatch, says, error, words
):
  def fails(*_, **__):
    raise ValueError(says)

  monkeypatch.setattr(checkpoints._manager, 'save', fails)
  with pytest.raises(error, match=words):
    checkpoints.save(_state(1), _batches(), [])


def test_too_little_disk_space_is_refused_before_writing(checkpoints, monkeypatch):
  checkpoints.save(_state(1), _batches(), [])
  usage = types.SimpleNamespace(total=100, used=99, free=1)
  monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
  with pytest.raises(UserError, match='MB are free'):
    checkpoints.save(_state(2), _batches(), [])
  assert sorted(path.name for path in checkpoints.folder.iterdir()) == ['1']


def test_an_interrupted_save_is_removed(checkpoints):
  checkpoints.save(_state(1), _batches(), [])
  partial = checkpoints.folder / '2.orbax-checkpoint-tmp'
  partial.mkdir()
  (partial / 'params').write_text('half')
  assert int(_newest(checkpoints.folder)[0].step) == 1
  assert not partial.exists()


@pytest.mark.parametrize('is_whole', [True, False])
def test_what_a_killed_process_had_still_to_delete_is_deleted_when_the_run_goes_on(
  checkpoints, tmp_path, is_whole
):
  _save(checkpoints, 0.9, 0.5)
  shutil.copytree(checkpoints.folder / '2', tmp_path / '2')
  _save(checkpoints, 0.9, 0.5, 0.7)
  shutil.copytree(tmp_path / '2', checkpoints.folder / '2')
  if not is_whole:
    shutil.rmtree(checkpoints.folder / '2' / 'params')
  _assert_same(_newest(checkpoints.folder)[0], _state(3))
  assert _kept(checkpoints) == {1, 3}


def _save(checkpoints: Checkpoints, *scores: float) -> list[pathlib.Path]:
  """The folders of checkpoints with these scores, which are saved unless they are there."""
  history = [{'step': step, 'score': score} for step, score in enumerate(scores, start=1)]
  folders = [checkpoints.folder / str(entry['step']) for entry in history]
  for number, folder in enumerate(folders, start=1):
    if not folder.exists():
      checkpoints.save(_state(number), _batches(), history[:number])
  return folders


def _damage(folder: pathlib.Path, item: str) -> None:
  """Replaces the second half of every file of an item by zeros."""
  for path in (folder / item).rglob('*'):
    if path.is_file() and (content := path.read_bytes()):
      path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


@pytest.mark.slow
@pytest.mark.parametrize('item', ['about', 'data', 'params', 'optimizer'])
def test_a_damaged_checkpoint_is_skipped_for_the_one_before_and_replaced_by_the_next_save(
  checkpoints, caplog, item
):
  first, second = _save(checkpoints, 0.9, 0.5)
  _damage(second, item)
  state, history, _ = _newest(checkpoints.folder)
  _assert_same(state, _state(1))
  assert history == [{'step': 1, 'score': 0.9}]
  assert 'checkpoint 2' in caplog.text
  assert 'damaged and skipped' in caplog.text
  again = Checkpoints(checkpoints.folder)
  again.save(_state(2), _batches(), [*history, {'step': 2, 'score': 0.5}])
  _assert_same(_newest(checkpoints.folder)[0], _state(2))
  _damage(first, 'params')
  with pytest.raises(UserError, match=rf'checkpoint 1 in {checkpoints.folder} .*delete .* and run again'):
    Checkpoints(checkpoints.folder).variables(1, _state(1).trainable | _state(1).statistics)


def test_without_a_whole_checkpoint_there_is_none(checkpoints, caplog):
  for folder in _save(checkpoints, 0.9, 0.5):
    _damage(folder, 'about')
  assert Checkpoints(checkpoints.folder).newest(_state(0), _batches()) is None
  assert caplog.text.count('skipped') == 2


def test_arrays_that_orbax_takes_for_whole_are_compared_with_their_sum(checkpoints, monkeypatch, caplog):
  _save(checkpoints, 0.9)
  true_sum = checksums.hash_arrays
  with monkeypatch.context() as patched:  # as if other arrays had been written
    patched.setattr(checksums, 'hash_arrays', lambda arrays: true_sum([*arrays, np.zeros(1)]))
    _save(checkpoints, 0.9, 0.5)
  assert int(_newest(checkpoints.folder)[0].step) == 1
  assert 'the sum of batch_stats' in caplog.text


@pytest.mark.parametrize(
  ('item', 'old', 'new', 'says'),
  [
    ('about', 'float32', 'float#2', 'float#2'),  # no such dtype
    ('data', '0', '1', 'the sum of data'),
    ('about', '"data"', '"date"', 'the sum of data'),
  ],
)
def test_a_changed_entry_is_damage(checkpoints, caplog, item, old, new, says):
  _, second = _save(checkpoints, 0.9, 0.5)
  path = second / item / 'metadata'
  path.write_text(path.read_text().replace(old, new))
  assert int(_newest(checkpoints.folder)[0].step) == 1
  assert says in caplog.text


def test_letters_that_the_locale_does_not_know_are_named(tmp_path):
  with pytest.raises(UserError, match='PYTHONUTF8=1'):
    Checkpoints(tmp_path / 'L\udcc3\udca4ufe')


def test_a_late_read_of_a_closed_loop_is_silent_and_nothing_else(monkeypatch):
  shown = []
  monkeypatch.setattr(sys, 'unraisablehook', shown.append)
  checkpoint._silence_late_reads.__wrapped__()
  errors = RuntimeError('Event loop is closed'), RuntimeError('other'), OSError('Event loop is closed')
  for error in errors:
    sys.unraisablehook(types.SimpleNamespace(exc_value=error))
  assert [one.exc_value for one in shown] == [*errors[1:]]

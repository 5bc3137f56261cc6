"""Checkpoints: what is kept, what comes back, and what is refused."""

import pathlib
import resource
import shutil
from collections.abc import Iterator

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import multihost_utils

from har_jax import config
from har_jax.data.batches import training_batches
from har_jax.errors import UserError
from har_jax.train import optimizer
from har_jax.train.checkpoint import Checkpoints
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


def _assert_same(given: State, expected: State) -> None:
  assert jax.tree.structure(given) == jax.tree.structure(expected)
  for leaf, wanted in zip(jax.tree.leaves(given), jax.tree.leaves(expected), strict=True):
    assert leaf.dtype == wanted.dtype
    np.testing.assert_array_equal(leaf, wanted)


@pytest.fixture
def checkpoints(tmp_path: pathlib.Path) -> Checkpoints:
  return Checkpoints(tmp_path / 'checkpoints')


def test_nothing_saved_is_nothing_found(checkpoints: Checkpoints):
  assert checkpoints.newest(_state(0), _batches()) is None


def test_a_state_comes_back_whole_and_its_batches_go_on(checkpoints: Checkpoints):
  batches = _batches()
  for _ in range(7):
    next(batches)
  history = [{'step': 7, 'score': 0.5, 'seconds': 1.25}]
  checkpoints.save(_state(7), batches, history, 0.5)
  rest = [each['signal'] for each in batches]
  again = _batches()
  found = Checkpoints(checkpoints.folder).newest(_state(0), again)
  assert found is not None
  _assert_same(found[0], _state(7))
  assert found[1] == history
  np.testing.assert_array_equal([each['signal'] for each in again], rest)


def test_each_collection_is_an_item_of_its_own(checkpoints: Checkpoints):
  checkpoints.save(_state(1), _batches(), [], 0.0)
  items = {path.name for path in (checkpoints.folder / '1').iterdir() if path.is_dir()}
  assert {'params', 'lora', 'batch_stats', 'optimizer', 'data', 'about'} <= items


def test_some_variables_come_back_alone(checkpoints: Checkpoints):
  checkpoints.save(_state(1), _batches(), [], 0.0)
  state = _state(1)
  shapes = jax.eval_shape(lambda: state.trainable | state.statistics)
  found = checkpoints.variables(1, shapes)
  assert found.keys() == shapes.keys()
  for path, leaf in (state.trainable | state.statistics).items():
    np.testing.assert_array_equal(found[path], leaf)


@pytest.mark.parametrize(
  ('scores', 'kept'),
  [
    ([0.1, 0.2, 0.3], {3}),
    ([0.3, 0.2, 0.1], {1, 3}),
    ([0.1, 0.3, 0.2, 0.1], {2, 4}),
    ([0.3, 0.3, 0.1], {2, 3}),  # of equals the later
    ([0.3, 0.1, 0.3, 0.1], {3, 4}),
  ],
)
def test_the_newest_and_the_best_are_kept(checkpoints: Checkpoints, scores: list[float], kept: set[int]):
  for step, score in enumerate(scores, start=1):
    checkpoints.save(_state(step), _batches(), [], score)
  assert {int(path.name) for path in checkpoints.folder.iterdir() if path.name.isdigit()} == kept


def test_one_without_a_score_is_kept_while_it_is_the_newest(checkpoints: Checkpoints):
  def kept() -> set[int]:
    return {int(path.name) for path in checkpoints.folder.iterdir() if path.name.isdigit()}

  checkpoints.save(_state(1), _batches(), [])
  assert kept() == {1}
  checkpoints.save(_state(2), _batches(), [], -5.0)
  assert kept() == {2}
  checkpoints.save(_state(3), _batches(), [], seconds=1.5)
  assert kept() == {2, 3}
  again = Checkpoints(checkpoints.folder)  # as after a restart: scores come from the files
  found = again.newest(_state(0), _batches())
  assert found is not None
  assert int(found[0].step) == 3
  assert found[2] == 1.5
  again.save(_state(4), _batches(), [], -6.0)
  assert kept() == {2, 4}


def test_a_save_does_not_ask_whether_to_stop(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch):
  # The loop's `stop` asks JAX by a count of its own; a question by another count in between would spoil the agreement.
  asked: list[int] = []
  monkeypatch.setattr(multihost_utils, 'reached_preemption_sync_point', asked.append)
  checkpoints.save(_state(1), _batches(), [], 0.0)
  assert not asked


def test_what_comes_back_lies_on_one_device_and_may_be_used_up(checkpoints: Checkpoints):
  checkpoints.save(_state(1), _batches(), [], 0.0)
  found = checkpoints.newest(_state(0), _batches())
  assert found is not None
  for leaf in jax.tree.leaves(found[0]):
    assert isinstance(leaf, jax.Array)
    assert leaf.sharding.device_set == {jax.devices()[0]}


def test_another_models_checkpoint_is_refused_with_what_differs(checkpoints: Checkpoints):
  checkpoints.save(_state(1), _batches(), [], 0.0)
  for restore in (
    lambda other: checkpoints.newest(other, _batches()),
    lambda other: checkpoints.variables(1, other.trainable | other.statistics),
  ):
    with pytest.raises(UserError) as caught:
      restore(_state(0, width=5))
    assert 'another model' in str(caught.value)
    assert 'params/head/kernel: expected float32[2, 5], given float32[2, 3]' in str(caught.value)
    assert 'lora' not in str(caught.value)


def test_a_step_that_was_deleted_is_the_users_error(checkpoints: Checkpoints):
  state = _state(1)
  with pytest.raises(UserError, match=r'lacks the checkpoint of step 1; delete .* and run again'):
    checkpoints.variables(1, state.trainable | state.statistics)


@pytest.fixture
def files_stay_small() -> Iterator[None]:
  """No file may grow over 16 KiB: the system's own refusal, as on a full disk."""
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, hard))
  yield
  resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_refused_write_is_the_users_error_and_the_checkpoint_before_it_stays(
  checkpoints: Checkpoints, request: pytest.FixtureRequest
):
  checkpoints.save(_state(1), _batches(), [], 0.0)
  request.getfixturevalue('files_stay_small')
  large = _state(2)
  large.trainable['params/head/kernel'] = jnp.asarray(
    np.random.default_rng(0).standard_normal((100, 100)), jnp.float32
  )
  with pytest.raises(UserError, match=r'no checkpoint could be written to .*: File too large'):
    checkpoints.save(large, _batches(), [], 1.0)
  found = Checkpoints(checkpoints.folder).newest(_state(0), _batches())
  assert found is not None
  _assert_same(found[0], _state(1))


def test_a_full_disk_is_the_users_error(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch):
  def full(*_, **__):
    raise ValueError("RESOURCE_EXHAUSTED: failed to write: No space left on device [os_error_code='28']")

  monkeypatch.setattr(checkpoints._manager, 'save', full)  # TensorStore's words, from a full disk
  with pytest.raises(UserError, match='No space left on device'):
    checkpoints.save(_state(1), _batches(), [], 0.0)


def test_a_disk_too_small_is_refused_before_anything_is_written(
  checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
):
  checkpoints.save(_state(1), _batches(), [], 0.0)
  monkeypatch.setattr(shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(100, 99, 1))  # type: ignore[attr-defined]
  with pytest.raises(UserError, match='free some space and run again'):
    checkpoints.save(_state(2), _batches(), [], 0.0)
  assert sorted(path.name for path in checkpoints.folder.iterdir()) == ['1']


def test_a_mistake_of_ours_is_not_taken_for_the_users(
  checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
):
  def wrong(*_, **__):
    raise ValueError('shapes do not match')

  monkeypatch.setattr(checkpoints._manager, 'save', wrong)
  with pytest.raises(ValueError, match='shapes do not match'):
    checkpoints.save(_state(1), _batches(), [], 0.0)


def test_a_save_that_was_killed_is_cleared_away(checkpoints: Checkpoints):
  checkpoints.save(_state(1), _batches(), [], 0.0)
  torn = checkpoints.folder / '2.orbax-checkpoint-tmp'
  torn.mkdir()
  (torn / 'params').write_text('half')
  found = Checkpoints(checkpoints.folder).newest(_state(0), _batches())
  assert found is not None
  assert int(found[0].step) == 1
  assert not torn.exists()

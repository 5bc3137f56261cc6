"""Windows of another length or rate: what their folder says, and how a model of another one is refused."""

import re

import pytest
from made_people import save_windows

from har_jax import config, experiments, storage
from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Datasets
from har_jax.errors import UserError

_LONG, _SLOW = Windowing(256, 50), Windowing(64, 25)


def test_seconds_and_steps_follow_from_samples_and_rate():
  assert (DEFAULT_WINDOWING.seconds, DEFAULT_WINDOWING.step_s) == (2.56, 1.28)
  assert (_LONG.seconds, _LONG.step_samples, _LONG.step_s) == (5.12, 128, 2.56)
  assert (_SLOW.seconds, _SLOW.step_samples, _SLOW.step_s) == (2.56, 32, 1.28)
  assert Windowing(5, 1).step_samples == 2


@pytest.mark.parametrize('windowing', [_LONG, _SLOW])
def test_a_folder_says_the_length_and_rate_of_its_windows(tmp_path, windowing):
  windows = store.load(save_windows(tmp_path / 'made', windowing=windowing))
  assert windows.signals.shape == (360, windowing.samples, 6)
  assert windows.meta.windowing == Datasets.open(tmp_path).windowing == windowing


def test_windows_that_do_not_say_their_length_have_128_samples(tmp_path):
  path = save_windows(tmp_path / 'made') / 'meta.json'
  meta = storage.parse(path)
  del meta['window_samples']
  storage.write(path, meta)
  assert store.load(path.parent).meta.windowing == DEFAULT_WINDOWING


def test_signals_of_another_length_than_the_meta_says_are_refused(tmp_path):
  path = save_windows(tmp_path / 'made', windowing=_LONG) / 'meta.json'
  storage.write(path, storage.parse(path) | {'window_samples': 128})
  with pytest.raises(UserError, match=re.escape('signals are float32[360, 256, 6], not float32[w, 128, 6]')):
    store.load(path.parent)


def test_datasets_of_two_lengths_have_none_in_common(tmp_path):
  save_windows(tmp_path / 'one', windowing=_LONG)
  save_windows(tmp_path / 'two', windowing=_SLOW)
  with pytest.raises(
    UserError, match=r'differ \(one 256 samples at 50 Hz, two 64 samples at 25 Hz\): prepare them alike'
  ):
    _ = Datasets.open(tmp_path).windowing


def test_a_study_of_windows_that_the_model_does_not_take_is_refused(tmp_path):
  for name in ('one', 'two'):
    save_windows(tmp_path / name, windowing=_LONG)

  def study(**model: int) -> experiments.Study:
    return experiments.Study(
      out=tmp_path / 'runs',
      datasets=Datasets.open(tmp_path),
      experiment=config.Experiment(model=config.Model(patch_size=16, stem=(8,) * 4, log_std=False, **model)),
      targets=('one',),
      methods=('probe',),
      seeds=(0,),
    )

  assert len(study(window_samples=256).runs) == 1
  assert study(window_samples=256).datasets['one'].identity.window_samples == 256
  for model in ({}, {'window_samples': 256, 'rate_hz': 25}):
    with pytest.raises(
      UserError,
      match=r'windows of one are 256 samples at 50 Hz, and the model takes .* Hz: give a model or base',
    ):
      study(**model)

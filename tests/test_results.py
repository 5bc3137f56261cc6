"""Result files: found at any depth, and compared."""

import made_results
import pytest
from made_results import result

from har_jax import results, storage
from har_jax.errors import UserError


def test_results_are_found_at_any_depth_and_others_passed_over(tmp_path):
  for name in ('b/lora/seed1.json', 'a/full/window/seed0.json'):
    storage.write(tmp_path / name, result())
  storage.write(tmp_path / 'a' / 'seed9.json', {'format': 'another'})
  storage.write(tmp_path / 'a' / 'pretrained.json', {'format': results.FORMAT})
  paths = results.find(tmp_path)
  assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
    'a/full/window/seed0.json',
    'b/lora/seed1.json',
  ]


def test_results_on_different_windows_of_one_archive_are_refused(tmp_path):
  for seed in (0, 1):
    made = result(seed=seed)
    made['identity']['windows']['wisdm']['sum'] += str(seed)
    storage.write(tmp_path / str(seed) / 'seed0.json', made)
  with pytest.raises(UserError, match=r'1/seed0\.json and .*0/seed0\.json are of different windows of wisdm'):
    results.find(tmp_path)


def test_a_result_without_its_time_of_training_or_the_windows_of_its_target_is_refused(tmp_path):
  without_time, without_windows = result(), result()
  del without_time['seconds']['training'], without_windows['identity']['windows']['wisdm']
  for made, missing in (
    (without_time, 'seconds of training'),
    (without_windows, 'windows of wisdm, the target,'),
  ):
    storage.write(tmp_path / 'seed0.json', made)
    with pytest.raises(UserError, match=f'{missing} are missing'):
      results.find(tmp_path)


def test_made_up_windows_have_their_sum_in_place_of_a_checksum():
  def named(checksum: str, sum_: str) -> tuple[str, str]:
    made = result(checksum=checksum)
    for windows in made['identity']['windows'].values():
      windows['sum'] = sum_
    row = made_results.row(made, 'study')
    return row['windows'], row['target_windows']

  assert named('', 'a')[0] != named('', 'b')[0]
  assert named('', 'a')[1] != named('', 'b')[1]
  assert named('sha256:aa', 'a') == named('sha256:aa', 'b')  # as rows without sums have it


def test_rows_of_windows_of_another_length_do_not_share_the_name_of_their_windows():
  usual, long = result(), result()
  for windows in long['identity']['windows'].values():
    windows |= {'window_samples': 256, 'rate_hz': 50}
  rows = [made_results.row(result, 'made') for result in (usual, long)]
  for column in ('windows', 'target_windows'):
    assert rows[0][column] != rows[1][column]


def test_a_target_of_several_positions_is_tested_on_the_first():
  def windows(position: str) -> tuple[str, str]:
    made = result()
    for entry in made['identity']['windows'].values():
      entry['position'] = position
    row = made_results.row(made, 'study')
    return row['target_windows'], row['windows']

  waist, both, wrist = map(windows, ('waist', 'waist,wrist', 'wrist'))
  assert both[0] == waist[0] != wrist[0]
  assert both[1] != waist[1]

"""Result files: found at any depth, and compared."""

import made_results
import pytest
from made_results import result

from har_jax import results, storage
from har_jax.errors import UserError


def test_results_are_found_at_any_depth_and_others_passed_over(place):
  for name in ('b/lora/seed1.json', 'a/full/window/seed0.json'):
    storage.write(place / name, result())
  storage.write(place / 'a' / 'seed9.json', {'format': 'another'})
  storage.write(place / 'a' / 'pretrained.json', {'format': results.FORMAT})
  paths = [path.relative_to(place).as_posix() for path in results.find(place)]
  assert paths == ['a/full/window/seed0.json', 'b/lora/seed1.json']


def test_results_on_different_windows_of_one_archive_are_refused(tmp_path):
  for seed in (0, 1):  # of two archives
    storage.write(tmp_path / str(seed) / 'seed0.json', result(seed=seed, checksum=f'sha256:{seed}'))
  assert len(results.find(tmp_path)) == 2
  for seed in (0, 1):
    made = result(seed=seed)
    made['identity']['windows']['wisdm']['sum'] += str(seed)
    storage.write(tmp_path / str(seed) / 'seed0.json', made)
  with pytest.raises(UserError, match=r'1/seed0\.json and .*0/seed0\.json are of different windows of wisdm'):
    results.find(tmp_path)


def test_a_result_whose_parts_do_not_fit_together_is_refused(tmp_path):
  without_time, without_windows = result(), result()
  del without_time['seconds']['training'], without_windows['identity']['windows']['wisdm']
  for made, message in (
    (without_time, 'the seconds of training are missing'),
    (without_windows, 'windows of wisdm, the target, are missing'),
    (result() | {'step': 45}, 'not one validation is of step 45'),
    (result(confusion=[[9, 1], [2]]), 'the confusion matrix is not of 2 classes'),
  ):
    storage.write(tmp_path / 'seed0.json', made)
    with pytest.raises(UserError, match=message):
      results.find(tmp_path)


def _names(of: str = '', **entries: object) -> tuple[str, str]:
  """The names of all windows and of the target's, of a row whose windows, or those of one, have these."""
  made = result()
  for name, windows in made['identity']['windows'].items():
    windows |= entries if of in ('', name) else {}
  row = made_results.row(made, 'study')
  return row['windows'], row['target_windows']


def test_other_windows_have_another_name_and_those_without_a_checksum_are_named_by_their_sum():
  usual, others = _names(), ({'checksum': 'sha256:bb'}, {'window_samples': 256}, {'rate_hz': 100})
  for other in (*(_names(**entries) for entries in others), _names(checksum='', sum='a')):
    assert usual[0] != other[0]
    assert usual[1] != other[1]
  for made_up, name in zip(_names(checksum='', sum='a'), _names(checksum='', sum='b'), strict=True):
    assert made_up != name
  assert usual == _names(sum='b')  # as rows without sums have it
  source, target = (_names(name, checksum='sha256:bb') for name in ('dsads', 'wisdm'))
  assert [name == same for name, same in zip(source + target, usual + usual, strict=True)] == [
    *(False, True),
    *(False, False),
  ]


def test_a_target_of_several_positions_is_tested_on_the_first():
  waist, both, wrist = (_names(position=position) for position in ('waist', 'waist,wrist', 'wrist'))
  assert both[1] == waist[1] != wrist[1]
  assert both[0] != waist[0]

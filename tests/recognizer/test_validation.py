"""Arrays that a caller passes are checked, and errors give the value found."""

import numpy as np
import pytest

from har_jax.config import DEFAULT_WINDOWING
from har_jax.errors import UserError
from har_jax.recognizer.validation import check_held_out, check_labels, check_windows, encode_groups

_WINDOWS = np.zeros((4, 128, 6))
_NOT_FINITE = _WINDOWS.copy()
_NOT_FINITE[1, 5, 2] = np.nan
_NOT_FINITE[3, :, 0] = np.inf


def test_windows_are_converted_to_float32():
  assert check_windows(_WINDOWS.astype(int).tolist(), DEFAULT_WINDOWING).dtype == np.float32


@pytest.mark.parametrize(
  ('windows', 'message'),
  [
    (_WINDOWS[0], r'\[128, 6\]'),
    (_WINDOWS[:, :, :3], r'\[4, 128, 3\]'),
    (_WINDOWS[:0], r'\[0, 128, 6\]'),
    (_WINDOWS + 1j, 'complex128'),
    (_NOT_FINITE, '2 of 4 windows'),
  ],
)
def test_arrays_that_are_not_windows_are_errors(windows, message):
  with pytest.raises(UserError, match=message):
    check_windows(windows, DEFAULT_WINDOWING)


def test_labels_are_indices_of_the_sorted_classes():
  classes, indices = check_labels(['walking', 'lying', 'walking', 'still'], 4)
  assert classes.tolist() == ['lying', 'still', 'walking']
  assert indices.tolist() == [2, 0, 2, 1]
  assert indices.dtype == np.int32


@pytest.mark.parametrize(
  ('labels', 'message'),
  [(['a'], r'\[1\] for 2'), (['a', 'a'], "'a'"), ([1.0, np.nan], 'nan'), ([None, 'a'], 'None')],
)
def test_invalid_labels_are_errors(labels, message):
  with pytest.raises(UserError, match=message):
    check_labels(labels, 2)


def test_a_held_out_mask_must_leave_every_class():
  label = np.array([0, 0, 1, 1], np.int32)
  mask = [True, False, False, True]
  assert check_held_out(mask, label).tolist() == mask
  for invalid, message in (
    ([True] * 3, r'\[3\]'),
    ([1, 0, 0, 1], 'int64'),
    ([True, True, False, False], 'class'),
  ):
    with pytest.raises(UserError, match=message):
      check_held_out(invalid, label)


@pytest.mark.parametrize(
  ('groups', 'indices'), [(None, None), (['b', 'a', 'b'], [1, 0, 1]), ([7, 9, 7], [0, 1, 0])]
)
def test_groups_are_encoded_as_indices(groups, indices):
  encoded = encode_groups(groups, 3)
  assert (None if encoded is None else encoded.tolist()) == indices


def test_too_few_groups_are_an_error():
  with pytest.raises(UserError, match=r'\[1\] for 2'):
    encode_groups(['a'], 2)

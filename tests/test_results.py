"""Result files: found at any depth, and compared."""

import pathlib

import pytest
from made_results import result

from har_jax import results, storage
from har_jax.errors import UserError


def test_results_are_found_at_any_depth_and_others_passed_over(tmp_path: pathlib.Path):
  for name in ('b/lora/seed1.json', 'a/full/window/seed0.json'):
    storage.write(tmp_path / name, result() | {'name': name})
  storage.write(tmp_path / 'a' / 'seed9.json', {'format': 'another'})
  storage.write(tmp_path / 'a' / 'pretrained.json', {'format': results.FORMAT})
  found = results.find(tmp_path)
  assert [result['name'] for result in found.values()] == ['a/full/window/seed0.json', 'b/lora/seed1.json']


def test_no_results_is_the_users_error(tmp_path: pathlib.Path):
  with pytest.raises(UserError, match='no results under'):
    results.find(tmp_path)


def test_differences_name_the_entry_and_both_values():
  made, asked = {'a': {'b': 1, 'c': [1]}, 'd': 2}, {'a': {'b': 2, 'c': [1]}, 'e': 2}
  assert results.differences(made, asked) == [
    'a.b: made with 1, now with 2',
    'd: made with 2, now without',
    'e: made without, now with 2',
  ]
  assert results.differences(made, made) == []

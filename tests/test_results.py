"""Result files: whole or not at all, and errors that say what to do."""

import errno
import os
import pathlib

import pytest

from har_jax import results
from har_jax.errors import UserError


def test_a_result_is_read_as_it_was_written(tmp_path: pathlib.Path):
  path = tmp_path / 'a' / 'b' / 'seed0.json'
  results.write(path, {'format': results.FORMAT, 'target': 'pampã', 'x': [1, 2.5, None]})
  assert results.read(path) == {'format': results.FORMAT, 'target': 'pampã', 'x': [1, 2.5, None]}
  assert os.listdir(path.parent) == ['seed0.json']


def test_a_full_disk_is_the_users_error_and_leaves_nothing(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  path = tmp_path / 'seed0.json'
  results.write(path, {'old': 1})
  monkeypatch.setattr(os, 'replace', full)
  with pytest.raises(UserError, match='No space left on device; free some space'):
    results.write(path, {'new': 2})
  assert os.listdir(tmp_path) == ['seed0.json']
  assert results.read(path) == {'old': 1}


def test_a_file_in_the_way_of_a_folder_is_the_users_error(tmp_path: pathlib.Path):
  (tmp_path / 'out').write_text('')
  with pytest.raises(UserError, match='give another --out'):
    results.write(tmp_path / 'out' / 'target' / 'seed0.json', {})


@pytest.mark.parametrize('text', ['', '{"a": 1', '[1]', '\udcff'.encode(errors='surrogateescape')])
def test_a_damaged_result_says_delete_it(tmp_path: pathlib.Path, text: str | bytes):
  path = tmp_path / 'seed0.json'
  path.write_bytes(text.encode() if isinstance(text, str) else text)
  with pytest.raises(UserError, match='delete it to run again'):
    results.read(path)


def test_results_are_found_at_any_depth_and_others_passed_over(tmp_path: pathlib.Path):
  for name in ('b/lora/seed1.json', 'a/full/window/seed0.json'):
    results.write(tmp_path / name, {'format': results.FORMAT, 'name': name})
  results.write(tmp_path / 'a' / 'seed9.json', {'format': 'another'})
  results.write(tmp_path / 'a' / 'pretrained.json', {'format': results.FORMAT})
  found = results.find(tmp_path)
  assert [result['name'] for result in found] == ['a/full/window/seed0.json', 'b/lora/seed1.json']


def test_no_results_is_the_users_error(tmp_path: pathlib.Path):
  with pytest.raises(UserError, match='no results under'):
    results.find(tmp_path)


def test_differences_name_the_entry_and_both_values():
  made, asked = {'a': {'b': 1, 'c': [1]}, 'd': 2}, {'a': {'b': 2, 'c': [1]}, 'e': 2}
  assert results.differences(made, asked) == [
    'a.b: made with 1, now 2',
    'd: made with 2, now None',
    'e: made with None, now 2',
  ]
  assert results.differences(made, made) == []

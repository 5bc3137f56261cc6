"""No damaged file is taken for whole: it is refused with its name and what to do, or gives equal numbers."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import made_people
import numpy as np
import pytest
from made_results import result

from har_jax import checksums, files, results, storage
from har_jax.datasets import windows as store
from har_jax.errors import UserError


def _write_result(folder: pathlib.Path) -> None:
  storage.write(folder / 'seed0.json', result(method='lora', subjects={'1': 0.5}))


def _write_base(folder: pathlib.Path) -> None:
  base = files.bundled_base()
  files.save_base(folder, base.variables, base.card)


def _write_adapter(folder: pathlib.Path) -> None:
  files.save_adapter(folder, files.head_adapter(files.bundled_base()))


_KINDS: dict[str, tuple[Callable[[pathlib.Path], Any], Callable[[pathlib.Path], Any]]] = {
  'windows': (made_people.save_windows, store.load),
  'result': (_write_result, results.find),
  'base': (_write_base, files.load_base),
  'adapter': (_write_adapter, files.load_adapter),
}


@pytest.mark.parametrize('kind', _KINDS)
def test_a_damaged_file_is_refused_in_a_line_that_says_where_it_is(tmp_path, kind):
  """tests/fuzz damages each format in many ways."""
  write, read = _KINDS[kind]
  write(tmp_path / 'whole')
  read(tmp_path / 'whole')
  for path in (tmp_path / 'whole').iterdir():
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    is_card = path.suffix == '.json'  # without a sum of its own
    for damaged in (whole[:middle], b'{"format": ' + b'[' * 100_000 if is_card else flipped):
      path.write_bytes(damaged)
      with pytest.raises(UserError, match='cannot be read' if is_card else 'again') as refused:
        read(tmp_path / 'whole')
      assert str(tmp_path) in str(refused.value)
      assert len(str(refused.value).splitlines()) == 1
    path.write_bytes(whole)


@pytest.mark.parametrize(
  ('entry', 'value'),
  [
    ('temperature', 0.0),
    ('temperature', 1e300),
    ('rank', 10**12),
    ('classes', ['a']),
    ('classes', ['a', 'a']),
    ('normalizer', {'mean': [0, 0], 'deviation': [0, 1]}),
    ('normalizer', {'mean': [1e31, 0], 'deviation': [1, 1]}),
    ('model', {'depth': 10**12}),
    ('model', {'head': [10**12]}),
    ('training', {'tta_shifts': 10**12}),
    ('checksum', 'x'),
    ('base', 'a' * 65),
    ('targets', []),
    ('signals', {}),
  ],
)
def test_an_adapter_out_of_range_is_refused_at_once(tmp_path, entry, value):
  _write_adapter(tmp_path)
  path = tmp_path / 'adapter.json'
  path.write_text(json.dumps(json.loads(path.read_bytes()) | {'class_logits': None, entry: value}))
  with pytest.raises(UserError, match=r'adapter\.json: .*; fetch or write it again'):
    files.load_adapter(tmp_path)


def test_no_adapter_that_is_out_of_range_is_written(tmp_path):
  adapter = files.head_adapter(files.bundled_base())
  adapter.card.temperature = float('nan')
  with pytest.raises(UserError, match='temperature'):
    files.save_adapter(tmp_path, adapter)
  assert not list(tmp_path.iterdir())


def test_the_sum_of_arrays_depends_on_type_shape_order_and_bytes():
  a, b = np.arange(6, dtype=np.float32), np.zeros((), np.int32)
  sums = {
    checksums.hash_arrays(arrays)
    for arrays in ([a, b], [b, a], [a.reshape(2, 3), b], [a.view(np.int32), b], [a + 1, b], [a])
  }
  assert len(sums) == 6
  assert checksums.hash_arrays([a[::-1][::-1], b]) == checksums.hash_arrays([a, b])


def test_the_sum_of_entries_depends_on_values_and_not_on_their_order():
  given = checksums.hash_entries({'a': 1, 'b': [2, 3]})
  assert given == checksums.hash_entries({'b': [2, 3], 'a': 1})
  assert given != checksums.hash_entries({'a': 1, 'b': [3, 2]})


@pytest.mark.parametrize(
  ('entry', 'message'), [('format', 'has the format None'), ('sums', 'card next to it says')]
)
def test_a_card_without_its_format_or_its_sums_is_refused(tmp_path, entry, message):
  made_people.save_windows(tmp_path)
  card = json.loads((tmp_path / 'meta.json').read_bytes())
  del card[entry]
  (tmp_path / 'meta.json').write_text(json.dumps(card))
  with pytest.raises(UserError, match=message):
    store.load(tmp_path)


def test_the_sum_of_a_file_is_that_of_its_bytes(tmp_path):
  for content in (b'', b'bytes'):
    (tmp_path / 'file').write_bytes(content)
    assert checksums.hash_file(tmp_path / 'file') == checksums.hash_bytes(content)

"""No damaged file is taken for whole: it is refused with its name and what to do, or gives equal numbers."""

import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import damage
import numpy as np
import pytest
from made_results import result

from har_jax import checksums, files, results, storage
from har_jax.config import DEFAULT_WINDOWING
from har_jax.datasets import windows as store
from har_jax.errors import UserError
from har_jax.signal import cutting


class Kind(NamedTuple):
  """How a kind of file is written, and what numbers are read from it."""

  write: Callable[[pathlib.Path], None]
  read: Callable[[pathlib.Path], dict[str, Any]]


def _write_windows(folder: pathlib.Path) -> None:
  rng = np.random.default_rng(0)
  cut = [
    cutting.Window(rng.normal(size=(128, 6)).astype(np.float32), activity, subject, number, 0.0, 'waist')
    for number, (activity, subject) in enumerate([('walking', 'a'), ('sitting', 'a'), ('walking', 'b')])
  ]
  store.save(store.gather(cut, {'archive': 'tiny', 'position': 'waist'}, DEFAULT_WINDOWING), folder / 'tiny')


def _read_windows(folder: pathlib.Path) -> dict[str, Any]:
  windows = store.load(folder / 'tiny')
  return {**vars(windows), 'signals': np.array(windows.signals)}


def _write_result(folder: pathlib.Path) -> None:
  storage.write(folder / 'seed0.json', result(method='lora', subjects={'1': 0.5}))


def _read_result(folder: pathlib.Path) -> dict[str, Any]:
  (found,) = results.find(folder).values()
  return results.row(found, 'study')


def _write_base(folder: pathlib.Path) -> None:
  base = files.bundled_base()
  files.save_base(folder, base.variables, base.card)


def _write_adapter(folder: pathlib.Path) -> None:
  files.save_adapter(folder, files.head_adapter(files.bundled_base()))


_KINDS = {
  'windows': Kind(_write_windows, _read_windows),
  'result': Kind(_write_result, _read_result),
  'base': Kind(_write_base, lambda folder: vars(files.load_base(folder))),
  'adapter': Kind(_write_adapter, lambda folder: vars(files.load_adapter(folder))),
}


@pytest.fixture(params=_KINDS, scope='module')
def kind(request: pytest.FixtureRequest) -> Kind:
  return _KINDS[request.param]


@pytest.fixture(scope='module')
def folder(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  written = tmp_path_factory.mktemp('whole')
  kind.write(written)
  return written


def _refusal(kind: Kind, folder: pathlib.Path, expected: dict[str, Any] | None = None) -> str:
  """What a reader says to damage; '' where it read the expected numbers, or any if none are given."""
  try:
    found = kind.read(folder)
  except UserError as error:
    return str(error)
  if expected is not None:
    np.testing.assert_equal(found, expected)
  return ''


def _refused_or_equal(kind: Kind, folder: pathlib.Path, expected: dict[str, Any]) -> None:
  if said := _refusal(kind, folder, expected):
    assert str(folder) in said
    assert 'again' in said
    assert len(said.splitlines()) == 1


def test_a_flipped_bit_a_cut_or_zeros_are_refused_or_change_nothing(kind: Kind, folder: pathlib.Path):
  expected = kind.read(folder)
  for path in [path for path in folder.rglob('*') if path.is_file() and path.suffix != '.json']:
    whole = path.read_bytes()
    for damaged in damage.flipped(whole, 15):
      path.write_bytes(damaged)
      _refused_or_equal(kind, folder, expected)
    path.write_bytes(whole)


def test_a_damaged_card_is_refused_or_is_another_valid_card(kind: Kind, folder: pathlib.Path):
  kind.read(folder)
  (path,) = folder.rglob('*.json')
  whole = path.read_bytes()
  said = [_said_of(kind, folder, path, damaged) for damaged in damage.flipped(whole, 60)]
  assert all(str(folder) in each and len(each.splitlines()) == 1 for each in said if each)
  assert sum(bool(each) for each in said) > 15
  for end in (0, 1, len(whole) // 2, len(whole) - 2):
    assert 'cannot be read' in _said_of(kind, folder, path, whole[:end])
  assert 'cannot be read' in _said_of(kind, folder, path, b'{"format": ' + b'[' * 100_000)
  path.write_bytes(whole)


def _said_of(kind: Kind, folder: pathlib.Path, path: pathlib.Path, content: bytes) -> str:
  path.write_bytes(content)
  return _refusal(kind, folder)


def test_a_card_with_wrong_entries_is_refused(kind: Kind, folder: pathlib.Path):
  kind.read(folder)
  (path,) = folder.rglob('*.json')
  whole = path.read_bytes()
  for changed in damage.edited(json.loads(whole), 100):
    path.write_text(json.dumps(changed))
    _refusal(kind, folder)  # entries that no code reads are free; anything but a UserError fails
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
    ('model', {'depth': 10**12}),
    ('model', {'head': [10**12]}),
    ('training', {'tta_shifts': 10**12}),
    ('checksum', 'x'),
    ('targets', []),
  ],
)
def test_an_adapter_out_of_range_is_refused_at_once(tmp_path: pathlib.Path, entry: str, value: Any):
  _write_adapter(tmp_path)
  path = tmp_path / 'adapter.json'
  path.write_text(json.dumps(json.loads(path.read_bytes()) | {entry: value}))
  with pytest.raises(UserError, match=r'adapter\.json: .*; fetch or write it again'):
    files.load_adapter(tmp_path)


def test_no_adapter_that_is_out_of_range_is_written(tmp_path: pathlib.Path):
  adapter = files.head_adapter(files.bundled_base())
  adapter.card.temperature = float('nan')
  with pytest.raises(UserError, match='temperature'):
    files.save_adapter(tmp_path, adapter)
  assert not list(tmp_path.iterdir())


def test_the_sum_of_arrays_depends_on_type_shape_order_and_bytes():
  a, b = np.arange(6, dtype=np.float32), np.zeros((), np.int32)
  found = {
    checksums.hash_arrays(arrays)
    for arrays in ([a, b], [b, a], [a.reshape(2, 3), b], [a.view(np.int32), b], [a + 1, b], [a])
  }
  assert len(found) == 6
  assert checksums.hash_arrays([a[::-1][::-1], b]) == checksums.hash_arrays([a, b])


def test_the_sum_of_a_file_is_that_of_its_bytes(tmp_path: pathlib.Path):
  for content in (b'', b'bytes'):
    (tmp_path / 'file').write_bytes(content)
    assert checksums.hash_file(tmp_path / 'file') == checksums.hash_bytes(content)

"""A folder of windows is written completely or not at all, and damage to it is an error."""

import dataclasses
import errno
import os
import pathlib
import re

import msgspec
import numpy as np
import pytest
from cut_pieces import cut as _cut
from cut_pieces import ramp as _ramp
from cut_pieces import recording as _recording
from made_people import save_windows

from har_jax import checksums, records, storage
from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Dataset, Datasets
from har_jax.errors import UserError
from har_jax.signal.recording import Span

_LONG, _SLOW = Windowing(256, 50), Windowing(64, 25)


def _gathered(*recorded: tuple[str, str, tuple[str, ...]]) -> store.Windows:
  """From (subject, position, activities): a recording each, with two windows of an activity."""
  cut = []
  for number, (subject, position, activities) in enumerate(recorded):
    spans = [Span(4.0 * index, 4.0 * index + 4, activity) for index, activity in enumerate(activities)]
    recording = dataclasses.replace(_recording(1000, *spans, subject=subject), position=position)
    cut += _cut(recording, [_ramp(1000)], number=number)
  positions = dict.fromkeys(position for _, position, _ in recorded)
  return store.gather(cut, {'archive': 'tiny', 'position': ','.join(positions)}, DEFAULT_WINDOWING)


def _at_positions(*positions: str) -> store.Windows:
  """Two subjects who walk, and at the last of several positions also sit."""
  activities = dict.fromkeys(positions, ('walking',))
  if len(positions) > 1:
    activities[positions[-1]] += ('sitting',)
  return _gathered(*((subject, place, activities[place]) for place in positions for subject in ('9', '10')))


def _windows(activities=('walking', 'sitting'), subjects=('1', '2')) -> store.Windows:
  return _gathered(*((subject, '', activities) for subject in subjects))


def test_one_position_is_stored_without_a_column_for_it(tmp_path):
  store.save(_at_positions('waist'), tmp_path / 'tiny')
  with np.load(tmp_path / 'tiny' / 'index.npz') as index:
    assert sorted(index.files) == ['activity', 'recording', 'start_s', 'subject']
  loaded = store.load(tmp_path / 'tiny')
  entries = storage.read(tmp_path / 'tiny' / 'meta.json')
  assert not {'positions', 'by_position'} & (entries.keys() | entries['counts'].keys())
  assert loaded.position.tolist() == [0] * len(loaded.signals)
  assert store.at_position(loaded, 0) is loaded


def test_several_positions_are_stored_and_the_first_is_as_if_alone(tmp_path):
  several = _at_positions('torso', 'left_leg', 'right_arm')
  store.save(several, tmp_path / 'tiny')
  loaded = store.load(tmp_path / 'tiny')
  assert loaded.meta.positions == ['torso', 'left_leg', 'right_arm']
  assert loaded.meta.counts.by_position == {'torso': 4, 'left_leg': 4, 'right_arm': 8}
  np.testing.assert_array_equal(loaded.position, np.repeat([0, 1, 2], [4, 4, 8]))
  assert loaded.meta.activities == ['walking', 'sitting']
  _assert_same(store.at_position(loaded, 0), _at_positions('torso'))
  last = store.at_position(loaded, 2).meta.counts
  assert (last.windows, last.recordings, last.by_activity) == (8, 2, {'walking': 4, 'sitting': 4})


def test_positions_out_of_order_or_out_of_range_are_refused(tmp_path):
  windows = _at_positions('torso', 'left_leg')
  for position, message in (
    (windows.position[::-1], 'order of their positions'),
    (windows.position + 1, 'range'),
  ):
    store.save(dataclasses.replace(windows, position=position.astype(np.int16)), tmp_path / 'tiny')
    with pytest.raises(UserError, match=message):
      store.load(tmp_path / 'tiny')


def test_activities_are_in_a_fixed_order_and_subjects_as_read():
  windows = _windows(('sitting', 'walking'), ('9', '10'))
  assert windows.meta.activities == ['walking', 'sitting']  # as in ACTIVITIES
  assert windows.meta.subjects == ['9', '10']
  assert windows.activity.tolist() == [1, 1, 0, 0] * 2  # 200 samples of each: two windows
  assert windows.subject.tolist() == [0] * 4 + [1] * 4
  assert windows.meta.counts == records.WindowCounts(
    8, 2, by_activity={'walking': 4, 'sitting': 4}, by_subject={'9': 4, '10': 4}
  )


def test_no_window_at_all_is_an_error():
  with pytest.raises(UserError, match='no window'):
    store.gather([], {'archive': 'tiny'}, DEFAULT_WINDOWING)


def _assert_same(loaded: store.Windows, expected: store.Windows) -> None:
  assert isinstance(loaded.signals, np.memmap)
  for field in dataclasses.fields(expected):
    values, wanted = getattr(loaded, field.name), getattr(expected, field.name)
    np.testing.assert_equal(values, wanted)
    assert field.name == 'meta' or values.dtype == wanted.dtype


def test_a_saved_folder_loads_with_memory_mapped_signals(tmp_path):
  store.save(_windows(), tmp_path / 'deep' / 'tiny')
  _assert_same(store.load(tmp_path / 'deep' / 'tiny'), _windows())
  assert [path.name for path in (tmp_path / 'deep').iterdir()] == ['tiny']


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
  (tmp_path / 'tiny').mkdir()
  (tmp_path / 'tiny' / 'thesis.tex').write_text('years')
  with pytest.raises(UserError, match='tiny exists'):
    store.save(_windows(), tmp_path / 'tiny')
  assert (tmp_path / 'tiny' / 'thesis.tex').read_text() == 'years'


@pytest.mark.parametrize(
  ('owner', 'operation', 'number'),
  [
    *((np, 'save', 1), (np, 'savez', 1), (pathlib.Path, 'write_bytes', 1)),
    *((pathlib.Path, 'rename', number) for number in (1, 2)),  # of two if there was a folder before
  ],
)
@pytest.mark.parametrize('before', [False, True])
def test_a_full_disk_leaves_the_previous_folder(tmp_path, monkeypatch, owner, operation, number, before):
  if before:
    store.save(_windows(subjects=('5',)), tmp_path / 'tiny')
  original, calls = getattr(owner, operation), []

  def fail(path, *arguments, **options):
    calls.append(path)
    if len(calls) != (number if before else 1):
      return original(path, *arguments, **options)
    if operation != 'rename':
      with open(path, 'wb') as file:
        file.write(b'half')
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(owner, operation, fail)
  with pytest.raises(UserError, match=r'tiny: No space left on device'):
    store.save(_windows(), tmp_path / 'tiny')
  monkeypatch.undo()
  assert [path.name for path in tmp_path.iterdir()] == (['tiny'] if before else [])
  if before:
    assert store.load(tmp_path / 'tiny').meta.subjects == ['5']


def test_a_saved_folder_keeps_the_users_files_and_a_link_to_it(tmp_path):
  store.save(_windows(subjects=('5',)), tmp_path / 'real')
  (tmp_path / 'real' / 'notes').mkdir()
  (tmp_path / 'real' / 'notes' / 'mine.txt').write_text('mine')
  (tmp_path / 'tiny').symlink_to('real')
  store.save(_windows(), tmp_path / 'tiny')
  assert (tmp_path / 'tiny').is_symlink()
  assert (tmp_path / 'real' / 'notes' / 'mine.txt').read_text() == 'mine'
  assert store.load(tmp_path / 'real').meta == _windows().meta
  assert sorted(path.name for path in tmp_path.iterdir()) == ['real', 'tiny']


def _reseal(folder, signals=None, **changes):
  """Files that contradict each other, under sums that fit them."""
  meta = store.read_card(folder)[0]
  if signals is not None:
    np.save(folder / 'signals.npy', signals, allow_pickle=True)
  files = {name: checksums.hash_file(folder / name) for name in ('signals.npy', 'index.npz')}
  (folder / 'meta.json').write_bytes(storage.card(records.to_json(meta) | changes, files))


@pytest.mark.parametrize(
  ('damage', 'message'),
  [
    (lambda folder: (folder / 'index.npz').unlink(), r'index\.npz missing'),
    (lambda folder: (folder / 'meta.json').write_text('{'), r'meta\.json cannot be read'),
    (lambda folder: (folder / 'meta.json').write_text('[]'), r'meta\.json is no JSON object'),
    (lambda folder: (folder / 'meta.json').write_text('{"a": ' * 100_000), r'meta\.json cannot be read'),
    (lambda folder: (folder / 'meta.json').write_text('{"rate_hz": NaN}'), 'NaN is no number'),
    (lambda folder: (folder / 'signals.npy').write_bytes(b'\x93NUMPY'), 'not a valid windows folder'),
    (lambda folder: os.truncate(folder / 'signals.npy', 1000), 'not a valid windows folder'),
    (lambda folder: np.save(folder / 'signals.npy', np.zeros((8, 128, 6), np.float32)), 'npy is damaged'),
    (lambda folder: (folder / 'index.npz').write_bytes(b'PK'), r'index\.npz is damaged'),
    (lambda folder: _reseal(folder, format='other'), 'har_jax windows 2'),
    (lambda folder: _reseal(folder, rate_hz=0), 'rate_hz'),
    (lambda folder: _reseal(folder, counts={}), 'counts'),
    (lambda folder: _reseal(folder, activities=['walking']), 'activity is out of range'),
    (lambda folder: _reseal(folder, np.zeros((8, 128, 3), np.float32)), 'not float32'),
    (lambda folder: _reseal(folder, np.zeros((7, 128, 6), np.float32)), 'activity is'),
    (lambda folder: _reseal(folder, np.array([{}])), 'not a valid windows folder'),
  ],
)
def test_a_damaged_folder_is_an_error(tmp_path, damage, message):
  store.save(_windows(), tmp_path / 'tiny')
  damage(tmp_path / 'tiny')
  with pytest.raises(UserError, match=message) as caught:
    store.load(tmp_path / 'tiny')
  assert re.search('prepare it again|make one with har-jax prepare', str(caught.value))


def test_a_folder_is_named_by_its_content_and_not_by_its_archive_file(tmp_path):
  windows = _windows()
  for name, source in (('a', 'x.zip'), ('b', 'y.zip')):
    store.save(
      dataclasses.replace(windows, meta=msgspec.structs.replace(windows.meta, source=source)), tmp_path / name
    )
  assert Dataset(tmp_path / 'a').checksum == Dataset(tmp_path / 'b').checksum
  for number, other in enumerate(
    (
      dataclasses.replace(windows, signals=windows.signals + 1),
      dataclasses.replace(windows, start_s=windows.start_s + 1),
      dataclasses.replace(windows, meta=msgspec.structs.replace(windows.meta, subjects=['2', '1'])),
    )
  ):
    store.save(other, tmp_path / str(number))
    assert Dataset(tmp_path / str(number)).checksum != Dataset(tmp_path / 'a').checksum


@pytest.mark.parametrize(
  ('read', 'names'), [(store.load, r'signals\.npy, index\.npz, meta\.json'), (store.read_card, r'meta\.json')]
)
def test_a_missing_folder_names_the_command_to_make_one(tmp_path, read, names):
  message = rf'nowhere is not a windows folder \({names} missing\): make one with har-jax prepare'
  with pytest.raises(UserError, match=message):
    read(tmp_path / 'nowhere')


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

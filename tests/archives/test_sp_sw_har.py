"""sp-sw-har: the clock rebuilt from bursts, two devices, windows with several activities."""

import numpy as np
import pytest
from official import OFFICIAL
from zips import write

from har_jax.archives.sp_sw_har import ARCHIVE
from har_jax.datasets.prepare import prepare
from har_jax.errors import UserError

HEADER = 'x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label\n'
ACTIVITIES = OFFICIAL['sp_sw_har'].activities


def _rows(labels: list[str], start_ms: int = 1657533977813, size: int = 10) -> str:
  """Rows that come ten at once every 100 ms."""
  return ''.join(
    f'{row}.5,-1,9,0.1,0.2,-0.3,{start_ms + 100 * (row // size) + row % size // 5},{label}\n'
    for row, label in enumerate(labels)
  )


def _files(rows: str, *names: str) -> dict[str, str]:
  return {f'DATA/{name[:3]}/{name}.csv': HEADER + rows for name in names}


def test_rows_in_bursts_get_an_even_clock_and_none_is_lost(read):
  (recording,), _ = read(_files(_rows(['WALKING'] * 500), 's01_01_sp'))
  assert recording.acc.values[:, 0].tolist() == [row + 0.5 for row in range(500)]
  np.testing.assert_allclose(np.diff(recording.acc.time_s), 0.01, rtol=1e-2)
  np.testing.assert_array_equal(recording.gyro.time_s, recording.acc.time_s)
  np.testing.assert_allclose(recording.gyro.values[0], [0.1, 0.2, -0.3], rtol=1e-6)
  assert recording.acc.time_s[0] == 0


def test_a_position_is_a_device(read):
  rows = _rows(['WALKING'] * 9)
  files = _files(rows, 's01_01_sp', 's02_01_sp', 's02_01_sw')
  files |= _files(rows.replace('0.5,', '7.5,', 1), 's01_01_sw')
  for position, first in (('pocket', 0.5), ('wrist', 7.5)):
    recordings, _ = read(files, position)
    assert [(piece.subject, piece.position) for piece in recordings] == [('s01', position), ('s02', position)]
    assert recordings[0].acc.values[0, 0] == first


def test_spans_follow_one_another(read):
  labels = [label for label in ACTIVITIES for _ in range(20)]
  (recording,), _ = read(_files(_rows(labels), 's01_01_sp'))
  assert [span.activity for span in recording.spans] == list(ACTIVITIES.values())
  assert [span.start_s for span in recording.spans][1:] == [span.stop_s for span in recording.spans][:-1]


def test_prepared_windows_hold_several_activities_and_have_the_label_of_the_longest(tmp_path):
  labels = 70 * ['SEATED'] + 120 * ['STANDING_UP'] + 200 * ['WALKING'] + 110 * ['TURNING']  # at 100 Hz
  write(tmp_path / 'archive', _files(_rows(labels), 's01_01_sp', 's01_01_sw'))
  windows = prepare(ARCHIVE, tmp_path / 'archive', tmp_path, position='all', progress=False)
  names = [windows.meta.activities[activity] for activity in windows.activity]
  assert names == 2 * ['sit_to_stand', 'walking']
  assert windows.meta.counts.by_position == {'pocket': 2, 'wrist': 2}
  assert windows.meta.subjects == ['s01']  # one person at both positions


def test_several_positions_of_which_one_has_no_window_are_refused(tmp_path):
  folder = write(tmp_path / 'archive', _files(_rows(300 * ['WALKING']), 's01_01_sp'))
  with pytest.raises(UserError, match='no window at wrist'):
    prepare(ARCHIVE, folder, tmp_path, position='all', progress=False)
  assert not (tmp_path / 'sp_sw_har').exists()

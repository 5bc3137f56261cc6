"""PDIoT: g and degrees, clips under two names, two devices, the counts of the real archive."""

import collections
import re

import cut_pieces
import numpy as np
import pytest
from official import OFFICIAL

from har_jax.signal.recording import Span

HEADER = ',timestamp,accel_x,accel_y,accel_z,gyro_x,gyro_y,gyro_z\n'
# The same clip under two names, and clips with each row twice.
SAME = {
  's15': ('lyingRight', 'sitting'), 's4': ('shuffleWalking', 'sitting'), 's54': ('standing',),
  's68': ('standing',), 's97': ('lyingStomach', 'shuffleWalking'),
}  # fmt: skip
ACTIVITIES = OFFICIAL['pdiot'].activities
REPEATED = {'s57': ('miscMovement',), 's88': ('miscMovement',)}


def _rows(count: int, first: int = 0) -> list[str]:
  return [
    f'{row},{1697605965 + 40 * row},{0.5 + (first + row) / 1000},-1,0.25,180,-90,{first + row}\n'
    for row in range(count)
  ]


def _clips(rows: dict[str, str], device: str = 'Thingy') -> dict[str, str]:
  """Clips by '<subject> <activity>'."""
  files = {}
  for clip, text in rows.items():
    subject, activity = clip.split()
    name = f'{device}/{subject}/{subject}_{device.lower()}_{activity}_breathingNormal.csv'
    files[f'updated_anonymized_dataset_2023/{name}'] = HEADER + text
  return files


def test_a_clip_has_a_rate_of_25_hz_and_is_of_one_position(read):
  files = _clips({'s7 sitting': ''.join(_rows(100))}, 'Respeck')
  (recording,), _ = read(files, 'chest')
  assert (recording.subject, recording.spans) == ('s7', (Span(0.0, 4.0, 'sitting'),))
  np.testing.assert_allclose(recording.acc.time_s, np.arange(100) / 25)
  assert read(files, 'pocket') == ([], {})


def test_clips_come_by_subject_as_a_number_then_by_name(read):
  clips = {
    clip: ''.join(_rows(9, first))
    for first, clip in enumerate(('s10 running', 's10 ascending', 's9 sitting'))
  }
  recordings, _ = read(_clips(clips))
  made = [(recording.subject, recording.spans[0].activity) for recording in recordings]
  assert made == [('s9', 'sitting'), ('s10', 'upstairs'), ('s10', 'running')]


def test_clips_under_two_names_and_repeated_rows_are_left_out_and_counted(read):
  once = ''.join(_rows(60))
  twice = ''.join(
    f'{number},{40 * number},{row.split(",", 2)[2]}'
    for number, row in enumerate(row for row in _rows(30, 500) for _ in range(2))
  )
  clips = {
    's1 sitting': once,
    's2 standing': once,
    's2 running': ''.join(_rows(60, 7)),
    's3 miscMovement': twice,
  }
  recordings, dropped = read(_clips(clips))
  assert [(recording.subject, recording.spans[0].activity) for recording in recordings] == [('s2', 'running')]
  assert dropped == {'clips that are the same under two names': 2, 'clips whose rows are repeated': 1}


@pytest.mark.slow
@pytest.mark.archives
def test_the_real_archive_has_102_people_and_every_row(count_rows, real_recordings):
  lines = count_rows('pdiot', 'Thingy/s*/*.csv')
  recordings, dropped = real_recordings('pdiot', 'pocket')
  cut = cut_pieces.cut_all(recordings, dropped)
  assert len(lines) == 1213
  assert dropped == {'clips that are the same under two names': 8, 'clips whose rows are repeated': 2}
  expected, windows, rows_read = collections.Counter(), collections.Counter(), collections.Counter()
  for name, rows in lines.items():
    subject, activity = re.search(r'/(s\d+)_thingy_(\w+)_breathing', name).groups()
    if activity not in SAME.get(subject, ()) + REPEATED.get(subject, ()):
      expected[ACTIVITIES[activity]] += rows
      windows[ACTIVITIES[activity]] += (2 * rows - 1 - 128) // 64 + 1  # at 50 Hz, without the last half step
  assert len({recording.subject for recording in recordings}) == 102
  assert len(recordings) == 1203
  for recording in recordings:
    rows_read[recording.spans[0].activity] += len(recording.acc.values)
  assert rows_read == expected
  assert (sum(lines.values()), sum(expected.values())) == (919_080, 911_490)
  assert collections.Counter(window.activity for window in cut) == windows
  assert len(cut) == 26_460


@pytest.mark.slow
@pytest.mark.archives
def test_the_real_archive_has_71_people_with_a_device_at_the_chest(real_recordings):
  recordings, dropped = real_recordings('pdiot', 'chest')
  assert len({recording.subject for recording in recordings}) == 71
  assert len(recordings) + sum(dropped.values()) == 986

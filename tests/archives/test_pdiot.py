"""PDIoT: g and degrees, clips under two names, two devices."""

import numpy as np

from har_jax.signal.recording import Span

HEADER = ',timestamp,accel_x,accel_y,accel_z,gyro_x,gyro_y,gyro_z\n'


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
  running = _rows(60, 7)
  for row in range(50, 60):  # with the same values
    running[row] = f'{row},{10**10 + row},{running[49].split(",", 2)[2]}'
  clips = {
    's1 sitting': once,
    's2 standing': once,
    's2 running': ''.join(running),
    's3 miscMovement': twice,
  }
  recordings, dropped = read(_clips(clips))
  assert [(recording.subject, recording.spans[0].activity) for recording in recordings] == [('s2', 'running')]
  assert dropped == {'clips that are the same under two names': 2, 'clips whose rows are repeated': 1}

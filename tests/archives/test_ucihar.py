"""UCI HAR v1 as released: windows in files of one axis each, with files of their subjects and labels."""

import numpy as np
from official import OFFICIAL, motion, read_texts

from har_jax.archives.source import Source
from har_jax.signal.recording import Span

_SUBJECTS = {'train': [3, 3, 1, 3, 3, 3, 30, 3, 3, 3], 'test': [10] * 10}
_LABELS = {'train': [1, 2, 3, 4, 5, 6, 1, 1, 1, 1], 'test': [6, 5, 4, 3, 2, 1, 1, 1, 1, 1]}
_ACTIVITIES = OFFICIAL['ucihar'].activities


def test_each_released_window_is_a_recording_and_subjects_are_sorted(read, tmp_path):
  files = read_texts(Source(OFFICIAL['ucihar'].write(tmp_path)))
  for part in ('train', 'test'):
    for name, numbers in (('subject', _SUBJECTS[part]), ('y', _LABELS[part])):
      (path,) = (path for path in files if path.endswith(f'/{name}_{part}.txt'))
      files[path] = ''.join(f'{number}\n' for number in numbers)
  recordings, _ = read(files)
  released = [
    (subject, label, window * 2.56)
    for part in ('train', 'test')
    for window, (subject, label) in enumerate(zip(_SUBJECTS[part], _LABELS[part], strict=True))
  ]
  for recording, (subject, label, begin_s) in zip(
    recordings, sorted(released, key=lambda window: window[0]), strict=True
  ):
    assert (recording.subject, recording.spans) == (str(subject), (Span(0.0, 2.56, _ACTIVITIES[label]),))
    acc, gyro = motion(begin_s + np.arange(128) / 50)
    np.testing.assert_allclose(recording.acc.values, acc, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(recording.gyro.values, gyro, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.diff(recording.acc.time_s), 0.02)

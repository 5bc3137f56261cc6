"""UCI HAR v1 as released: windows in files of one axis each."""

import numpy as np

SUBJECTS = {'train': [3, 3, 1], 'test': [2, 2]}
LABELS = {'train': [1, 6, 2], 'test': [5, 4]}


def signal(sensor: str, axis: str, part: str) -> np.ndarray:
  """Every file has different numbers."""
  rng = np.random.default_rng([len(sensor), ord(axis), len(part)])
  return rng.normal(size=(len(SUBJECTS[part]), 128))


def text(values) -> str:
  return ''.join(' ' + ' '.join(f'{value: .7e}' for value in row) + '\n' for row in np.atleast_2d(values))


def official() -> dict[str, str]:
  files = {'activity_labels.txt': '1 WALKING\n'}
  for part in ('train', 'test'):
    files[f'{part}/subject_{part}.txt'] = ''.join(f'{subject}\n' for subject in SUBJECTS[part])
    files[f'{part}/y_{part}.txt'] = ''.join(f'{label}\n' for label in LABELS[part])
    for sensor in ('total_acc', 'body_gyro', 'body_acc'):
      for axis in 'xyz':
        files[f'{part}/Inertial Signals/{sensor}_{axis}_{part}.txt'] = text(signal(sensor, axis, part))
  return {f'UCI HAR Dataset/{name}': content for name, content in files.items()}


def test_each_released_window_is_a_recording(read):
  recordings, _ = read(official())
  assert [recording.subject for recording in recordings] == ['1', '2', '2', '3', '3']
  activities = [recording.spans[0].activity for recording in recordings]
  assert activities == ['upstairs', 'standing', 'sitting', 'walking', 'lying']
  assert {recording.spans[0].stop_s for recording in recordings} == {128 / 50}
  third = signal('body_gyro', 'y', 'train')[2]  # the window of subject 1
  np.testing.assert_allclose(recordings[0].gyro.values[:, 1], third, rtol=1e-5, atol=1e-6)


def test_every_code_has_its_activity(read):
  files = official() | {'UCI HAR Dataset/train/y_train.txt': '1\n2\n3\n'}
  files |= {f'UCI HAR Dataset/test/{name}_test.txt': '4\n5\n6\n' for name in ('y', 'subject')}
  for sensor in ('total_acc', 'body_gyro'):
    for axis in 'xyz':
      signals = f'UCI HAR Dataset/test/Inertial Signals/{sensor}_{axis}_test.txt'
      files[signals] = text(np.zeros((3, 128)))
  found = sorted((int(r.subject), r.spans[0].activity) for r in read(files)[0])
  assert found == [
    (1, 'downstairs'), (3, 'upstairs'), (3, 'walking'), (4, 'sitting'), (5, 'standing'), (6, 'lying')
  ]  # fmt: skip

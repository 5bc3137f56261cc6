"""The sample of real recordings: small, without pickle, licensed, and an excerpt of the archives it names."""

import collections
import hashlib
import json
import pathlib
import re
import runpy
import zipfile

import numpy as np
import pytest

from har_jax import config
from har_jax.archives import ARCHIVES, sample
from har_jax.archives.archive import Archive
from har_jax.archives.source import Source
from har_jax.datasets import splits
from har_jax.datasets.prepare import prepare
from har_jax.signal import segments

_ROOT = pathlib.Path(__file__).parents[2]
_SCRIPT = _ROOT / 'docs' / 'studies' / 'sample.py'
_MOST_BYTES = 5e6
_archives = pytest.mark.parametrize('archive', sample.SAMPLE, ids=lambda archive: archive.name)


def _recordings(archive: Archive):
  assert archive.bundled is not None
  return list(archive.read(Source(archive.bundled), archive.positions[0], collections.Counter()))


def test_the_sample_is_small_and_has_the_checksums_that_it_states():
  sums = [line.split() for line in (sample.FOLDER / 'SHA256SUMS').read_text().splitlines()]
  assert {name for _, name in sums} == {path.name for path in sample.FOLDER.glob('*.zip')}
  for digest, name in sums:
    assert hashlib.sha256((sample.FOLDER / name).read_bytes()).hexdigest() == digest
  assert sum(path.stat().st_size for path in sample.FOLDER.iterdir()) < _MOST_BYTES


@_archives
def test_a_file_of_the_sample_is_of_16_bits_and_its_card_names_its_license(archive):
  assert archive.bundled is not None
  with zipfile.ZipFile(archive.bundled) as file, file.open('signals.npy') as signals:
    assert np.load(signals, allow_pickle=False).dtype == np.int16
    assert (json.loads(file.read('recordings.json'))['position'],) == archive.positions
  card = (sample.FOLDER / 'README.md').read_text(encoding='utf-8')
  (row,) = [line for line in card.splitlines() if line.startswith(f'| `{archive.bundled.name}`')]
  assert ('MIT' if 'MIT' in archive.license else 'CC BY 4.0') in row


@_archives
def test_the_sample_has_eight_people_and_at_most_a_minute_of_an_activity(archive):
  seconds: dict[tuple[str, str], float] = collections.defaultdict(float)
  for recording in _recordings(archive):
    assert recording.acc.time_s[-1] == pytest.approx(recording.spans[-1].stop_s, abs=0.06)
    for span in recording.spans:
      seconds[recording.subject, span.activity] += span.stop_s - span.start_s
  assert len({subject for subject, _ in seconds}) == 8
  assert max(seconds.values()) < 60.1


@pytest.mark.archives
def test_an_excerpt_is_what_its_archive_holds_up_to_rounding(real_archive):
  archive, name = ARCHIVES['motionsense'], 'sample_motionsense'
  original = next(iter(archive.read(Source(real_archive('motionsense')), 'pocket', collections.Counter())))
  excerpt = _recordings(ARCHIVES[name])[0]
  begun = segments.extract(original, 0.0, excerpt.acc.time_s[-1])
  assert (excerpt.subject, excerpt.spans[0].activity) == (begun.subject, begun.spans[0].activity)
  np.testing.assert_allclose(excerpt.acc.values, begun.acc.values, atol=0.5 / 200 + 1e-5)
  np.testing.assert_allclose(excerpt.gyro.values, begun.gyro.values, atol=0.5 / 900 + 1e-5)


def test_prepared_windows_of_the_sample_name_its_file_and_checksum(tmp_path):
  windows = prepare(ARCHIVES['sample_sp_sw_har'], None, tmp_path, progress=False)
  assert windows.meta.source == 'sp_sw_har.zip'
  assert windows.meta.checksum.startswith('sha256:')


def test_the_script_takes_the_beginning_until_an_activity_has_lasted_a_minute():
  made = runpy.run_path(str(_SCRIPT))
  recording = next(r for r in _recordings(ARCHIVES['sample_sp_sw_har']))
  windowing = made['Windowing'](rate_hz=50)
  piece, *_ = made['resample'](recording, collections.Counter(), windowing)
  walking = next(span for span in recording.spans if span.activity == 'walking')
  seconds = collections.defaultdict(float, walking=59.0)
  samples, spans = made['_beginning'](recording, piece, seconds, windowing)
  assert samples == pytest.approx((walking.start_s + 1) * 50, abs=1)
  assert spans[-1][2] == 'walking'
  assert spans[-1][1] == pytest.approx(samples / 50, abs=0.02)


def test_make_lodo_shows_a_person_whom_its_adapter_has_not_seen(tmp_path):
  makefile = (_ROOT / 'Makefile').read_text(encoding='utf-8')
  (person,) = re.findall(r'make_recording\.py --subject=(\d+)', makefile)
  assert '/sample_motionsense/lora/subject/labels-10-per-class/seed0.json' in makefile
  windows = prepare(ARCHIVES['sample_motionsense'], None, tmp_path, progress=False)
  parts = splits.split(windows.activity, windows.subject, config.Protocol(label_budget='10/class'), 0)
  tested = {windows.meta.subjects[number] for number in windows.subject[parts.test]}
  assert person in tested
  assert len(tested) < 8

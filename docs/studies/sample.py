"""Make the sample of real recordings in har_jax/assets/sample from the archives as downloaded.

python docs/studies/sample.py --archive_path=<folder of archives>

Nothing is chosen by a result: the first eight people by number, and of each activity the first minute, as the
archive orders its recordings. The same archives give the same bytes.
"""

import collections
import hashlib
import io
import itertools
import pathlib
import sys
import zipfile
from collections.abc import Mapping

import msgspec
import numpy as np

from har_jax.archives import sample
from har_jax.archives.archive import Archive
from har_jax.archives.source import Source
from har_jax.cli import command
from har_jax.config import Windowing
from har_jax.datasets.prepare import detect_archives
from har_jax.errors import UserError
from har_jax.signal import segments
from har_jax.signal.cutting import Piece, resample
from har_jax.signal.recording import LOCOMOTION, Recording

FLAGS, _define = command.new_flags()
_ARCHIVE_PATH = _define('archive_path', None, 'folder of archives as downloaded')
_OUT = _define('out', str(sample.FOLDER), 'folder for the zips')
# About the archive's own rate: an even clock at that rate comes through as it is.
_RATES_HZ = {'motionsense': 50, 'sp_sw_har': 50, 'wisdm': 20, 'dsads': 25}
_PEOPLE, _SECONDS = 8, 60.0
_LEAST_S = 2.56  # a window
_SLACK = 1e-3  # of a sample: rounding of a time must not lose one
_MOMENT = (2020, 1, 1, 0, 0, 0)  # in the zips, so that their bytes do not depend on when they are made


def main() -> None:
  archives = {archive.name: (archive, path) for archive, path in detect_archives(_ARCHIVE_PATH.value or '.')}
  if missing := _RATES_HZ.keys() - archives:
    raise UserError(f'--archive_path={_ARCHIVE_PATH.value} lacks {", ".join(sorted(missing))}')
  out, sums = pathlib.Path(_OUT.value), []
  for name, rate_hz in _RATES_HZ.items():
    path = out / f'{name}.zip'
    _write(path, *_excerpts(*archives[name], Windowing(rate_hz=rate_hz)))
    sums.append(f'{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n')
    print(f'{path}: {path.stat().st_size / 1e6:.2f} MB', flush=True)
  (out / 'SHA256SUMS').write_text(''.join(sums), encoding='utf-8')


def _excerpts(
  archive: Archive, path: pathlib.Path, windowing: Windowing
) -> tuple[sample.Contents, list[np.ndarray]]:
  """What recordings.json holds, and the signal, [n, 6], of each recording."""
  position, dropped = archive.positions[0], collections.Counter[str]()
  recordings = archive.read(Source(path), position, dropped)
  excerpts, signals = [], []
  by_subject = itertools.groupby(recordings, key=lambda recording: recording.subject)
  for subject, of_subject in itertools.islice(by_subject, _PEOPLE):
    seconds: dict[str, float] = collections.defaultdict(float)
    for recording in of_subject:
      if not set(LOCOMOTION).isdisjoint(span.activity for span in recording.spans):
        piece, *_ = resample(recording, dropped, windowing)
        samples, spans = _beginning(recording, piece, seconds, windowing)
        if samples >= windowing.rate_hz * _LEAST_S:
          excerpts.append(sample.Excerpt(subject, samples, spans))
          signals.append(piece.signal[:samples])
          for start_s, stop_s, activity in spans:
            seconds[activity] += stop_s - start_s
  return sample.Contents(windowing.rate_hz, position, tuple(excerpts)), signals


def _beginning(
  recording: Recording, piece: Piece, seconds: Mapping[str, float], windowing: Windowing
) -> tuple[int, tuple[tuple[float, float, str], ...]]:
  """Samples of a piece until some activity has lasted long enough, with `seconds` before it; their spans."""
  stop_s = piece.start_s + len(piece.signal) / windowing.rate_hz
  for span in segments.clip(recording.spans, piece.start_s, stop_s):
    stop_s = min(stop_s, span.start_s + max(_SECONDS - seconds[span.activity], 0.0))
  samples = int((stop_s - piece.start_s) * windowing.rate_hz + _SLACK)
  spans = segments.clip(recording.spans, piece.start_s, piece.start_s + samples / windowing.rate_hz)
  return samples, tuple(
    (round(span.start_s - piece.start_s, 3), round(span.stop_s - piece.start_s, 3), span.activity)
    for span in spans
  )


def _write(path: pathlib.Path, contents: sample.Contents, signals: list[np.ndarray]) -> None:
  array = io.BytesIO()
  steps = np.rint(np.concatenate(signals) * sample.STEPS_PER_UNIT)
  np.save(array, np.asfortranarray(steps.clip(-(2**15), 2**15 - 1).astype(np.int16)), allow_pickle=False)
  with zipfile.ZipFile(path, 'w') as archive:
    for name, content in {
      'recordings.json': msgspec.json.encode(contents),
      'signals.npy': array.getvalue(),
    }.items():
      archive.writestr(zipfile.ZipInfo(name, _MOMENT), content, zipfile.ZIP_DEFLATED, 9)


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))

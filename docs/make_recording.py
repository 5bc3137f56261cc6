"""A made-up recording as a phone's app would export it, and its labels: python docs/make_recording.py --out=watch."""

import pathlib

import numpy as np
import pandas as pd
from absl import app, flags

from har_jax.data.recording import STANDARD_GRAVITY_M_S2
from har_jax.data.synthetic import corpus_recordings

_OUT = flags.DEFINE_string('out', 'watch', 'folder for day.csv and labels.csv')
_RATE_HZ = 100.0
_BEGAN_NS = 1_767_000_000_000_000_000  # some morning


def main(_: list[str]) -> None:
  rng = np.random.default_rng(0)
  parts, spans, began_s = [], [], 0.0
  for recording in corpus_recordings('synth_waist', subjects=1, seconds=30.0):  # one an activity
    length_s = min(recording.acc.time_s[-1], recording.gyro.time_s[-1])
    ticks = np.arange(0, length_s, 1 / _RATE_HZ) + rng.uniform(
      0, 0.4 / _RATE_HZ, int(np.ceil(length_s * _RATE_HZ))
    )
    acc_g, gyro_rad_s = (
      np.stack([np.interp(ticks, sensor.time_s, axis) for axis in sensor.values.T], axis=1)
      for sensor in (recording.acc, recording.gyro)
    )
    parts.append(
      np.column_stack([began_s + ticks, acc_g / STANDARD_GRAVITY_M_S2, np.rad2deg(gyro_rad_s)]),
    )
    spans.append((began_s, began_s + length_s, recording.spans[0].activity))
    began_s += length_s
  rows = np.concatenate(parts)
  columns = {'timestamp_ns': _BEGAN_NS + (rows[:, 0] * 1e9).astype(np.int64)}
  columns |= {f'acceleration_{axis} (g)': rows[:, 1 + place].round(5) for place, axis in enumerate('xyz')}
  columns |= {f'rotation_{axis} (deg/s)': rows[:, 4 + place].round(3) for place, axis in enumerate('xyz')}
  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)
  pd.DataFrame(columns).to_csv(out / 'day.csv', index=False)
  pd.DataFrame(spans, columns=['start', 'end', 'activity']).round(2).to_csv(out / 'labels.csv', index=False)
  print(f'{out / "day.csv"}: {began_s:.0f} s of {", ".join(dict.fromkeys(activity for _, _, activity in spans))}')


if __name__ == '__main__':
  app.run(main)

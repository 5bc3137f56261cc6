"""Writes what the page's tests compare with: an exported page, and what `Stream` answers to made-up samples.

python tests/expected.py <folder>    where <folder>/built holds the built page
"""

import dataclasses
import json
import pathlib
import sys

import jax
import numpy as np
import scipy.special

from har_jax import config, config_fields, export, files
from har_jax.datasets import signal_summary
from har_jax.datasets.signal_summary import SignalSummary
from har_jax.export import web
from har_jax.recognizer import frame_check
from har_jax.recognizer.recognizer import Recognizer
from har_jax.signal import frames
from har_jax.stream.stream import Stream
from har_jax.timeline.decoding import Chain
from har_jax.train.objective import Classify

_UNKNOWN_BELOW = 0.5  # the page's threshold when it opens
_SECONDS = 14.0


def _times_s() -> dict[str, np.ndarray]:
  """Clocks of browsers, by what is special about them."""
  rng = np.random.default_rng(0)
  at_60_hz = np.arange(0, _SECONDS, 1 / 60)
  return {
    'even at 50 Hz': np.arange(0, _SECONDS, 1 / 50),
    'jitter at 60 Hz': at_60_hz + rng.uniform(0, 0.004, len(at_60_hz)),
    'a step of 16 ms': np.arange(0, _SECONDS, 0.016),
    'whole milliseconds at 60 Hz': np.round(at_60_hz, 3),
    'jitter at 100 Hz': np.arange(0, _SECONDS, 0.01) + rng.uniform(0, 0.002, round(_SECONDS * 100)),
    'slow at 20 Hz': np.arange(0, _SECONDS, 0.05) + rng.uniform(0, 0.01, round(_SECONDS * 20)),
    'lost samples': at_60_hz[np.arange(len(at_60_hz)) % 17 > 3],
    'a pause of a second': np.r_[at_60_hz[:400], at_60_hz[400:] + 1.0],
  }


def _samples(time_s: np.ndarray) -> np.ndarray:
  """[n, 6]: a walk that becomes a rest on the back, rounded as browsers round."""
  phase = 2 * np.pi * np.array([1.9, 1.9, 3.8, 0.95, 1.9, 0.95]) * time_s[:, None] + np.arange(6)
  size = np.where(time_s < _SECONDS / 2, 1.0, 0.02)[:, None] * np.array([2.5, 2, 4, 1, 0.8, 0.6])
  upright = np.where(time_s < _SECONDS / 2, 1.0, 0.05)[:, None]
  gravity = 9.81 * np.concatenate([0 * upright, upright, np.sqrt(1 - upright**2)], axis=1)
  return np.round(size * np.sin(phase) + np.pad(gravity, ((0, 0), (0, 3))), 2)


def _answers(recognizer: Recognizer, time_s: np.ndarray, samples: np.ndarray) -> dict:
  stream = Stream(recognizer)
  windows, probabilities, recognize = [], [], stream._recognize

  def recorded(window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hidden, logits = recognize(window)
    windows.append(window)
    probabilities.append(scipy.special.softmax(logits / recognizer.temperature))
    return hidden, logits

  stream._recognize = recorded  # type: ignore[method-assign]
  predictions = stream.push(samples, time_s)
  return {
    'time_s': time_s.tolist(),
    'samples': samples.tolist(),
    'start_s': [each.time_s for each in predictions],
    'activity': [each.activity for each in predictions],
    'confidence': [each.confidence for each in predictions],
    'windows': [window.reshape(-1).tolist() for window in windows],
    'probabilities': [each.tolist() for each in probabilities],
  }


def _lengths() -> dict:
  """Cards and windows of models that take other windows, by their length and rate."""
  found = {}
  for windowing in (config.Windowing(256, 50), config.Windowing(64, 25)):
    model = config.Model(
      patch_size=4,
      stem=(8, 8),
      log_std=False,
      width=24,
      mlp_dim=48,
      depth=1,
      num_heads=2,
      head=(16,),
      window_samples=windowing.samples,
      rate_hz=windowing.rate_hz,
    )
    drawn = Classify(model, 2).init(jax.random.key(0))
    card = {'model': config_fields.to_json(model), 'classes': ['resting', 'walking']}
    base = files.make_base(drawn, card)
    recognizer = Recognizer(base)
    recognizer._set_adapter(base, files.head_adapter(base))
    exported = export.make(recognizer, 'onnx').card
    cases = {name: _answers(recognizer, time_s, _samples(time_s)) for name, time_s in _times_s().items()}
    found[str(windowing)] = {'card': exported, 'cases': cases}
  return found


def _chain() -> dict:
  """One chain over random rows: of activities, and of known and unknown."""
  rows = np.random.default_rng(1).dirichlet(np.full(4, 0.5), 20)
  chain, before, posteriors = Chain(5.0, 1.28, 2.56), None, []
  for row in rows:
    before = chain.update(before, row)
    posteriors.append(before.tolist())
  return {'rows': rows.tolist(), 'posteriors': posteriors}


def _trained() -> tuple[SignalSummary, np.ndarray]:
  """What the exported card says of the training recordings, a made-up walk and rest; and 20 such windows."""
  samples = _samples(np.arange(0, _SECONDS, 1 / 50)).astype(np.float32)
  walks, rests = (
    np.stack([samples[first + shift : first + shift + 128] for shift in range(0, 222, 6)])
    for first in (0, 350)
  )
  names = ['walking'] * len(walks) + ['resting'] * len(rests)
  summary = signal_summary.summarize(np.concatenate([walks, rests]), names, 50)
  return dataclasses.replace(summary, rates_hz=(100.0, 100.0)), np.concatenate([walks[:12], rests[:8]])


def _frames(summary: SignalSummary, windows: np.ndarray) -> dict:
  """What `frame_check` finds in windows of another frame: new axis i is `sign[i]` times axis `axis[i]`."""
  cases = {}
  for name in ('x,y,z', '-x,-y,-z', '-x,-y,z', 'z,x,y', 'y,x,z'):
    frame = frames.parse(name)
    found = frame_check._Directions.of(summary, frame(windows))
    cases[name] = {
      'axis': np.abs(frame.acc).argmax(axis=1).tolist(),
      'sign': frame.acc.sum(axis=1).tolist(),
      'opposite': found.gain[frame_check._FLIP],
      'best': found.gain.max(),
      'contradiction': 'opposite' if found.is_opposite else 'elsewhere' if found.deviates else None,
    }
  return {'windows': windows.reshape(len(windows), -1).tolist(), 'cases': cases}


def main(folder: pathlib.Path) -> None:
  recognizer = Recognizer.load()
  web.FOLDER = folder / 'built'
  summary, windows = _trained()
  signals = signal_summary.to_json(summary)
  export.write(folder / 'page', export.make(recognizer, 'web'), signals=signals)
  cases = {name: _answers(recognizer, time_s, _samples(time_s)) for name, time_s in _times_s().items()}
  found = _frames(summary, windows) | {'signals': signals}
  expected = {'cases': cases, 'lengths': _lengths(), 'chain': _chain(), 'frames': found}
  text = json.dumps(expected | {'unknown_below': _UNKNOWN_BELOW})
  (folder / 'expected.json').write_text(text, encoding='utf-8')


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))

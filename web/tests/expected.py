"""Writes what the page's tests compare with: an exported page, and what `Stream` answers to made-up samples.

python tests/expected.py <folder>    where <folder>/built holds the built page
"""

import collections
import dataclasses
import json
import pathlib
import sys
import warnings
from typing import Any

import jax
import msgspec
import numpy as np
import pandas as pd
import scipy.special

from har_jax import config, config_fields, export, files, methods, recognize, records
from har_jax.archives import ARCHIVES, sample
from har_jax.archives.source import Source
from har_jax.export import web
from har_jax.recognizer import distribution_shift, frame_check, prediction_sets, recording_adaptation
from har_jax.recognizer.recognizer import Recognizer
from har_jax.signal import frames, physics, recording, steps
from har_jax.signal.summary import SignalSummary, summarize
from har_jax.stream import head_update
from har_jax.stream.corrections import REPLAYED, CorrectedFilter
from har_jax.stream.stream import Stream
from har_jax.timeline.bouts import Chain
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
    'a pause of five minutes': np.r_[at_60_hz[:400], at_60_hz[400:] + 300.0],
    'jitter at 10 Hz': np.arange(0, _SECONDS, 0.1) + rng.uniform(0, 0.02, round(_SECONDS * 10)),
    'jitter at 200 Hz': np.arange(0, _SECONDS, 0.005) + rng.uniform(0, 0.001, round(_SECONDS * 200)),
    'bursts of four': np.arange(0, _SECONDS, 0.08)[:, None].repeat(4, axis=1).ravel()
    + np.tile(np.arange(4) * 1e-3, round(_SECONDS / 0.08)),
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


def _faulty(recognizer: Recognizer) -> dict:
  """A sensor's faults: axes that are missing, values that no motion gives, and repeated times."""
  jitter_s = _times_s()['jitter at 60 Hz']
  time_s = np.sort(np.r_[jitter_s, jitter_s[60:100]])
  samples = _samples(time_s)
  samples[61:140:2] += 3  # the second one of each time
  samples[130::29, 2] = np.nan
  samples[140::31, 3] = np.nan
  samples[150::37, 0] = -500.0
  samples[160::41, 5] = 90.0
  samples[170::43] = 1e6
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    found = _answers(recognizer, time_s, samples)
  (found['warning'],) = (str(each.message) for each in caught)
  found['samples'] = [[None if np.isnan(value) else value for value in row] for row in samples.tolist()]
  return found | {'rule': physics.RULE}


def _lengths() -> dict:
  """Cards and windows of models that take other windows, by their length and rate."""
  found = {}
  for windowing in (config.Windowing(256, 50), config.Windowing(64, 12)):
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
    found[str(windowing)] = {'card': msgspec.to_builtins(exported), 'cases': cases}
  return found


def _chain() -> dict:
  """One chain over random rows: of activities, and of known and unknown."""
  rows = np.random.default_rng(1).dirichlet(np.full(4, 0.5), 20)
  chain, before, posteriors = Chain(5.0, 1.28, 2.56), None, []
  for row in rows:
    before = chain.update(before, row)
    posteriors.append(before.tolist())
  return {'rows': rows.tolist(), 'posteriors': posteriors}


_CORRECTIONS = {30: ('rowing', 6.0), 32: ('a', 12.0), 45: ('c', 30.0), 55: ('b', 6.0), 58: ('rowing', 12.0)}


def _corrections() -> list[dict]:
  """What a corrected filter answers to made-up features, after each of its user's corrections.

  At most 32 windows a class, so that none is drawn at random. As if they overlapped by three quarters.
  """
  rng = np.random.default_rng(2)
  corrected = CorrectedFilter(Chain(5.0, 0.64, 2.56), 6, 3)
  events: list[dict] = []
  directions = 0.5 * rng.standard_normal((4, 5)) + 2 * (np.eye(4, 5) + np.eye(4, 5, k=-3))
  for number in range(60):
    hidden = np.append(directions[number // 5 % 4] + 0.3 * rng.standard_normal(5), 1.0)
    window = {'start_s': 2.56 * number, 'hidden': hidden[:-1].tolist(), 'logits': (2 * hidden[:3]).tolist()}
    window['adapted'] = (2 * hidden[:3] + rng.standard_normal(3)).tolist()
    posterior = corrected.update(
      window['start_s'], hidden, 2 * hidden[:3], 1.5, adapted=np.array(window['adapted'])
    )
    events.append({'window': window, 'posterior': posterior.tolist()})
    if number in _CORRECTIONS:
      activity, seconds = _CORRECTIONS[number]
      names = ['a', 'b', 'c', *corrected.new]
      names += [activity] * (activity not in names)
      corrected.correct(names.index(activity), activity, seconds)
      events.append({'correct': [activity, seconds], 'added': corrected.added.tolist()})
    if number in (34, 57):
      corrected.undo()
      events.append({'undo': True, 'added': corrected.added.tolist()})
    if number == 40:
      corrected.restart()
      events.append({'restart': True})
  assert max(corrected._counts.values()) <= REPLAYED
  return events


def _adapters(folder: pathlib.Path) -> dict:
  """Adapters with an addition to the output layer and a new activity: the checksums of their leaves."""
  model = config.Model(patch_size=4, stem=(8, 8), width=24, mlp_dim=48, depth=1, num_heads=2, head=())
  drawn = Classify(model, 2).init(jax.random.key(0))
  base = files.make_base(drawn, {'model': config_fields.to_json(model)})
  settings = methods.Settings(config.Lora(4, 8.0, ('up',)), depth=model.depth)
  prepared = methods.prepare(lambda _: dict(drawn), methods.METHODS['lora'], settings, 0)
  card = files.method_entries('lora', settings, model) | {
    'classes': ['resting', 'walking'],
    'normalizer': {'mean': [0.0, 0.0], 'deviation': [9.8, 1.0]},
    'class_means': [[0.0] * 24, [1.0] * 24],
    'class_spread': 0.5,
    'unknown_scores': [1.0, 2.0],
  }
  linear = Recognizer(base)
  linear._set_adapter(base, files.make_adapter(base, prepared.variables, card))
  rng, found = np.random.default_rng(3), {}
  for name, recognizer in {'base': Recognizer.load(), 'a linear head': linear}.items():
    inputs = recognizer.adapter_.objective.hidden_width + 1
    added = rng.standard_normal((inputs, len(recognizer.classes_) + 1))
    learned = head_update.add(
      recognizer, added, ['rowing'], corrections=2, metrics={'validation': None}
    ).adapter_
    recognizer.save(folder / name, with_base=False)
    found[name] = {'added': added.tolist(), 'card': records.to_json(learned.card)}
  return found


def _recordings() -> dict:
  """Windows of a recording, adapted to it; their sets; and their posteriors from both sides."""
  rng = np.random.default_rng(4)
  class_logits = 4 * np.eye(5) + rng.standard_normal((5, 5))
  moved = class_logits + 2.5 * rng.standard_normal(5)  # by the person or the device
  logits = moved[rng.integers(3, size=60)] + rng.standard_normal((60, 5))
  probabilities = scipy.special.softmax(logits, axis=1)
  scores = prediction_sets.fit_scores(rng.dirichlet(np.full(5, 0.5), 40), rng.integers(5, size=40)).tolist()
  return {
    'probabilities': probabilities.tolist(),
    'class_logits': class_logits.tolist(),
    'adapted': recording_adaptation.adapt_to_recording(probabilities, class_logits).tolist(),
    'scores': scores,
    'sets': prediction_sets.make_sets(probabilities, scores, 0.9).tolist(),
    'smoothed': Chain(5.0, 1.28, 2.56).smoothed(probabilities).tolist(),
  }


def _shifts() -> dict:
  """Windows of a recording, and how far they are from the training windows after each."""
  rng = np.random.default_rng(5)
  means, hidden = rng.standard_normal((4, 6)), 0.5 + 2 * rng.standard_normal((50, 6))
  answers = rng.dirichlet([2, 1, 0.3, 0.01], 50)  # the last one is too rare to count
  adapter = Recognizer.load().adapter_.with_card(
    classes=tuple('abcd'), class_means=means.tolist(), class_spread=4.5, class_logits=None
  )
  windows = hidden, answers, np.zeros(50)
  shifts = [
    distribution_shift.measure(adapter, *(part[:count] for part in windows)) for count in range(1, 51)
  ]
  card = {'class_means': means.tolist(), 'class_spread': 4.5}
  return {'card': card, 'hidden': hidden.tolist(), 'answers': answers.tolist(), 'shifts': shifts}


def _steps() -> dict:
  """What Python counts in a recording of the sample: walking, running and a rest, with their bouts."""
  archive, names = ARCHIVES['sample_motionsense'], ['walking', 'sitting', 'running']
  read = archive.read(Source(sample.FOLDER / 'motionsense.zip'), archive.positions[0], collections.Counter())
  of_person = [recording for recording in read if recording.subject == '1']
  parts = [next(part for part in of_person if part.spans[0].activity == name) for name in names]
  samples = np.concatenate([np.concatenate([part.acc.values, part.gyro.values], axis=1) for part in parts])
  table = pd.DataFrame(samples, columns=['ax', 'ay', 'az', 'gx', 'gy', 'gz'])
  table.insert(0, 'time_s', np.arange(len(table)) / 50)
  answers = recognize(table, acc_unit='m/s2', gyro_unit='rad/s', activities=names)
  bouts = answers.bouts[['start_s', 'end_s', 'activity']].to_dict('records')
  return {'samples': samples.tolist(), 'bouts': bouts, 'movement': answers.summary['movement']}


def _gaits() -> list[dict]:
  """What Python counts in made-up gait at several rates: drifting and noisy, noise alone, and too short."""
  rng, found = np.random.default_rng(5), []
  pieces = ((32, 20.0, 1.0), (50, 9.0, 1.0), (100, 7.0, 1.0), (50, 12.0, 0.0), (50, 1.58, 1.0))
  for rate_hz, seconds, loud in pieces:
    time_s = np.arange(0, seconds, 1 / rate_hz)
    stride = 2 * np.pi * time_s / (1.1 + 0.01 * time_s)
    gait = 2 * np.sin(2 * stride) + 0.8 * np.sin(stride) + np.sin(7 * stride) + 0.3 * time_s
    lengths = np.round(9.8 + loud * gait + rng.standard_normal(len(time_s)), 4)
    acc = recording.Samples(time_s, np.stack([lengths, 0 * lengths, 0 * lengths], axis=1).astype(np.float32))
    count, cadence = steps.count_steps(acc, (0.8, 1.6))
    piece = {'rate_hz': rate_hz, 'lengths': lengths.tolist(), 'steps': count}
    found.append(piece | {'cadence': None if np.isnan(cadence) else cadence})
  return found


def _trained() -> tuple[SignalSummary, np.ndarray]:
  """What the exported card says of the training recordings, a made-up walk and rest; and 20 such windows."""
  samples = _samples(np.arange(0, _SECONDS, 1 / 50)).astype(np.float32)
  walks, rests = (
    np.stack([samples[first + shift : first + shift + 128] for shift in range(0, 222, step)])
    for first, step in ((0, 6), (350, 12))
  )
  names = ['walking'] * len(walks) + ['resting'] * len(rests)
  summary = summarize(np.concatenate([walks, rests]), names, 50)
  return dataclasses.replace(summary, rates_hz=(100.0, 100.0)), np.concatenate([walks[:12], rests[:8]])


def _frames(summary: SignalSummary, windows: np.ndarray) -> dict:
  """What `frame_check` finds in windows of another frame: new axis i is `sign[i]` times axis `axis[i]`."""
  cases = {}
  for name in ('x,y,z', '-x,-y,-z', '-x,-y,z', 'z,x,y', 'y,x,z'):
    frame = frames.parse(name)
    found = frame_check._Directions.from_signals(summary, frame(windows))
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
  export.write(folder / 'page', export.make(recognizer, 'web'), signals=summary)
  cases = {name: _answers(recognizer, time_s, _samples(time_s)) for name, time_s in _times_s().items()}
  found = _frames(summary, windows) | {'signals': msgspec.to_builtins(summary)}
  expected: dict[str, Any] = {'cases': cases, 'lengths': _lengths(), 'chain': _chain(), 'frames': found}
  expected |= {'corrections': _corrections(), 'recording': _recordings(), 'adapters': _adapters(folder)}
  expected |= {'steps': _steps(), 'gaits': _gaits(), 'shift': _shifts(), 'faulty': _faulty(recognizer)}
  text = json.dumps(expected | {'unknown_below': _UNKNOWN_BELOW})
  (folder / 'expected.json').write_text(text, encoding='utf-8')


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))

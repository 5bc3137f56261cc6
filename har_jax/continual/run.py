"""A run over a stream: after each domain, what was learned is on disk, and every domain is tested.

The same command goes on after the last finished domain, and ends with the same numbers. Its scores are a
matrix: those on domain j after training on domain i.   d domains.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from har_jax import files, locks
from har_jax.continual import strategies
from har_jax.continual.learner import Learner, State, part
from har_jax.continual.settings import Settings
from har_jax.datasets.batches import Batch, concatenate
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.files.safetensors_io import checksum
from har_jax.records import Continual, LearnedDomain, Scores
from har_jax.train.metrics import measure

_SCORES = ('macro_f1', 'accuracy')


def run(
  settings: Settings,
  learner: Learner,
  out: pathlib.Path,
  report: Callable[[LearnedDomain], None] = lambda entry: None,
) -> Continual:
  """Learns the domains that are not done yet, and leaves the adapter in `out`. Returns the card.

  report: gets each domain's entry. Raises UserError where the folder is of another run, or in use.
  """
  lock = locks.lock(out)
  if not lock.take():
    raise UserError(f'{lock.holder()} is running in {out}; wait for it, or give another --out')
  try:
    stream = learner.stream
    identity = {'base': learner.training.base.checksum, **dataclasses.asdict(settings)}
    domains = [[domain.name, checksum(domain.train), len(domain.test['label'])] for domain in stream.domains]
    identity |= {'classes': list(stream.classes), 'domains': domains}
    state, card = _resume(out, identity)
    learn = strategies.STRATEGIES[settings.strategy]
    for number in range(len(card.history), len(stream.domains)):
      start, begun_s = _start_scores(learner, number), time.monotonic()
      state = learn(learner, state, number, settings)
      entry = LearnedDomain(
        domain=stream.domains[number].name,
        start=start,
        seconds=time.monotonic() - begun_s,
        bytes=sum(leaf.nbytes for leaf in state.values()),
        **_test(learner, state),
      )
      card.history.append(entry)
      if number == len(stream.domains) - 1:
        _summarize(card)
        card.unseen = _measure(learner, strategies.logits(learner, state, stream.unseen), stream.unseen)
        _save_adapters(out, learner, state, number + 1)
      safetensors_io.write(out, 'continual', state, card)
      report(entry)
    return card
  finally:
    lock.release()


def _resume(out: pathlib.Path, identity: Mapping[str, Any]) -> tuple[State, Continual]:
  """Reads the state and the card. Raises UserError where the folder has the card of another run."""
  if not (out / 'continual.json').exists():
    return {}, Continual(identity=dict(identity), history=[])
  state, card = safetensors_io.read(out, 'continual', Continual)
  if changed := [name for name, value in identity.items() if card.identity.get(name) != value]:
    raise UserError(
      f'{out} holds a run with other settings ({", ".join(changed)}); give another --out, or delete it'
    )
  return {path: np.asarray(leaf) for path, leaf in state.items()}, card


def _start_scores(learner: Learner, number: int) -> Scores | None:
  """Scores of the base on a domain, answering what was seen before it. None: nothing was."""
  if not number:
    return None
  test = learner.stream.domains[number].test
  return _measure(learner, learner.logits(learner.start_with(learner.stream.seen(number)), test), test)


def _measure(learner: Learner, logits: np.ndarray, windows: Batch) -> Scores:
  measured = measure(windows['label'], logits.argmax(axis=1), len(learner.stream.classes))
  return Scores(measured.macro_f1, measured.accuracy)


def _test(learner: Learner, state: State) -> dict[str, list[float | None]]:
  """The scores on all domains: a row of each matrix. None: the strategy has no model yet."""
  domains = learner.stream.domains
  if not any(path.startswith(('model/', 'adapter_')) for path in state):
    return {name: [None] * len(domains) for name in _SCORES}
  tests = [domain.test for domain in domains]
  ends = np.cumsum([len(test['label']) for test in tests])
  parts = np.split(strategies.logits(learner, state, concatenate(tests)), ends[:-1])
  rows = [_measure(learner, logits, test) for logits, test in zip(parts, tests, strict=True)]
  return {name: [getattr(row, name) for row in rows] for name in _SCORES}


def _summarize(card: Continual) -> None:
  """Adds the figures of a finished run, from its history."""
  for name in _SCORES:
    matrix = np.array([getattr(entry, name) for entry in card.history], float)
    start = np.array([getattr(entry.start, name) if entry.start else np.nan for entry in card.history])
    values = {
      'average': average(matrix),
      'forgetting': forgetting(matrix),
      'forward_transfer': forward_transfer(matrix, start),
    }
    setattr(card, name, {kind: None if np.isnan(value) else float(value) for kind, value in values.items()})
  card.bytes, card.seconds = card.history[-1].bytes, sum(entry.seconds for entry in card.history)


def average(matrix: Float[np.ndarray, 'd d']) -> float:
  """The mean over all domains after the last one."""
  return float(matrix[-1].mean())


def forgetting(matrix: Float[np.ndarray, 'd d']) -> float:
  """The mean over all domains but the last of the best score so far minus the last score.

  A row without scores, where nothing was trained yet, is NaN; NaN if there is no other than the last.
  Source: arXiv:1801.10112 (Riemannian walk), equation 3.
  """
  before = matrix[:-1, :-1]
  if np.isnan(before).all():
    return float('nan')
  return float((np.nanmax(matrix[:, :-1], axis=0) - matrix[-1, :-1]).mean())


def forward_transfer(matrix: Float[np.ndarray, 'd d'], start: Float[np.ndarray, 'd']) -> float:
  """The mean over all domains but the first of the score just before training on it, minus the start's.

  start: scores of the variables before any training, which answer the same activities.
  Source: arXiv:1706.08840 (GEM), section 2.
  """
  return float((np.diagonal(matrix, offset=1) - start[1:]).mean())


def _save_adapters(out: pathlib.Path, learner: Learner, state: State, count: int) -> None:
  """Saves into the folder, or for a router into a folder for each domain; each can predict with its base."""
  base = learner.training.base
  if model := part(state, 'model'):
    files.save_adapter(out, learner.adapter(model, learner.stream.seen(count)), base)
    return
  for number in range(count):
    adapter = strategies.as_float32(part(state, f'adapter_{number}'))
    domain = learner.stream.domains[number]
    files.save_adapter(out / f'domain{number}', learner.adapter(adapter, domain.labels), base)

"""Steps and epochs: time, windows per second, and the fraction of the machine's plain matrix product."""

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from har_jax import config, config_fields
from har_jax.export.timing import interleaved
from launch.bench import peer_process, running
from launch.bench.running import Program, per_step, summary

OURS = 'har_jax'
EPOCH = 'epoch'  # over running.EPOCH_WINDOWS, loading included; every other kind is a step
KINDS: dict[str, Callable[[config.Experiment, int], Program]] = {
  'full': lambda experiment, batch: running.finetuning(experiment, 'full', batch),
  'lora': lambda experiment, batch: running.finetuning(experiment, 'lora', batch),
  'qlora': lambda experiment, batch: running.finetuning(experiment, 'qlora', batch),
  'pretraining': lambda experiment, batch: running.pretraining(experiment, batch),
  'inference': lambda experiment, batch: running.inference(experiment, batch),
  EPOCH: lambda experiment, batch: running.epoch(experiment, batch),
}
# [m, k] times [k, n]: an MLP layer over 2048 tokens, and a cube. The faster one is the machine's rate.
_PRODUCTS = {'×'.join(map(str, sizes)): sizes for sizes in ((2048, 192, 768), (1024, 1024, 1024))}
_HALF = 'bfloat16'


def measure(
  experiment: config.Experiment,
  kinds: Sequence[str],
  batches: Sequence[int],
  *,
  repeats: int,
  peers: bool,
  dtypes: Sequence[str],
) -> Iterator[dict[str, Any]]:
  """A row per kind, batch and library; ours has one per dtype.

  ms, operations: per step, or per epoch. windows: per call.
  ratio: time of a call over that of our first dtype.
  against_best, against_best_same_precision: in our rows, the time of the fastest peer over ours, or None.
  """
  for kind in kinds:
    for batch in batches:
      ours = {}
      for dtype in dtypes:
        changed = config_fields.replace(experiment, {('precision', 'dtype'): dtype})
        ours[f'{OURS}, {_HALF}' if dtype == _HALF else OURS] = KINDS[kind](changed, batch)
      steps = next(iter(ours.values())).windows // batch
      with contextlib.ExitStack() as stack:
        others = stack.enter_context(peer_process.peers(experiment, kind, batch, steps)) if peers else {}
        yield from _compare(kind, batch, ours, others, repeats=repeats)


def precision_of(name: str) -> str:
  """Number format of a library's matrix products, by the end of its name."""
  return _HALF if name.endswith(_HALF) else 'float32'


def _compare(
  kind: str,
  batch: int,
  ours: Mapping[str, Program],
  others: Mapping[str, Callable[[], float]],
  *,
  repeats: int,
) -> Iterator[dict[str, Any]]:
  first, reference = next(iter(ours.items()))
  calls = {name: program.call for name, program in ours.items()} | dict(others)
  products = {name: _product(*sizes) for name, sizes in _PRODUCTS.items()}
  seconds = interleaved(calls | products, repeats=repeats)
  rate = max(2 * math.prod(_PRODUCTS[name]) / summary(seconds[name], None)['ms'] / 1e6 for name in products)
  for name in calls:
    program = ours.get(name, reference)
    fraction = 1.0 if kind == EPOCH else batch / program.windows  # of a call that is one step
    timed = summary(seconds[name], seconds[first])
    gflop_s = program.operations / timed['ms'] / 1e6
    yield {
      'kind': kind,
      'batch': batch,
      'by': name,
      'precision': precision_of(name),
      'windows': program.windows,
      **timed,
      **per_step(timed, fraction),
      'windows_s': 1e3 * program.windows / timed['ms'],
      'gflop_s': gflop_s,
      'product_gflop_s': rate,
      'fraction_of_product': gflop_s / rate,
      **(_our_columns(program, fraction) | against(name, seconds, list(others)) if name in ours else {}),
    }


def against(name: str, seconds: Mapping[str, np.ndarray], others: Sequence[str]) -> dict[str, Any]:
  """The fastest other, and the median ratio of its time to that of `name`; also of the same precision."""
  same_precision = [other for other in others if precision_of(other) == precision_of(name)]
  entries: dict[str, Any] = {}
  for suffix, among in (('best', others), ('best_same_precision', same_precision)):
    best = min(among, key=lambda other: float(np.median(seconds[other])), default=None)
    entries[suffix] = best
    entries[f'against_{suffix}'] = None if best is None else summary(seconds[best], seconds[name])['ratio']
  return entries


def peak_resident_bytes() -> int:
  """The largest memory of this process so far."""
  import resource  # Windows lacks it

  unit = 1 if sys.platform == 'darwin' else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _our_columns(program: Program, fraction: float) -> dict[str, Any]:
  return {
    'operations': round(fraction * program.operations),
    'compile_s': program.compile_s,
    'temporary_bytes': program.temporary_bytes,
    'held_bytes': sum(program.held_bytes.values()),
    'peak_resident_bytes': peak_resident_bytes(),
  }


def _product(m: int, k: int, n: int) -> Callable[[], Any]:
  left, right = jnp.ones((m, k)), jnp.ones((k, n))
  product = jax.jit(jnp.matmul)
  return lambda: product(left, right)

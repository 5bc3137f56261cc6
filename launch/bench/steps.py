"""Steps and epochs: time, windows per second, and the fraction of the machine's plain matrix product."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from har_jax import config
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
_PRODUCTS = ((2048, 192, 768), (1024, 1024, 1024))
_HALF = 'bfloat16'


def measure(
  experiment: config.Experiment,
  kinds: Sequence[str],
  batches: Sequence[int],
  *,
  repeats: int,
  peers: bool,
  dtypes: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
  """A row per kind, batch and library; ours has one per dtype, by default the experiment's.

  ms, operations: per step, or per epoch. windows: per call.
  ratio: time of a call over that of our first dtype.
  against_best, against_best_same_precision: in our rows, the time of the fastest peer over ours, or None.
  """
  for kind in kinds:
    for batch in batches:
      ours = {
        our_name(dtype): KINDS[kind](_with_dtype(experiment, dtype), batch)
        for dtype in dtypes or [experiment.precision.dtype]
      }
      steps = next(iter(ours.values())).windows // batch
      peer_calls: contextlib.AbstractContextManager[dict[str, Callable[[], float]]] = contextlib.nullcontext(
        {}
      )
      if peers:
        peer_calls = peer_process.peers(experiment, kind, batch, steps)
      with peer_calls as others:
        yield from _compare(kind, batch, ours, others, repeats=repeats)


def our_name(dtype: str) -> str:
  return f'{OURS}, {_HALF}' if dtype == _HALF else OURS


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
  seconds = interleaved(calls | {_name(sizes): _product(sizes) for sizes in _PRODUCTS}, repeats=repeats)
  rate = max(_operations(sizes) / summary(seconds[_name(sizes)], None)['ms'] / 1e6 for sizes in _PRODUCTS)
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


def _with_dtype(experiment: config.Experiment, dtype: str) -> config.Experiment:
  return dataclasses.replace(experiment, precision=dataclasses.replace(experiment.precision, dtype=dtype))


def _our_columns(program: Program, fraction: float) -> dict[str, Any]:
  return {
    'operations': round(fraction * program.operations),
    'compile_s': program.compile_s,
    'temporary_bytes': program.temporary_bytes,
    'held_bytes': sum(program.held_bytes.values()),
    'peak_resident_bytes': peak_resident_bytes(),
  }


def _product(sizes: tuple[int, int, int]) -> Callable[[], Any]:
  m, k, n = sizes
  left, right = jnp.ones((m, k)), jnp.ones((k, n))
  product = jax.jit(jnp.matmul)
  return lambda: product(left, right)


def _operations(sizes: tuple[int, int, int]) -> int:
  m, k, n = sizes
  return 2 * m * k * n


def _name(sizes: tuple[int, int, int]) -> str:
  return 'product ' + '×'.join(map(str, sizes))

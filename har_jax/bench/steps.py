"""Whole steps and passes: time, windows a second, and how near they come to the machine's plain matrix product."""

import contextlib
import dataclasses
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from har_jax import config
from har_jax.bench import peer_process, running
from har_jax.bench.running import Running
from har_jax.bench.timing import of_a_step, side_by_side, summary

OURS = 'har_jax'
EPOCH = 'epoch'  # a pass over running.EPOCH_WINDOWS, loading included; every other kind is a step
KINDS: dict[str, Callable[[config.Experiment, int], Running]] = {
  'full': lambda experiment, batch: running.finetuning(experiment, 'full', batch),
  'lora': lambda experiment, batch: running.finetuning(experiment, 'lora', batch),
  'qlora': lambda experiment, batch: running.finetuning(experiment, 'qlora', batch),
  'pretraining': lambda experiment, batch: running.pretraining(experiment, batch),
  'inference': lambda experiment, batch: running.inference(experiment, batch),
  EPOCH: lambda experiment, batch: running.epoch(experiment, batch),
}
# [m, k] times [k, n]: a feed-forward layer over 2048 tokens, and a cube. The faster one is the machine's rate.
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
  """A row for each kind, batch and contestant.

  We take part once for each of `dtypes`, by default the experiment's own. 'ratio' is a contestant's time of a call over the
  first of ours: above one where ours is faster. Our rows also have the time of the fastest peer over their own, of any
  precision and of the same one, None where none took part.
  'ms' and 'operations' are those of a step, or of a whole pass; 'windows' those of a call.
  """
  for kind in kinds:
    for batch in batches:
      ours = {
        own_name(dtype): KINDS[kind](_with_dtype(experiment, dtype), batch)
        for dtype in dtypes or [experiment.precision.dtype]
      }
      steps = next(iter(ours.values())).windows // batch
      beside: contextlib.AbstractContextManager[dict[str, Callable[[], float]]] = contextlib.nullcontext({})
      if peers:
        beside = peer_process.peers(experiment, kind, batch, steps)
      with beside as others:
        yield from _compared(kind, batch, ours, others, repeats=repeats)


def own_name(dtype: str) -> str:
  return f'{OURS}, {_HALF}' if dtype == _HALF else OURS


def precision_of(name: str) -> str:
  """In what a contestant makes its matrix products, by its name: ours and peers' end alike."""
  return _HALF if name.endswith(_HALF) else 'float32'


def _compared(
  kind: str,
  batch: int,
  ours: Mapping[str, Running],
  others: Mapping[str, Callable[[], float]],
  *,
  repeats: int,
) -> Iterator[dict[str, Any]]:
  first, reference = next(iter(ours.items()))
  calls = {name: run.call for name, run in ours.items()} | dict(others)
  seconds = side_by_side(calls | {_name(sizes): _product(sizes) for sizes in _PRODUCTS}, repeats=repeats)
  rate = max(_operations(sizes) / summary(seconds[_name(sizes)], None)['ms'] / 1e6 for sizes in _PRODUCTS)
  for name in calls:
    run = ours.get(name, reference)
    share = 1.0 if kind == EPOCH else batch / run.windows
    timed = summary(seconds[name], seconds[first])
    reached = run.operations / timed['ms'] / 1e6
    yield {
      'kind': kind,
      'batch': batch,
      'by': name,
      'precision': precision_of(name),
      'windows': run.windows,
      **timed,
      **of_a_step(timed, share),
      'windows_s': 1e3 * run.windows / timed['ms'],
      'gflop_s': reached,
      'product_gflop_s': rate,
      'share_of_product': reached / rate,
      **(_of_ours(run, share) | against(name, seconds, list(others)) if name in ours else {}),
    }


def against(name: str, seconds: Mapping[str, np.ndarray], others: Sequence[str]) -> dict[str, Any]:
  """The fastest of the others by its median, and its time over that of `name`, turn by turn; likewise of one precision."""
  alike = [other for other in others if precision_of(other) == precision_of(name)]
  found: dict[str, Any] = {}
  for suffix, among in (('best', others), ('best_same_precision', alike)):
    best = min(among, key=lambda other: float(np.median(seconds[other])), default=None)
    found[suffix] = best
    found[f'against_{suffix}'] = None if best is None else summary(seconds[best], seconds[name])['ratio']
  return found


def peak_resident_bytes() -> int:
  """The most that this process ever held in memory."""
  unit = 1 if sys.platform == 'darwin' else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _with_dtype(experiment: config.Experiment, dtype: str) -> config.Experiment:
  return dataclasses.replace(experiment, precision=dataclasses.replace(experiment.precision, dtype=dtype))


def _of_ours(ours: Running, share: float) -> dict[str, Any]:
  return {
    'operations': round(share * ours.operations),
    'compile_s': ours.compile_s,
    'temporary_bytes': ours.temporary_bytes,
    'held_bytes': sum(ours.held.values()),
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

"""Whole steps: time, windows a second, and how near they come to the machine's plain matrix product."""

import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from har_jax import config
from har_jax.bench import running
from har_jax.bench.running import Running
from har_jax.bench.timing import side_by_side, summary

OURS = 'har_jax'
KINDS: dict[str, Callable[[config.Experiment, int], Running]] = {
  'full': lambda experiment, batch: running.finetuning(experiment, 'full', batch),
  'lora': lambda experiment, batch: running.finetuning(experiment, 'lora', batch),
  'qlora': lambda experiment, batch: running.finetuning(experiment, 'qlora', batch),
  'pretraining': running.pretraining,
  'inference': running.inference,
}
# [m, k] times [k, n]: a feed-forward layer over 2048 tokens, and a cube. The faster one is the machine's rate.
_PRODUCTS = ((2048, 192, 768), (1024, 1024, 1024))


def measure(
  experiment: config.Experiment,
  kinds: Sequence[str],
  batches: Sequence[int],
  *,
  repeats: int,
  peers: bool,
) -> Iterator[dict[str, Any]]:
  """A row for each kind, batch and contestant; ratios are against our own step, above one where we are faster."""
  for kind in kinds:
    for batch in batches:
      ours = KINDS[kind](experiment, batch)
      calls = {OURS: ours.call} | {_name(sizes): _product(sizes) for sizes in _PRODUCTS}
      if peers:
        from har_jax.bench import peers as torch_peers

        calls |= torch_peers.variants(experiment, kind, batch)
      seconds = side_by_side(calls, repeats=repeats)
      timed = {name: summary(taken, seconds[OURS]) for name, taken in seconds.items()}
      rate = max(_operations(sizes) / timed[_name(sizes)]['ms'] / 1e6 for sizes in _PRODUCTS)
      for name in calls:
        if name not in map(_name, _PRODUCTS):
          reached = ours.operations / timed[name]['ms'] / 1e6
          yield {
            'kind': kind,
            'batch': batch,
            'by': name,
            **timed[name],
            'windows_s': 1e3 * batch / timed[name]['ms'],
            'gflop_s': reached,
            'product_gflop_s': rate,
            'share_of_product': reached / rate,
            **(_of_ours(ours) if name == OURS else {}),
          }


def peak_resident_bytes() -> int:
  """The most that this process ever held in memory."""
  unit = 1 if sys.platform == 'darwin' else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _of_ours(ours: Running) -> dict[str, Any]:
  return {
    'operations': ours.operations,
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

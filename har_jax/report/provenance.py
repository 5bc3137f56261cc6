"""What made results: machines, versions, seconds. Needs no JAX."""

import collections
from collections.abc import Sequence
from typing import Any


def machines(found: Sequence[dict[str, Any]]) -> str:
  """The devices that results were made on, with counts where there are several."""

  def name(device: dict[str, Any]) -> str:
    many = f'{device["count"]} × ' if device['count'] > 1 else ''
    cores = f'{device["host_cores"]} core{"" if device["host_cores"] == 1 else "s"}'
    return f'{many}{device["kind"]} ({device["machine"]} host, {cores})'

  devices = collections.Counter(name(result['device']) for result in found)
  if len(devices) == 1:
    return next(iter(devices))
  return f'mixed, so seconds do not compare: {_counted(devices)}'


def versions(found: Sequence[dict[str, Any]]) -> str:
  """har_jax and jax, and whatever else differs."""
  told = []
  for name in found[0]['versions']:
    versions = collections.Counter(str(result['versions'].get(name)) for result in found)
    if len(versions) > 1:
      told.append(f'{name} mixed: {_counted(versions)}')
    elif name in ('har_jax', 'jax'):
      told.append(f'{name} {next(iter(versions))}')
  return ', '.join(told)


def _counted(counts: collections.Counter) -> str:
  return ', '.join(f'{name} in {count} of {counts.total()} runs' for name, count in sorted(counts.items()))


def spent(results: Sequence[dict[str, Any]]) -> str:
  """Seconds of all results together, in a sentence."""
  training = sum(result['seconds']['training'] for result in results)
  # A target's runs share one pretraining, by subject and by window alike: the same seconds are the same run.
  pretraining = {
    (result['identity']['target'], seconds)
    for result in results
    if (seconds := result['seconds']['pretraining'])
  }
  # And what goes on from it is that of a split and seed.
  continued = {
    (result['identity']['target'], stage, result['seconds'][stage])
    for result in results
    for stage in result['seconds']
    if stage not in ('training', 'pretraining')
  }
  total = sum(seconds for *_, seconds in [*pretraining, *continued])
  return (
    f'Seconds: {training + total:,.0f} in all; {training:,.0f} of training in {len(results)} runs, '
    f'{total:,.0f} of pretraining in {len(pretraining) + len(continued)}.'
  )

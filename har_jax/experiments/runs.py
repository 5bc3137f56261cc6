"""The runs of a study, one result file each."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from har_jax import storage
from har_jax.experiments import job_lock
from har_jax.experiments.adaptation import adapt_and_test
from har_jax.experiments.pretraining import pretrained_encoder
from har_jax.experiments.study import Study, identity, pretrained_path, result_path, stage_path
from har_jax.methods import METHODS
from har_jax.storage import Place


def run(
  study: Study,
  *,
  may_pretrain: bool = True,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Place, dict[str, Any]]]:
  """Each run's result file and what is in it, as they come; finished runs are read, not run again.

  Of several processes all do this alike, and one writes. `stop` is `train`'s.
  """
  for target, of_target in itertools.groupby(study.runs, key=lambda run: run[0]):
    for name, seeds in _groups(of_target, study.batch_runs):
      places = {seed: result_path(study, target, name, seed) for seed in seeds}
      identities = {seed: identity(study, target, name, seed) for seed in seeds}
      found = {seed: job_lock.finished(places[seed], identities[seed]) for seed in seeds}
      if missing := [seed for seed in seeds if found[seed] is None]:
        bases = {
          seed: pretrained_encoder(study, target, seed, may_train=may_pretrain, progress=progress, stop=stop)
          for seed in missing
          if METHODS[name].pretrained
        }
        with contextlib.ExitStack() as held:
          still = stop
          for seed in missing:
            title = f'{target}: {name}, seed {seed}'
            folder = places[seed].with_suffix('')
            still = held.enter_context(job_lock.exclusive(folder, identities[seed], title=title, stop=still))
            found[seed] = job_lock.finished(
              places[seed], identities[seed]
            )  # by another job, while this one waited
          missing = [seed for seed in missing if found[seed] is None]
          of_seed = {seed: identities[seed] for seed in missing}
          made = adapt_and_test(study, target, METHODS[name], bases, of_seed, progress=progress, stop=still)
          for seed, result in made.items():
            job_lock.write(places[seed], result)
            found[seed] = result
      for seed in seeds:
        yield places[seed], found[seed] or {}


def _groups(of_target: Iterable[tuple[str, int, str]], size: int) -> list[tuple[str, list[int]]]:
  """The runs of a target as methods with so many seeds at most, which train side by side."""
  if size == 1:
    return [(name, [seed]) for _, seed, name in of_target]
  seeds: dict[str, list[int]] = {}
  for _, seed, name in of_target:
    seeds.setdefault(name, []).append(seed)
  return [
    (name, all_of[first : first + size])
    for name, all_of in seeds.items()
    for first in range(0, len(all_of), size)
  ]


def pretrain(
  study: Study, *, progress: bool = True, stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[Place, dict[str, Any]]]:
  """The pretraining alone of each target of this shard, and what goes on from it: each file and what is in it.

  `stop` is `train`'s.
  """
  for target, runs in itertools.groupby(study.runs, key=lambda run: run[0]):
    paths = [pretrained_path(study, target)]
    for seed in dict.fromkeys(seed for _, seed, _ in runs):
      pretrained_encoder(study, target, seed, progress=progress, stop=stop)
      paths.extend(stage_path(study, target, stage, seed) for stage in ())
    for path in paths:
      yield path, storage.read(path)

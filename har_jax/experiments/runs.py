"""The runs of a study, one result file each."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from har_jax import storage
from har_jax.experiments import job_lock
from har_jax.experiments.adaptation import adapt_and_test
from har_jax.experiments.fitting import combine_and_test, fit_and_test
from har_jax.experiments.stages import DEFAULT, TrainOptions, run_stages, stages_of
from har_jax.experiments.study import ENSEMBLE, ZERO_SHOT, RunSpec, Study, check_unchanged
from har_jax.experiments.zero_shot import predict_and_test
from har_jax.storage import Place


def run(study: Study, options: TrainOptions = DEFAULT) -> Iterator[tuple[Place, dict[str, Any]]]:
  """Yields each run's result file and its content as it is finished. Finished runs are read, not run again.

  With several processes, all call this alike and one writes.
  """
  for specs in _batched(study.runs, study.batch_runs):
    yield from _run(specs, options)


def _run(specs: Sequence[RunSpec], options: TrainOptions) -> Iterator[tuple[Place, dict[str, Any]]]:
  """Runs of one target and method. An ensemble's encoder is trained first, if it is not finished."""
  found = {spec: job_lock.finished(spec.result, spec.identity) for spec in specs}
  if missing := [spec for spec in specs if found[spec] is None]:
    if missing[0].method == ENSEMBLE:
      list(_run([spec.encoder for spec in missing], options))
    bases = {spec.seed: run_stages(stages_of(spec), options) for spec in missing if spec.is_pretrained}
    found |= _run_missing(missing, bases, options)
  for spec in specs:
    job_lock.sweep(spec.folder)
    yield spec.result, found[spec] or {}


def pretrain(study: Study, options: TrainOptions = DEFAULT) -> Iterator[tuple[Place, dict[str, Any]]]:
  """Yields the `pretrained.json` of each stage of this shard's runs and its content, as it is finished."""
  done: set[str] = set()
  for spec in study.runs:
    stages = [] if spec.is_baseline else stages_of(spec)
    new = [stage.path for stage in stages if str(stage.path) not in done]
    if new:
      run_stages(stages, options)
    for path in new:
      done.add(str(path))
      yield path, storage.read(path)


def _run_missing(
  specs: Sequence[RunSpec], bases: dict[int, Any], options: TrainOptions
) -> dict[RunSpec, dict[str, Any] | None]:
  """Runs what no other job has finished meanwhile, under the locks of all runs."""
  with contextlib.ExitStack() as held:
    stop = options.stop
    found: dict[RunSpec, dict[str, Any] | None] = {}
    for spec in specs:
      title = f'{spec.target}: {spec.method}, seed {spec.seed}'
      stop = held.enter_context(job_lock.exclusive(spec.folder, spec.identity, title=title, stop=stop))
      found[spec] = job_lock.finished(spec.result, spec.identity)
    missing = [spec for spec in specs if found[spec] is None]
    if any(spec.is_baseline for spec in missing):
      results = {spec.seed: fit_and_test(spec, stop) for spec in missing}
    elif any(spec.method == ENSEMBLE for spec in missing):
      results = {spec.seed: combine_and_test(spec, stop) for spec in missing}
    elif any(spec.method in ZERO_SHOT for spec in missing):
      results = {spec.seed: predict_and_test(spec, bases[spec.seed]) for spec in missing}
    else:
      results = adapt_and_test(missing, bases, TrainOptions(progress=options.progress, stop=stop))
    for spec in missing:
      check_unchanged(spec.windows, spec.identity['windows'])
      job_lock.write(spec.result, results[spec.seed])
      found[spec] = results[spec.seed]
  return found


def _batched(specs: Sequence[RunSpec], size: int) -> Iterator[list[RunSpec]]:
  """Runs one by one; or seeds of one target and method, up to `size` of them, to train together."""
  if size == 1:
    yield from ([spec] for spec in specs)
    return
  for _, of_target in itertools.groupby(specs, key=lambda spec: spec.target):
    by_method: dict[str, list[RunSpec]] = {}
    for spec in of_target:
      by_method.setdefault(spec.method, []).append(spec)
    for seeds in by_method.values():
      yield from (seeds[first : first + size] for first in range(0, len(seeds), size))

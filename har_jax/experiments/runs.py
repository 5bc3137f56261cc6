"""The runs of a study, one result file each."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

from har_jax import storage
from har_jax.errors import Stopped
from har_jax.experiments import job_lock, kinds
from har_jax.experiments.run_spec import RunSpec
from har_jax.experiments.stages import DEFAULT, TrainOptions, run_stages, stages_of
from har_jax.experiments.study import Study
from har_jax.records import Result, Stage
from har_jax.storage import Place


def run(study: Study, options: TrainOptions = DEFAULT) -> Iterator[tuple[Place, Result]]:
  """Yields each run's result file and its content as it is finished. Finished runs are read, not run again.

  With several processes, all call this alike and one writes. Raises Stopped where `options.stop` says so, and
  UserError before any training where a target cannot be split.
  """
  finished = _finished(study.runs)
  for fold in {(spec.target, spec.seed): spec.fold for spec in study.runs if spec not in finished}.values():
    fold.check()
  for specs in _batched(study.runs, study.batch_runs):
    if options.stop():
      raise Stopped(f'stopped before {specs[0].target}: {specs[0].method}, seed {specs[0].seed}')
    yield from _run(specs, options)


def _run(specs: Sequence[RunSpec], options: TrainOptions) -> Iterator[tuple[Place, Result]]:
  """Runs of one target and method, after those that their kind needs."""
  method = specs[0].method
  kind = kinds.find(method)
  results = _finished(specs)
  if missing := [spec for spec in specs if spec not in results]:
    for earlier in kind.after:
      list(_run([dataclasses.replace(spec, method=earlier) for spec in missing], options))
    bases = {}
    if kind.is_pretrained(method):
      bases = {spec.seed: run_stages(stages_of(spec), options) for spec in missing}
    results |= _run_missing(kind, missing, bases, options)
  for spec in specs:
    job_lock.sweep(spec.folder)
    yield spec.result, results[spec]


def _finished(specs: Sequence[RunSpec]) -> dict[RunSpec, Result]:
  """The results that exist."""
  results = {spec: job_lock.finished(spec.result, spec.identity, Result) for spec in specs}
  return {spec: result for spec, result in results.items() if result is not None}


def pretrain(study: Study, options: TrainOptions = DEFAULT) -> Iterator[tuple[Place, Stage]]:
  """Yields the `pretrained.json` of each stage of this shard's runs and its content, as it is finished."""
  done: set[str] = set()
  for spec in study.runs:
    stages = stages_of(spec) if kinds.find(spec.method).has_stages else []
    new = [stage.path for stage in stages if str(stage.path) not in done]
    if new:
      run_stages(stages, options)
    for path in new:
      done.add(str(path))
      yield path, storage.read_record(path, Stage)


def _run_missing(
  kind: kinds.Kind, specs: Sequence[RunSpec], bases: kinds.Bases, options: TrainOptions
) -> dict[RunSpec, Result]:
  """Runs what no other job has finished meanwhile, under the locks of all runs."""
  with contextlib.ExitStack() as locks:
    stop = options.stop
    for spec in specs:
      title = f'{spec.target}: {spec.method}, seed {spec.seed}'
      stop = locks.enter_context(job_lock.exclusive(spec.folder, spec.identity, title=title, stop=stop))
    results = _finished(specs)
    missing = [spec for spec in specs if spec not in results]
    by_seed = kind.run(missing, bases, dataclasses.replace(options, stop=stop))
    for spec in missing:
      spec.fold.datasets.check_unchanged(spec.identity.windows)
      stop()  # raises if another job has taken the folder over
      job_lock.write(spec.result, by_seed[spec.seed])
      results[spec] = by_seed[spec.seed]
  return results


def _batched(specs: Sequence[RunSpec], size: int) -> Iterator[list[RunSpec]]:
  """Runs one by one; or seeds of one target and method, up to `size` of them, to train together."""
  if size == 1:
    yield from ([spec] for spec in specs)
    return
  alike: dict[tuple[str, str], list[RunSpec]] = {}
  for spec in specs:
    alike.setdefault((spec.target, spec.method), []).append(spec)
  for seeds in alike.values():
    yield from (seeds[first : first + size] for first in range(0, len(seeds), size))

"""Run the experiments of the paper, window-wise and subject-wise, and write its tables.

har-jax paper --flagfile=paper --windows=windows --table=all
har-jax paper --flagfile=paper --windows=windows --table=2 --targets=hapt
"""

import itertools
import time

from har_jax.cli import command, jobs, training

COMMON = 'windows table targets seeds out preset progress'
FLAGS, _define = command.new_flags()
_TABLE = _define(
  'table',
  ['all'],
  'one or more of 2 to 7; pretraining (its gain with few labels); rotation (rotated windows); or all',
)
_TARGETS = _define('targets', kind=list)
_SEEDS = _define('seeds', ['0', '1', '2'])
_OUT = _define('out', 'runs/paper', 'folder or bucket for runs and tables.md; finished runs there are reused')
_start = training.define_training(FLAGS, unused=('split',))  # both splits are run
_shard = jobs.define_shard(FLAGS)
_jobs = jobs.define_jobs(FLAGS)

# Targets of the paper.
_PUBLISHED = ('hhar', 'motionsense', 'pamap2', 'realworld', 'ucihar')


def main() -> None:
  seeds, shard = command.whole_numbers('seeds', _SEEDS.value), _shard()
  datasets, experiment, options = _start()
  from har_jax import experiments, storage
  from har_jax.experiments import paper
  from har_jax.report import frame, tables
  from har_jax.train import mesh

  out = storage.place(_OUT.value)
  plan = paper.Paper(
    datasets=datasets,
    out=out,
    experiment=experiment,
    seeds=seeds,
    targets=tuple(_TARGETS.value or datasets.names),
    tables=paper.TABLES if _TABLE.value == ['all'] else tuple(_TABLE.value),
    shard=shard,
  )
  studies = list(plan.studies())
  results = [[spec.result for spec in study.runs] for study in studies]
  total, done, start_s = sum(map(len, results)), 0, time.monotonic()
  missing = [name for name in _PUBLISHED if name not in datasets.names]
  if mesh.is_main_process() and missing:
    print(f'without windows, so in no table: {", ".join(missing)}', flush=True)
  if (number := min([_jobs(), *map(len, results)])) > 1:  # a study has a run for each shard
    jobs.run('paper', FLAGS, number, results=list(itertools.chain(*results)), stop=options.stop)
  for study in studies:
    for path, result in experiments.run(study, options):
      done += 1
      minutes = (time.monotonic() - start_s) / 60
      if mesh.is_main_process():
        print(f'[{done}/{total}, {minutes:.0f} min] {path}: macro-F1 {result.test.macro_f1:.3f}', flush=True)
  if not mesh.is_main_process():
    return
  if shard[1] > 1:
    print('this shard is done; once all are, the same command without --lodo_shard writes the tables')
    return
  storage.write_text(out / 'tables.md', tables.text(tables.sections(frame.load(out))))
  print(out / 'tables.md')

"""Leave-One-Dataset-Out: pretrain on the sources, adapt to each target, test.

har-jax lodo --windows=windows --methods=full,lora,qlora --seeds=0,1,2
har-jax lodo --windows=windows --targets=hapt --methods=lora,forest --label_budget=10/class
"""

import dataclasses
import itertools
from typing import Any

from har_jax.cli import command, jobs, training
from har_jax.cli.command import HELP
from har_jax.errors import UserError, counted

COMMON = 'windows targets methods seeds out preset split label_budget lora_rank finetune_max_steps'
FLAGS, _define = command.new_flags(with_json=True)
_TARGETS = _define('targets', kind=list)
_SOURCES = _define(
  'sources', None, f'{HELP["sources"]} (default: all under --windows except the target)', kind=list
)
_METHODS = _define(
  'methods',
  ['full', 'lora', 'qlora'],
  'one or more of {methods}; of the baselines forest, rocket; '
  'the weighted mean of lora and both: ensemble; without adaptation: zero_shot, zero_shot_recording',
)
_SEEDS = _define('seeds', ['0', '1', '2'])
_OUT = _define(
  'out',
  'runs/lodo',
  'folder or bucket for results and checkpoints; finished runs there are skipped, unfinished ones resumed',
)
_PRETRAINED_DIR = _define(
  'pretrained_dir', None, 'folder or bucket of pretrainings, shared with other experiments (default: --out)'
)
_BATCH_RUNS = _define(
  'lodo_batch_runs',
  1,
  'seeds of a method that train together, in one program with one frozen backbone',
  lower_bound=1,
)
_PHASE = _define(
  'phase',
  'all',
  'pretrain: only the pretrainings; adapt: only the runs, from finished pretrainings; personalize: from each '
  'finished subject-wise run, an output layer per test subject',
  choices=['all', 'pretrain', 'adapt', 'personalize'],
)
_PERSONAL_LABELS = _define(
  'personal_labels', ['10'], 'for --phase=personalize: labeled windows per activity and subject'
)
_start = training.define_training(FLAGS)
_shard = jobs.define_shard(FLAGS)
_jobs = jobs.define_jobs(FLAGS)


def main() -> dict[str, object]:
  seeds, shard = command.whole_numbers('seeds', _SEEDS.value), _shard()
  datasets, experiment, options = _start()
  import msgspec

  from har_jax import experiments, storage
  from har_jax.train import mesh

  study = experiments.Study(
    datasets=datasets,
    out=storage.place(_OUT.value),
    experiment=experiment,
    targets=tuple(_TARGETS.value or datasets.names),
    methods=tuple(_METHODS.value),
    seeds=seeds,
    sources=tuple(_SOURCES.value or ()),
    pretrained_dir=storage.place(_PRETRAINED_DIR.value) if _PRETRAINED_DIR.value else None,
    shard=shard,
    batch_runs=_BATCH_RUNS.value,
  )
  options = dataclasses.replace(options, may_train=_PHASE.value != 'adapt')
  results = [spec.result for spec in study.runs]
  if (number := min(_jobs(), len(results))) > 1:
    jobs.run('lodo', FLAGS, number, results=results, stop=options.stop)
  if _PHASE.value == 'pretrain':
    for path, done in experiments.pretrain(study, options):
      if mesh.is_main_process():
        print(f'{path}: step {done.step}, {done.seconds:.0f} s', flush=True)
    return {'runs': []}
  if _PHASE.value == 'personalize':
    labels = command.whole_numbers('personal_labels', _PERSONAL_LABELS.value)
    return {'runs': _personalize(study, labels)}
  caveat = ' (window-wise split: optimistic)' if experiment.protocol.split == 'window' else ''
  total, rows = len(results), []
  for number, (path, result) in enumerate(experiments.run(study, options), start=1):
    identity, test = result.identity, result.test
    figures = f'accuracy {test.accuracy:.3f}, macro-F1 {test.macro_f1:.3f}{caveat}'
    if mesh.is_main_process():
      print(f'[{number}/{total}] {path}: {figures}', flush=True)
    run = {'target': identity.target, 'method': identity.method, 'seed': identity.seed}
    rows.append({'file': path, **run, **msgspec.to_builtins(test)})
  return {'runs': rows}


def _personalize(study: Any, labels: tuple[int, ...]) -> list[dict[str, object]]:
  import statistics

  import msgspec

  from har_jax.experiments.personalization import personalize
  from har_jax.train import mesh

  if min(labels) < 1:
    raise UserError(f'--personal_labels={min(labels)}: give 1 or more')
  rows = []
  for spec, number in itertools.product(study.runs, labels):
    path, result = personalize(spec, number)
    before = [subject.before.macro_f1 for subject in result.by_subject.values()]
    after = [subject.after.macro_f1 for subject in result.by_subject.values()]
    gains = [100 * (later - first) for first, later in zip(before, after, strict=True)]
    spread = f' ± {statistics.stdev(gains):.1f}' if len(gains) > 1 else ''
    if mesh.is_main_process():
      print(
        f'{path}: {counted(len(gains), "subject")}, macro-F1 {statistics.mean(before):.3f} before, '
        f'{statistics.mean(after):.3f} after ({statistics.mean(gains):+.1f}{spread} points, over subjects)',
        flush=True,
      )
    rows.append({'file': path, 'by_subject': msgspec.to_builtins(result.by_subject)})
  return rows

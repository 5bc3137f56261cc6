"""Leave-One-Dataset-Out: python launch/lodo.py --windows=windows --methods=full,lora,qlora --seeds=0,1,2."""

import itertools
from collections.abc import Callable

from absl import flags

from har_jax.cli import command
from har_jax.errors import UserError

_WINDOWS = flags.DEFINE_string(
  'windows', 'windows', 'folder or bucket (gs://, s3://) of windows folders, made by launch/prepare.py'
)
_TARGETS = flags.DEFINE_list(
  'targets', None, 'datasets to adapt to, one fold each; all under --windows if not given'
)
_SOURCES = flags.DEFINE_list('sources', None, 'datasets to pretrain on; all but the target if not given')
_METHODS = flags.DEFINE_list('methods', ['full', 'lora', 'qlora'], 'of full, probe, lora, qlora, scratch')
_SEEDS = flags.DEFINE_list('seeds', ['0', '1', '2'], 'each draws its own split, head, adapters and order')
_OUT = flags.DEFINE_string(
  'out', 'results/lodo', 'folder or bucket for results and checkpoints; a run found there goes on'
)
_PRETRAINED = flags.DEFINE_string(
  'pretrained', None, 'folder or bucket of pretrainings to share with other experiments; --out if not given'
)
_BATCH_RUNS = flags.DEFINE_integer(
  'lodo_batch_runs',
  1,
  'so many seeds of a method train side by side, in one program and against one frozen backbone',
  lower_bound=1,
)
_STAGE = flags.DEFINE_enum(
  'stage',
  'all',
  ['all', 'pretrain', 'adapt', 'personalize'],
  "pretrain: only what the shard's runs start from; adapt: only from it; personalize: from each finished run by subject, "
  'one adapter for each of its test subjects, side by side',
)
_PERSONAL_LABELS = flags.DEFINE_list(
  'personal_labels', ['10'], 'windows of each activity that a subject labels, for --stage=personalize'
)
_PROGRESS = flags.DEFINE_bool('progress', True, 'show progress bars')
_experiment = command.define_experiment()
_set_cpu_devices = command.define_cpu_devices()
_join = command.define_processes()
_shard = command.define_shard()


def main() -> None:
  experiment = _experiment()  # checked before anything slow is imported
  seeds, shard = command.whole_numbers('seeds', _SEEDS.value), _shard()
  _set_cpu_devices()
  stop = _join()
  from har_jax import experiments, storage
  from har_jax.data import windows as store
  from har_jax.train import mesh

  windows = store.local(storage.place(_WINDOWS.value))
  study = experiments.Study(
    windows=windows,
    out=storage.place(_OUT.value),
    experiment=experiment,
    targets=tuple(_TARGETS.value or experiments.available(windows)),
    methods=tuple(_METHODS.value),
    seeds=seeds,
    sources=tuple(_SOURCES.value or ()),
    pretrained=storage.place(_PRETRAINED.value) if _PRETRAINED.value else None,
    shard=shard,
    batch_runs=_BATCH_RUNS.value,
  )
  if _STAGE.value == 'pretrain':
    for path, done in experiments.pretrain(study, progress=_PROGRESS.value, stop=stop):
      if mesh.is_main_process():
        print(f'{path}: step {done["step"]}, {done["seconds"]:.0f} s', flush=True)
    return
  if _STAGE.value == 'personalize':
    _personalize(study, command.whole_numbers('personal_labels', _PERSONAL_LABELS.value), stop)
    return
  caveat = ' (split by window: optimistic)' if experiment.protocol.split == 'window' else ''
  runs = experiments.run(study, may_pretrain=_STAGE.value == 'all', progress=_PROGRESS.value, stop=stop)
  for number, (path, result) in enumerate(runs, start=1):
    test = result['test']
    figures = f'accuracy {test["accuracy"]:.3f}, macro-F1 {test["macro_f1"]:.3f}{caveat}'
    if mesh.is_main_process():
      print(f'[{number}/{len(study.runs)}] {path}: {figures}', flush=True)


def _personalize(study, labels: tuple[int, ...], stop: Callable[[], bool]) -> None:
  import statistics

  from har_jax.experiments.personalization import personalize
  from har_jax.train import mesh

  if min(labels) < 1:
    raise UserError(f'--personal_labels={min(labels)}: give 1 or more')
  for (target, seed, method), number in itertools.product(study.runs, labels):
    path, made = personalize(study, target, method, seed, number, progress=_PROGRESS.value, stop=stop)
    before, after = (
      [each[when]['macro_f1'] for each in made['by_subject'].values()] for when in ('before', 'after')
    )
    gains = [100 * (later - first) for first, later in zip(before, after, strict=True)]
    spread = f' ± {statistics.stdev(gains):.1f}' if len(gains) > 1 else ''
    if mesh.is_main_process():
      print(
        f'{path}: {len(gains)} subjects, macro-F1 {statistics.mean(before):.3f} before, {statistics.mean(after):.3f} after '
        f'({statistics.mean(gains):+.1f}{spread} points, over subjects)',
        flush=True,
      )


if __name__ == '__main__':
  command.run(main)

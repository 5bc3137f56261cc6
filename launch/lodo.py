"""Leave-One-Dataset-Out: python launch/lodo.py --windows=windows --methods=full,lora,qlora --seeds=0,1,2."""

from absl import flags

from har_jax.errors import UserError
from launch import command

_WINDOWS = flags.DEFINE_string(
  'windows', 'windows', 'folder or bucket (gs://, s3://) of windows folders, made by launch/prepare.py'
)
_TARGETS = flags.DEFINE_list(
  'targets', None, 'datasets to adapt to, one fold each; all under --windows if not given'
)
_SOURCES = flags.DEFINE_list('sources', None, 'datasets to pretrain on; all but the target if not given')
_METHODS = flags.DEFINE_list('methods', ['full', 'lora', 'qlora'], 'of full, probe, lora, qlora')
_SEEDS = flags.DEFINE_list('seeds', ['0', '1', '2'], 'each draws its own split, head, adapters and order')
_OUT = flags.DEFINE_string(
  'out', 'results/lodo', 'folder or bucket for results and checkpoints; a run found there goes on'
)
_SHARD = flags.DEFINE_string(
  'lodo_shard',
  '0/1',
  'i/n: part i, from 0, of all runs in n parts, of which each is a job with the same --out',
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
  ['all', 'pretrain', 'adapt'],
  "pretrain: only what the shard's runs start from; adapt: only from it",
)
_PROGRESS = flags.DEFINE_bool('progress', True, 'show progress bars')
_experiment = command.define_experiment()
_set_cpu_devices = command.define_cpu_devices()
_join = command.define_processes()


def main() -> None:
  experiment = _experiment()  # checked before anything slow is imported
  seeds, shard = _whole_numbers(_SEEDS.value), _shard(_SHARD.value)
  _set_cpu_devices()
  stop = _join()
  from har_jax import lodo, results
  from har_jax.data import windows as store
  from har_jax.train import mesh

  windows = store.local(results.place(_WINDOWS.value))
  study = lodo.Study(
    windows=windows,
    out=results.place(_OUT.value),
    experiment=experiment,
    targets=tuple(_TARGETS.value or lodo.available(windows)),
    methods=tuple(_METHODS.value),
    seeds=seeds,
    sources=tuple(_SOURCES.value or ()),
    shard=shard,
    batch_runs=_BATCH_RUNS.value,
  )
  if _STAGE.value == 'pretrain':
    for path, done in lodo.pretrain(study, progress=_PROGRESS.value, stop=stop):
      if mesh.leads():
        print(f'{path}: step {done["step"]}, {done["seconds"]:.0f} s', flush=True)
    return
  caveat = ' (split by window: optimistic)' if experiment.protocol.split == 'window' else ''
  runs = lodo.run(study, may_pretrain=_STAGE.value == 'all', progress=_PROGRESS.value, stop=stop)
  for number, (path, result) in enumerate(runs, start=1):
    test = result['test']
    figures = f'accuracy {test["accuracy"]:.3f}, macro-F1 {test["macro_f1"]:.3f}{caveat}'
    if mesh.leads():
      print(f'[{number}/{len(study.runs)}] {path}: {figures}', flush=True)


def _whole_numbers(words: list[str]) -> tuple[int, ...]:
  try:
    return tuple(int(word) for word in words)
  except ValueError as error:
    raise UserError(f'--seeds={",".join(words)}: give whole numbers, such as 0,1,2') from error


def _shard(text: str) -> tuple[int, int]:
  number, _, shards = text.partition('/')
  try:
    return int(number), int(shards)
  except ValueError as error:
    raise UserError(f'--lodo_shard={text}: give i/n, such as 0/4 to 3/4') from error


if __name__ == '__main__':
  command.run(main)

"""Every table of the paper, under two protocols: python launch/paper.py --flagfile=launch/flags/paper.flags --table=all."""

import time

from absl import flags

from har_jax.cli import command

_TABLE = flags.DEFINE_list(
  'table',
  ['all'],
  'which: of 2 to 7, pretraining (its worth where labels are few), rotation (that of turned windows), or all',
)
_WINDOWS = flags.DEFINE_string('windows', 'windows', 'folder or bucket of windows folders')
_TARGETS = flags.DEFINE_list('targets', None, 'datasets to adapt to; all under --windows if not given')
_SEEDS = flags.DEFINE_list('seeds', ['0', '1', '2'], 'each draws its own split, head, adapters and order')
_OUT = flags.DEFINE_string('out', 'results/paper', 'folder or bucket; finished runs found there are reused')
_PROGRESS = flags.DEFINE_bool('progress', True, 'show progress bars')
_experiment = command.define_experiment()
_set_cpu_devices = command.define_cpu_devices()
_join = command.define_processes()
_shard = command.define_shard()

_PUBLISHED = ('hhar', 'motionsense', 'pamap2', 'realworld', 'ucihar')


def main() -> None:
  experiment = _experiment()
  seeds, shard = command.whole_numbers('seeds', _SEEDS.value), _shard()
  _set_cpu_devices()
  stop = _join()
  from har_jax import experiments, results, storage
  from har_jax.data import windows as store
  from har_jax.experiments import paper, pictures
  from har_jax.report import paper as tables
  from har_jax.train import mesh

  windows, out = store.local(storage.place(_WINDOWS.value)), storage.place(_OUT.value)
  here = experiments.available(windows)
  whole = paper.Paper(
    windows=windows,
    out=out,
    experiment=experiment,
    seeds=seeds,
    targets=tuple(_TARGETS.value or here),
    tables=paper.TABLES if _TABLE.value == ['all'] else tuple(_TABLE.value),
    shard=shard,
  )
  studies = list(whole.studies())
  total, done, began = sum(len(study.runs) for study in studies), 0, time.monotonic()
  missing = [name for name in _PUBLISHED if name not in here]
  if mesh.is_main_process() and missing:
    print(f'not at hand, so not in any table: {", ".join(missing)}', flush=True)
  for study in studies:
    for path, result in experiments.run(study, progress=_PROGRESS.value, stop=stop):
      done += 1
      minutes = (time.monotonic() - began) / 60
      if mesh.is_main_process():
        print(
          f'[{done}/{total}, {minutes:.0f} min] {path}: macro-F1 {result["test"]["macro_f1"]:.3f}', flush=True
        )
  if not mesh.is_main_process():
    return
  if shard[1] > 1:
    print('a part of the runs is done; the same command without --lodo_shard writes the tables once all are')
    return
  for target in whole.targets:
    for study in whole.shown(target)[:1]:
      pictures.write(study, target, 'lora', seeds[0])
  found = results.find(out)
  storage.write_text(out / 'tables.md', tables.markdown(found))
  print(out / 'tables.md')


if __name__ == '__main__':
  command.run(main)

"""A base to adapt, pretrained on archives: python launch/pretrain.py --windows=windows --sources=motionsense --out=base."""

from typing import Any

from absl import flags

from har_jax.cli import command

_WINDOWS = flags.DEFINE_string(
  'windows', 'windows', 'folder or bucket of windows folders, made by launch/prepare.py'
)
_SOURCES = flags.DEFINE_list(
  'sources',
  None,
  'datasets to pretrain on; all under --windows if not given (UCI HAR and HAPT are the same people)',
)
_OUT = flags.DEFINE_string('out', 'base', 'folder for the base; a pretraining found there goes on')
_FOUR_BITS = flags.DEFINE_bool(
  'four_bits', False, 'round the matrices of its blocks to four bits, for a file of a seventh the size'
)
_PROGRESS = flags.DEFINE_bool('progress', True, 'show a progress bar')
_experiment = command.define_experiment()
_set_cpu_devices = command.define_cpu_devices()
_join = command.define_processes()


def main() -> None:
  experiment = _experiment()
  _set_cpu_devices()
  stop = _join()
  from har_jax import experiments, files, storage
  from har_jax.data import windows as store
  from har_jax.errors import UserError
  from har_jax.train import mesh

  windows, out = store.local(storage.place(_WINDOWS.value)), storage.place(_OUT.value)
  here = experiments.available(windows)
  sources = _SOURCES.value or here
  if unknown := sorted(set(sources).difference(here)):
    raise UserError(f'no windows of {", ".join(unknown)} under {windows}; there are {", ".join(here)}')
  done = out / 'pretrain' / 'pretrained.json'
  title = f'pretraining on {", ".join(sources)}'
  how: dict[str, Any] = {'progress': _PROGRESS.value, 'stop': stop}
  whole = experiments.pretrain_mae(done, experiment, windows, sources, title=title, **how)
  if experiment.protocol.supervised_pretraining_steps:
    before, done = done, out / 'labeled' / 'pretrained.json'
    title = f'activities of {", ".join(sources)}'
    experiments.pretrain_supervised(
      done, before, whole, experiment, windows, sources, seed=0, title=title, **how
    )
  if not mesh.is_main_process():
    return
  base = files.load_base(done.parent)
  base = files.save_base(out, base.variables, base.card, four_bits=_FOUR_BITS.value)
  told = base.card['pretraining']
  measured = ', '.join(
    f'{name.replace("_f1", "-F1").replace("_", " ")} {value:.3f}'
    for name, value in told.items()
    if name.startswith('validation_')
  )
  print(f'{out / "base.json"}: step {told["steps"]}, {measured}')


if __name__ == '__main__':
  command.run(main)

"""A base to adapt, pretrained on archives: python launch/pretrain.py --windows=windows --sources=motionsense --out=base."""

from absl import flags

from launch import command

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
  from har_jax import files, lodo, results
  from har_jax.data import windows as store
  from har_jax.errors import UserError
  from har_jax.train import mesh

  windows, out = store.local(results.place(_WINDOWS.value)), results.place(_OUT.value)
  here = lodo.available(windows)
  sources = _SOURCES.value or here
  if unknown := sorted(set(sources).difference(here)):
    raise UserError(f'no windows of {", ".join(unknown)} under {windows}; there are {", ".join(here)}')
  done = out / 'pretrain' / 'pretrained.json'
  title = f'pretraining on {", ".join(sources)}'
  lodo.autoencoder_at(done, experiment, windows, sources, title=title, progress=_PROGRESS.value, stop=stop)
  if not mesh.leads():
    return
  base = files.load_base(done.parent)
  base = files.save_base(out, base.variables, base.card, four_bits=_FOUR_BITS.value)
  told = base.card['pretraining']
  print(f'{out / "base.json"}: step {told["steps"]}, validation loss {told["validation_loss"]:.3f}')


if __name__ == '__main__':
  command.run(main)

"""Leave-One-Dataset-Out: python launch/lodo.py --windows=windows --methods=full,lora,qlora --seeds=0,1,2."""

import pathlib

from absl import flags

from har_jax.errors import UserError
from launch import command

_WINDOWS = flags.DEFINE_string('windows', 'windows', 'folder of windows folders, made by launch/prepare.py')
_TARGETS = flags.DEFINE_list(
  'targets', None, 'datasets to adapt to, one fold each; all under --windows if not given'
)
_SOURCES = flags.DEFINE_list('sources', None, 'datasets to pretrain on; all but the target if not given')
_METHODS = flags.DEFINE_list('methods', ['full', 'lora', 'qlora'], 'of full, probe, lora, qlora')
_SEEDS = flags.DEFINE_list('seeds', ['0', '1', '2'], 'each draws its own split, head, adapters and order')
_OUT = flags.DEFINE_string(
  'out', 'results/lodo', 'folder for results and checkpoints; a run found there goes on'
)
_PROGRESS = flags.DEFINE_bool('progress', True, 'show progress bars')
_experiment = command.define_experiment()


def main() -> None:
  experiment = _experiment()  # checked before anything slow is imported
  seeds = _whole_numbers(_SEEDS.value)
  from har_jax import lodo

  windows = pathlib.Path(_WINDOWS.value)
  study = lodo.Study(
    windows=windows,
    out=pathlib.Path(_OUT.value),
    experiment=experiment,
    targets=tuple(_TARGETS.value or lodo.available(windows)),
    methods=tuple(_METHODS.value),
    seeds=seeds,
    sources=tuple(_SOURCES.value or ()),
  )
  caveat = ' (split by window: optimistic)' if experiment.protocol.split == 'window' else ''
  total = len(study.targets) * len(study.methods) * len(study.seeds)
  for number, (path, result) in enumerate(lodo.run(study, progress=_PROGRESS.value), start=1):
    test = result['test']
    figures = f'accuracy {test["accuracy"]:.3f}, macro-F1 {test["macro_f1"]:.3f}{caveat}'
    print(f'[{number}/{total}] {path}: {figures}', flush=True)


def _whole_numbers(words: list[str]) -> tuple[int, ...]:
  try:
    return tuple(int(word) for word in words)
  except ValueError as error:
    raise UserError(f'--seeds={",".join(words)}: give whole numbers, such as 0,1,2') from error


if __name__ == '__main__':
  command.run(main)

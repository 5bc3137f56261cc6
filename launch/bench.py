"""How fast whole steps are: python launch/bench.py --model_patch=16 --out=results/bench; --peers adds PyTorch."""

import pathlib

from absl import flags

from har_jax.errors import UserError
from launch import command

_KINDS = flags.DEFINE_list('kinds', ['full', 'lora', 'qlora', 'pretraining', 'inference'], 'steps to measure')
_BATCHES = flags.DEFINE_list('batches', ['64', '256', '1024'], 'windows of a step')
_REPEATS = flags.DEFINE_integer('repeats', 20, 'calls of each, in turn with the others', lower_bound=2)
_PEERS = flags.DEFINE_bool(
  'peers', False, 'measure PyTorch with peft and bitsandbytes beside, in the same run'
)
_OUT = flags.DEFINE_string('out', 'results/bench', 'folder for steps.json and steps.md')
_experiment = command.define_experiment()


def main() -> None:
  experiment = _experiment()
  if not all(text.isdigit() and int(text) >= 1 for text in _BATCHES.value):
    raise UserError(f'--batches={",".join(_BATCHES.value)}: give whole numbers from 1 up')
  batches = [int(text) for text in _BATCHES.value]
  import tqdm

  from har_jax import config, results, runtime
  from har_jax.bench import steps
  from har_jax.report import bench as table

  if unknown := set(_KINDS.value).difference(steps.KINDS):
    raise UserError(f'--kinds: no step {", ".join(sorted(unknown))}; of {", ".join(steps.KINDS)}')
  measured = steps.measure(experiment, _KINDS.value, batches, repeats=_REPEATS.value, peers=_PEERS.value)
  try:
    rows = list(tqdm.tqdm(measured, desc='steps', unit=' figures'))
  except ModuleNotFoundError as missing:
    raise UserError(
      f'--peers needs torch, peft and bitsandbytes installed; {missing.name} is not'
    ) from missing
  bench = {'experiment': config.to_json(experiment), 'steps': rows} | runtime.describe(
    also=('torch', 'peft', 'bitsandbytes')
  )
  out = pathlib.Path(_OUT.value)
  results.write(out / 'steps.json', bench)
  text = table.markdown(bench)
  results.write_text(out / 'steps.md', text)
  print(text)
  print(out / 'steps.md')


if __name__ == '__main__':
  command.run(main)

"""Measure the time of training steps, pretraining and inference.

python -m launch.bench --out=runs/bench
python -m launch.bench --scaling --dimensions=width,batch
python -m launch.bench --reference=results/bench_reference.json
"""

import pathlib
import sys

import tqdm

from har_jax import config, config_fields, runtime, storage
from har_jax.cli import command, jobs, training
from har_jax.errors import UserError
from har_jax.train import mesh
from launch.bench import HELP, chart, guard, running, scaling, steps, tables

COMMON = 'kinds batches dtypes repeats peers scaling dimensions reference out cpu_devices'
FLAGS, _define = command.new_flags()
_KINDS = _define(
  'kinds',
  ['full', 'lora', 'qlora', 'pretraining', 'inference'],
  'steps to measure; `epoch` is one epoch of LoRA over 7209 windows, loading included',
)
_BATCHES = _define('batches', ['64', '256', '1024'], HELP['batches'])
_DTYPES = _define(
  'dtypes', None, 'one or more of float32, bfloat16, for matrix products (default: --dtype)', kind=list
)
_REPEATS = _define('repeats', 20, HELP['repeats'], lower_bound=2)
_PEERS = _define('peers', False, 'also measure PyTorch with peft and bitsandbytes, in the same run')
_SCALING = _define(
  'scaling',
  False,
  'measure instead how the cost grows with --dimensions; ignores --kinds, --batches, --dtypes, --peers',
)
_DIMENSIONS = _define(
  'dimensions', ['width', 'tokens', 'batch', 'runs'], 'what --scaling varies, one at a time'
)
_REFERENCE = _define(
  'reference',
  None,
  'ratios.json of an earlier run on the same kind of machine. Fail if a step is slower by more than a '
  'quarter, each divided by a plain matrix product of its run',
)
_OUT = _define(
  'out',
  'runs/bench',
  'folder for steps.json, steps.md and ratios.json, or scaling.json, scaling.md and scaling.svg',
)
_experiment = training.define_experiment(FLAGS)
_set_cpu_devices = jobs.define_cpu_devices(FLAGS)


def main() -> None:
  batches = running.batch_sizes(_BATCHES.value)
  _set_cpu_devices()
  experiment = _experiment()
  if _SCALING.value:
    _scaling(experiment)
  else:
    _steps(experiment, batches)


def _steps(experiment: config.Experiment, batches: list[int]) -> None:
  command.check_choices('kinds', _KINDS.value, steps.KINDS)
  dtypes = _DTYPES.value or [experiment.precision.dtype]
  for dtype in dtypes:
    config.Precision(dtype=dtype)  # raises UserError where unknown
  for batch in batches:
    mesh.check_divisible(batch, mesh.data_mesh(), flag='batches')
  reference = None
  if _REFERENCE.value is not None:
    device = str(runtime.device())
    reference = guard.read(storage.place(_REFERENCE.value), config_fields.to_json(experiment), device)
  measured = steps.measure(
    experiment, _KINDS.value, batches, repeats=_REPEATS.value, peers=_PEERS.value, dtypes=dtypes
  )
  try:
    rows = list(tqdm.tqdm(measured, desc='steps', unit=' figures'))
  except ModuleNotFoundError as missing:
    raise UserError(
      f'--peers needs torch, peft and bitsandbytes installed; {missing.name} is not'
    ) from missing
  out, also = pathlib.Path(_OUT.value), ('torch', 'peft', 'bitsandbytes')
  bench = running.save(out / 'steps', tables.steps, experiment, also, steps=rows)
  ratios = guard.ratios(bench)
  storage.write(out / 'ratios.json', ratios)
  print(out / 'steps.md')
  if reference is not None and (lines := guard.slower(ratios['ratios'], reference)):
    raise UserError(
      f'slower than {_REFERENCE.value} by more than {guard.TOLERANCE:.0%}:\n' + '\n'.join(lines)
    )


def _scaling(experiment: config.Experiment) -> None:
  command.check_choices('dimensions', _DIMENSIONS.value, list(scaling.SIZES))
  sizes = {name: values for name, values in scaling.SIZES.items() if name in _DIMENSIONS.value}
  devices = mesh.data_mesh()
  mesh.check_divisible(experiment.finetune.batch, devices, flag='finetune_batch')
  mesh.check_divisible(experiment.pretrain.batch, devices, flag='pretrain_batch')
  if devices is not None and any(batch % devices.size for batch in sizes.get('batch', ())):
    raise UserError(
      f'batches of {sizes["batch"]} cannot be split over {devices.size} devices; '
      'leave `batch` out of --dimensions, or use fewer devices'
    )
  measured = scaling.measure(experiment, sizes, repeats=_REPEATS.value)
  rows = list(tqdm.tqdm(measured, desc='scaling', unit=' figures'))
  out = pathlib.Path(_OUT.value)
  bench = running.save(out / 'scaling', tables.scaling, experiment, scaling=rows)
  storage.write_text(out / 'scaling.svg', chart.scaling(bench))
  print(out / 'scaling.svg')


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))

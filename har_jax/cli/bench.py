"""How fast whole steps are: python launch/bench.py --model_patch_size=16 --out=results/bench; --peers adds PyTorch.

--scaling measures instead how their cost grows with the model, the batch and the runs side by side.
"""

import pathlib

from absl import flags

from har_jax.cli import command
from har_jax.errors import UserError

_KINDS = flags.DEFINE_list(
  'kinds',
  ['full', 'lora', 'qlora', 'pretraining', 'inference'],
  'steps to measure; `epoch` is a pass of LoRA over 7209 windows, loading included',
)
_BATCHES = flags.DEFINE_list('batches', ['64', '256', '1024'], 'windows of a step')
_DTYPES = flags.DEFINE_list(
  'dtypes', None, 'of float32, bfloat16: what we multiply in, each beside the other (default: --dtype alone)'
)
_REPEATS = flags.DEFINE_integer('repeats', 20, 'calls of each, in turn with the others', lower_bound=2)
_PEERS = flags.DEFINE_bool(
  'peers', False, 'measure PyTorch with peft and bitsandbytes beside, in the same run'
)
_SCALING = flags.DEFINE_bool(
  'scaling', False, 'measure how the cost of a window grows; --kinds, --batches, --dtypes, --peers stay out'
)
_DIMENSIONS = flags.DEFINE_list(
  'dimensions', ['width', 'tokens', 'batch', 'runs'], 'what --scaling varies, one at a time'
)
_OUT = flags.DEFINE_string(
  'out', 'results/bench', 'folder for steps.json and steps.md, or scaling.json, scaling.md and scaling.svg'
)
_experiment = command.define_experiment()
_set_cpu_devices = command.define_cpu_devices()


def main() -> None:
  experiment = _experiment()
  if not all(text.isdigit() and int(text) >= 1 for text in _BATCHES.value):
    raise UserError(f'--batches={",".join(_BATCHES.value)}: give whole numbers from 1 up')
  _set_cpu_devices()
  if _SCALING.value:
    _scaling(experiment)
  else:
    _steps(experiment, [int(text) for text in _BATCHES.value])


def _steps(experiment, batches: list[int]) -> None:
  import tqdm

  from har_jax import config, config_fields, runtime, storage
  from har_jax.bench import steps
  from har_jax.report import bench as table
  from har_jax.train import mesh

  if unknown := set(_KINDS.value).difference(steps.KINDS):
    raise UserError(f'--kinds: no step {", ".join(sorted(unknown))}; of {", ".join(steps.KINDS)}')
  dtypes = _DTYPES.value or [experiment.precision.dtype]
  for dtype in dtypes:
    config.Precision(dtype=dtype)  # which refuses what it does not know
  for batch in batches:
    mesh.check_divisible(batch, mesh.data_mesh(), flag='batches')
  measured = steps.measure(
    experiment, _KINDS.value, batches, repeats=_REPEATS.value, peers=_PEERS.value, dtypes=dtypes
  )
  try:
    rows = list(tqdm.tqdm(measured, desc='steps', unit=' figures'))
  except ModuleNotFoundError as missing:
    raise UserError(
      f'--peers needs torch, peft and bitsandbytes installed; {missing.name} is not'
    ) from missing
  bench = {'experiment': config_fields.to_json(experiment), 'steps': rows} | runtime.describe(
    also=('torch', 'peft', 'bitsandbytes')
  )
  out = pathlib.Path(_OUT.value)
  storage.write(out / 'steps.json', bench)
  text = table.markdown(bench)
  storage.write_text(out / 'steps.md', text)
  print(text)
  print(out / 'steps.md')


def _scaling(experiment) -> None:
  from har_jax.report import scaling as picture

  picture.refuse_without_matplotlib()  # now, not after minutes of measuring
  from har_jax.bench import scaling

  if unknown := set(_DIMENSIONS.value).difference(scaling.SIZES):
    raise UserError(f'--dimensions: no {", ".join(sorted(unknown))}; of {", ".join(scaling.SIZES)}')
  sizes = {name: of for name, of in scaling.SIZES.items() if name in _DIMENSIONS.value}
  import tqdm

  from har_jax import config_fields, runtime, storage
  from har_jax.train import mesh

  devices = mesh.data_mesh()
  mesh.check_divisible(experiment.finetune.batch, devices, flag='finetune_batch')
  mesh.check_divisible(experiment.pretrain.batch, devices, flag='pretrain_batch')
  if devices is not None and any(batch % devices.size for batch in sizes.get('batch', ())):
    raise UserError(
      f'batches of {sizes["batch"]} cannot be split over {devices.size} devices; leave `batch` out of --dimensions, or use fewer'
    )
  measured = scaling.measure(experiment, sizes, repeats=_REPEATS.value)
  rows = list(tqdm.tqdm(measured, desc='scaling', unit=' figures'))
  bench = {'experiment': config_fields.to_json(experiment), 'scaling': rows} | runtime.describe()
  out = pathlib.Path(_OUT.value)
  storage.write(out / 'scaling.json', bench)
  text = picture.markdown(bench)
  storage.write_text(out / 'scaling.md', text)
  storage.write_text(out / 'scaling.svg', picture.svg(bench))
  print(text)
  print(out / 'scaling.svg')


if __name__ == '__main__':
  command.run(main)

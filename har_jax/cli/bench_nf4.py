"""What four-bit weights cost and save: python launch/bench_nf4.py --model_patch_size=16 --out=results/bench."""

import pathlib

from absl import flags

from har_jax import config, config_fields
from har_jax.cli import command
from har_jax.errors import UserError

_SHAPES = flags.DEFINE_list('shapes', ['192x576', '1024x4096'], 'matrices to measure, in x out')
_ROWS = flags.DEFINE_integer('rows', 2048, 'rows that are multiplied with them', lower_bound=1)
_BATCHES = flags.DEFINE_list('batches', ['64', '256'], 'windows of a training step')
_REPEATS = flags.DEFINE_integer('repeats', 30, 'calls of each, in turn with the others', lower_bound=2)
_PRESETS = flags.DEFINE_list('presets', ['base', 'paper'], 'models to weigh in memory, of base, paper')
_OUT = flags.DEFINE_string('out', 'results/bench', 'folder for nf4.json and nf4.md')
_experiment = command.define_experiment()


def main() -> None:
  experiment = _experiment()
  shapes = [(i, o) for i, o in (_sizes('shapes', text, 2) for text in _SHAPES.value)]
  batches = [_sizes('batches', text, 1)[0] for text in _BATCHES.value]
  if unknown := set(_PRESETS.value).difference(config.PRESETS):
    raise UserError(f'--presets: no preset {", ".join(sorted(unknown))}; of {", ".join(config.PRESETS)}')
  import tqdm

  from har_jax import runtime, storage
  from har_jax.bench import nf4
  from har_jax.report import bench_nf4

  def each(rows, title):
    return list(tqdm.tqdm(rows, desc=title, unit=' figures'))

  out = pathlib.Path(_OUT.value)
  matrices = each(nf4.matrices(shapes, rows=_ROWS.value, repeats=_REPEATS.value), 'matrices')
  steps = [
    row
    for batch in batches
    for row in each(nf4.steps(experiment, batch=batch, repeats=_REPEATS.value), f'batch {batch}')
  ]
  model = experiment.model
  bench = {
    'experiment': config_fields.to_json(experiment),
    'two_kernels_bytes': 2 * 4 * model.width * max(model.width, model.mlp_dim),
    'matrices': matrices,
    'steps': steps,
    'memory': each(nf4.memory(_PRESETS.value), 'memory'),
  } | runtime.describe(also=('bitsandbytes', 'torch', 'qwix'))
  storage.write(out / 'nf4.json', bench)
  text = bench_nf4.markdown(bench)
  storage.write_text(out / 'nf4.md', text)
  print(text)
  print(out / 'nf4.md')


def _sizes(flag: str, text: str, count: int) -> tuple[int, ...]:
  parts = text.split('x')
  if len(parts) != count or not all(part.isdigit() and int(part) >= 1 for part in parts):
    wanted = 'sizes such as 192x576' if count == 2 else 'whole numbers from 1 up'
    raise UserError(f'--{flag}: {text!r} is not understood; give {wanted}')
  return tuple(int(part) for part in parts)


if __name__ == '__main__':
  command.run(main)

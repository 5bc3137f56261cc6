"""Measure what NF4 weights cost in time and save in memory.

har-jax bench_nf4 --out=runs/bench
har-jax bench_nf4 --shapes=192x576 --rows=64 --batches=64
"""

import pathlib

from absl import flags

from har_jax import config, config_fields
from har_jax.cli import command
from har_jax.cli.command import HELP
from har_jax.errors import UserError

COMMON = ('shapes', 'rows', 'batches', 'repeats', 'presets', 'out')
FLAGS = command.new_flags()
_SHAPES = flags.DEFINE_list(
  'shapes', ['192x576', '1024x4096'], 'weight matrices to measure, inputs x outputs', flag_values=FLAGS
)
_ROWS = flags.DEFINE_integer('rows', 2048, 'rows of the other factor', lower_bound=1, flag_values=FLAGS)
_BATCHES = flags.DEFINE_list('batches', ['64', '256'], HELP['batches'], flag_values=FLAGS)
_REPEATS = flags.DEFINE_integer('repeats', 30, HELP['repeats'], lower_bound=2, flag_values=FLAGS)
_PRESETS = flags.DEFINE_list(
  'presets',
  ['base', 'paper'],
  'models whose memory to count: base, paper or both; empty: none',
  flag_values=FLAGS,
)
_OUT = flags.DEFINE_string('out', 'runs/bench', 'folder for nf4.json and nf4.md', flag_values=FLAGS)
_experiment = command.define_experiment(FLAGS, unused=('pretrain', 'methods', 'nf4_double'))


def main() -> None:
  experiment = _experiment()
  shapes = [_shape(text) for text in _SHAPES.value]
  batches = command.sizes('batches', _BATCHES.value)
  if _PRESETS.value:
    command.check_choices('presets', _PRESETS.value, list(config.PRESETS))
  import tqdm

  from har_jax import runtime, storage
  from har_jax.bench import nf4
  from har_jax.report import bench as table

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
  text = table.nf4(bench)
  storage.write_text(out / 'nf4.md', text)
  print(text)
  print(out / 'nf4.md')


def _shape(text: str) -> tuple[int, int]:
  parts = text.split('x')
  if len(parts) != 2 or not all(part.isdigit() and int(part) >= 1 for part in parts):
    raise UserError(f'--shapes={text}: give inputs x outputs, such as 192x576')
  return int(parts[0]), int(parts[1])

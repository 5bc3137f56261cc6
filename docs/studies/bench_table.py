"""Compare our steps with PyTorch's, write results/bench.csv, and its tables in results/bench.md.

python docs/studies/bench_table.py [steps] [recommended]

Needs torch, peft and bitsandbytes. On two idle cores, `steps` takes an hour, `recommended` twenty minutes.
"""

import os
import pathlib
import subprocess
import sys
from typing import Any

import pandas as pd

from har_jax import records, storage
from har_jax.cli import jobs, report
from har_jax.report import csv_table, markdown

_ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from launch.bench import tables  # noqa: E402

TABLE, PAGE = _ROOT / 'results' / 'bench.csv', _ROOT / 'results' / 'bench.md'
_OUT = _ROOT / 'runs' / 'bench_table'
_PAPER = ('--model_stem=', '--model_depth=6', '--model_pooling=mean', '--normalize=train')
_NO_AUGMENTATION = ('--finetune_amplitude_std=0', '--finetune_time_warp_std=0')
# Experiment in the table → its flags. `steps` is the paper's linear embedding; no flags: what everyone runs.
MODELS = {
  'steps': (*_PAPER, *_NO_AUGMENTATION, '--batches=64,256,1024', '--repeats=8'),
  'recommended': ('--batches=256', '--repeats=5'),
}
_KINDS = '--kinds=lora,full,qlora,pretraining,inference'
# For both libraries: memory that was freed is used again.
_ALLOCATOR = 'glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4000000000'


def main() -> None:
  for name in sys.argv[1:] or MODELS:
    devices = f'--cpu_devices={len(jobs.cores())}'
    arguments = (*MODELS[name], _KINDS, devices, '--dtypes=float32,bfloat16')
    program = [sys.executable, '-m', 'launch.bench', '--peers', *arguments, f'--out={_OUT / name}']
    measured = subprocess.run(program, cwd=_ROOT, env=os.environ | {'GLIBC_TUNABLES': _ALLOCATOR})
    if measured.returncode:  # its message is above
      sys.exit(measured.returncode)
    write(name, _OUT / name, report.commit())


def write(name: str, measured: pathlib.Path, commit: str) -> None:
  """Replaces the table's rows of an experiment and device by those in the folder, measured at the commit."""
  types = {'batch': 'Int64', 'size': 'Int64'}
  table = csv_table.read(TABLE, types)
  bench = storage.read(measured / 'steps.json')
  shown = ('har_jax', 'python', 'jax', 'torch', 'peft', 'bitsandbytes')
  rows = pd.DataFrame(bench['steps']).assign(
    experiment=name,
    ms_low=lambda frame: frame['ms_quartiles'].str[0],
    ms_high=lambda frame: frame['ms_quartiles'].str[1],
    product_fraction=lambda frame: frame['fraction_of_product'],
    device=str(records.Device(**bench['device'])),
    versions=' '.join(f'{name}={bench["versions"][name]}' for name in shown),
    commit=commit,
  )
  others = table[(table['experiment'] != name) | (table['device'] != rows['device'].iloc[0])]
  joined = pd.concat([others, rows]).reindex(columns=table.columns)
  csv_table.write(joined.map(_rounded).astype(types), TABLE)
  storage.write_text(PAGE, markdown.markdown(tables.sections(TABLE)))
  print(PAGE)


def _rounded(cell: Any) -> Any:
  return float(f'{cell:.6g}') if isinstance(cell, float) else cell


if __name__ == '__main__':
  main()

"""Compare our steps with PyTorch's, write results/bench.csv, and its tables in results/bench.md.

python docs/bench_table.py

Needs torch, peft and bitsandbytes, and JAX 0.12 or newer for bfloat16. Takes half an hour on an idle machine.
"""

import os
import pathlib
import subprocess
import sys
from typing import Any

import pandas as pd

from har_jax import results, storage
from har_jax.cli import jobs, report
from har_jax.report import bench, csv_table, markdown

_ROOT = pathlib.Path(__file__).parents[1]
TABLE, PAGE = _ROOT / 'results' / 'bench.csv', _ROOT / 'results' / 'bench.md'
_OUT = _ROOT / 'runs' / 'bench_table'
# PyTorch's model has the paper's linear embedding, and no augmentation that costs time.
_MODEL = ('--model_stem=', '--model_depth=6', '--model_pooling=mean', '--normalize=train')
_AUGMENTATION = ('--finetune_amplitude_std=0', '--finetune_time_warp_std=0')
_EXPERIMENTS = {
  'steps': ('--kinds=lora,full,qlora,pretraining,inference', '--batches=64,256,1024'),
  'epoch': ('--kinds=epoch', '--batches=64'),
}
# For both libraries: memory that was freed is used again.
_ALLOCATOR = 'glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4000000000'


def main() -> None:
  for experiment, arguments in _EXPERIMENTS.items():
    devices = f'--cpu_devices={len(jobs.cores())}'
    given = (*_MODEL, *_AUGMENTATION, *arguments, devices, '--dtypes=float32,bfloat16', '--repeats=8')
    program = [sys.executable, '-m', 'har_jax', 'bench', '--peers', *given, f'--out={_OUT / experiment}']
    subprocess.run(program, check=True, env=os.environ | {'GLIBC_TUNABLES': _ALLOCATOR})
  write(_OUT, report.commit())


def write(measured: pathlib.Path, commit: str) -> None:
  """Replaces these experiments in the table by those in the folder, measured at the commit."""
  types = {'batch': 'Int64', 'size': 'Int64'}
  table = csv_table.read(TABLE, types)
  rows = [row for name in _EXPERIMENTS for row in _rows(name, storage.read(measured / name / 'steps.json'))]
  frame = pd.DataFrame(rows).assign(commit=commit)
  kept = table[~table['experiment'].isin(_EXPERIMENTS)]
  csv_table.write(pd.concat([frame, kept])[table.columns].astype(types), TABLE)
  storage.write_text(PAGE, markdown.markdown(bench.sections(TABLE)))
  print(PAGE)


def _rows(experiment: str, measured: dict[str, Any]) -> list[dict[str, Any]]:
  shown = ('har_jax', 'python', 'jax', 'torch', 'peft', 'bitsandbytes')
  described = {
    'experiment': experiment,
    'device': results.device_text(measured['device']),
    'versions': ' '.join(f'{name}={measured["versions"][name]}' for name in shown),
  }
  return [row | described | {'product_fraction': row['fraction_of_product']} for row in measured['steps']]


if __name__ == '__main__':
  main()

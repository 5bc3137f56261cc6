"""The table of benchmarks, to which each new one adds its rows."""

import runpy

import msgspec
import study

from har_jax import runtime, storage
from har_jax.report import csv_table


def test_a_new_benchmark_replaces_its_own_rows_alone(tmp_path, monkeypatch):
  made = runpy.run_path(str(study.ROOT / 'docs' / 'studies' / 'bench_table.py'))
  before = csv_table.read(made['TABLE'])
  row = {'kind': 'lora', 'batch': 64, 'by': 'har_jax', 'ms_quartiles': [19.0, 21.0]}
  row |= {'fraction_of_product': 0.5}
  versions = runtime.versions() | dict.fromkeys(('torch', 'peft', 'bitsandbytes'), '1')
  described = {'versions': versions, 'device': msgspec.structs.asdict(runtime.device())}
  monkeypatch.setitem(made['write'].__globals__, 'TABLE', tmp_path / 'bench.csv')
  monkeypatch.setitem(made['write'].__globals__, 'PAGE', tmp_path / 'bench.md')
  csv_table.write(before, tmp_path / 'bench.csv')
  for experiment, ms in (('steps', 20.0), ('epoch', 30.0), ('steps', 40.0)):
    storage.write(tmp_path / 'steps.json', {'steps': [row | {'ms': ms}]} | described)
    made['write'](experiment, tmp_path, 'abcdef0')
  after = csv_table.read(tmp_path / 'bench.csv')
  assert after[['experiment', 'ms']].iloc[-2:].to_numpy().tolist() == [['epoch', 30.0], ['steps', 40.0]]
  assert after['commit'].iloc[-1] == 'abcdef0'
  assert after[['ms_low', 'ms_high', 'product_fraction']].iloc[-1].tolist() == [19.0, 21.0, 0.5]
  assert after['ms'].iloc[:-2].tolist() == before['ms'].tolist()  # the same experiments on other devices
  sections = 1 + before.query('experiment == "steps"').device.nunique()
  assert (tmp_path / 'bench.md').read_text().count('## steps\n') == sections

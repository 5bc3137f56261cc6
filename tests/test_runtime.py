"""What the device is asked for."""

import pathlib
import runpy
import types

import jax
import pytest
from absl import flags

from har_jax import runtime
from har_jax.cli.command import new_flags
from har_jax.cli.training import define_experiment

_ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize(
  ('backend', 'features', 'dtype'),
  [
    ('cpu', {'avx2', 'amx_bf16'}, 'bfloat16'),
    ('cpu', {'avx512_bf16'}, 'bfloat16'),
    ('cpu', {'avx2', 'avx512f'}, 'float32'),
    ('cpu', set(), 'float32'),
    ('gpu', {'avx2'}, 'bfloat16'),
    ('tpu', set(), 'bfloat16'),
  ],
)
def test_bfloat16_is_taken_where_its_products_are_faster(backend, features, dtype, monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)
  monkeypatch.setattr(runtime, '_cpu_features', lambda: features)
  assert runtime.fastest_dtype() == dtype


def test_the_device_tells_which_products_in_bfloat16_it_has(monkeypatch):
  monkeypatch.setattr(runtime.platform, 'machine', lambda: 'x86_64')
  monkeypatch.setattr(runtime, '_cpu_features', lambda: {'avx2', 'avx512_bf16', 'amx_bf16'})
  assert runtime.device().machine == 'x86_64 amx_bf16 avx512_bf16'
  monkeypatch.setattr(runtime, '_cpu_features', lambda: {'avx2'})
  assert runtime.device().machine == 'x86_64'
  h100 = types.SimpleNamespace(platform='gpu', device_kind='NVIDIA H100')
  monkeypatch.setattr(jax, 'devices', lambda: [h100, h100])
  monkeypatch.setattr(jax, 'device_count', lambda: 2)
  device = runtime.device()
  assert (device.platform, device.kind, device.count) == ('gpu', 'NVIDIA H100', 2)


def test_a_package_that_is_missing_has_no_version():
  versions = runtime.versions(('no_such_package', 'pytest'))
  assert versions['pytest'] == pytest.__version__
  assert 'no_such_package' not in versions


def test_a_table_of_measurements_says_where_they_were_made():
  columns = runpy.run_path(str(_ROOT / 'docs' / 'studies' / 'study.py'))['run_on']()
  header = (_ROOT / 'results' / 'method_costs.csv').read_text().splitlines()[0].split(',')
  assert [name for name in header if name in columns] == list(columns)
  assert f'jax {jax.__version__}' in columns['versions']


@pytest.mark.parametrize(
  ('arguments', 'expected'),
  [([], 'bfloat16'), (['--dtype=auto'], 'bfloat16'), (['--dtype=float32'], 'float32')],
)
def test_dtype_auto_is_a_dtype_in_the_experiment_and_an_unknown_one_an_error(
  arguments, expected, monkeypatch
):
  monkeypatch.setattr(runtime, 'fastest_dtype', lambda: 'bfloat16')
  values, _ = new_flags()
  experiment = define_experiment(values)
  values(['lodo', *arguments])
  assert experiment().precision.dtype == expected
  with pytest.raises(flags.Error, match='--dtype=float8: it must be one of float32, bfloat16'):
    values(['lodo', '--dtype=float8'])

"""A step that has become slower, relative to a plain matrix product, is found."""

import pytest

from har_jax import storage
from har_jax.errors import UserError
from launch.bench import guard

_DEVICE = 'cpu (x86_64 host, 2 cores)'
_BENCH = {
  'experiment': {'model': {'width': 24}},
  'device': {'platform': 'cpu', 'kind': 'cpu', 'count': 1, 'host_cores': 2, 'machine': 'x86_64'},
  'versions': {'jax': '0.10'},
  'steps': [
    {'kind': 'lora', 'batch': 64, 'by': 'har_jax', 'fraction_of_product': 0.5},
    {'kind': 'full', 'batch': 64, 'by': 'har_jax', 'fraction_of_product': 0.6},
  ],
}


def test_ratios_that_fall_by_more_than_the_tolerance_are_named(tmp_path):
  storage.write(tmp_path / 'ratios.json', guard.ratios(_BENCH))
  reference = guard.read(tmp_path / 'ratios.json', _BENCH['experiment'], _DEVICE)
  least = 1 - guard.TOLERANCE
  measured = {'lora 64, har_jax': least * 0.5 + 0.01, 'full 64, har_jax': least * 0.6 - 0.01}
  (line,) = guard.slower(measured, reference)
  assert line.startswith('full 64, har_jax: 0.440 of a product, and 0.600')
  assert guard.slower({'qlora 64, har_jax': 1.0}, reference) == ['qlora 64, har_jax: not in the reference']


def test_a_reference_of_other_hyperparameters_or_of_another_device_is_refused(tmp_path):
  storage.write(tmp_path / 'ratios.json', guard.ratios(_BENCH))
  with pytest.raises(UserError, match='other hyperparameters'):
    guard.read(tmp_path / 'ratios.json', {'model': {'width': 48}}, _DEVICE)
  with pytest.raises(UserError, match='this is one GPU'):
    guard.read(tmp_path / 'ratios.json', _BENCH['experiment'], 'one GPU')

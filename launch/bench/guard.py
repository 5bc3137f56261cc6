"""A guard against slower steps: their ratios to a plain matrix product of the same run, and a reference."""

from collections.abc import Mapping
from typing import Any

from har_jax import records, storage
from har_jax.errors import UserError, shorten
from har_jax.storage import Place

TOLERANCE = 0.25  # of a ratio: what a busy machine changes, and less than a lost fusion or a slow kernel


def ratios(bench: Mapping[str, Any]) -> dict[str, Any]:
  """What a reference file holds: the rate of each step over that of the fastest plain float32 product."""
  return {
    'experiment': bench['experiment'],
    'device': str(records.Device(**bench['device'])),
    'versions': bench['versions'],
    'ratios': {
      f'{row["kind"]} {row["batch"]}, {row["by"]}': round(row['fraction_of_product'], 4)
      for row in bench['steps']
    },
  }


def read(path: Place, experiment: Mapping[str, Any], device: str) -> dict[str, float]:
  """A reference's ratios. Raises UserError where it is damaged, or of another experiment or device."""
  reference = storage.read(path, to_do='give the ratios.json of a run of `python -m launch.bench`')
  if reference.get('experiment') != experiment or not isinstance(reference.get('ratios'), dict):
    raise UserError(f'{path} was measured with other hyperparameters; give those, or measure it again')
  if (other := reference.get('device')) != device:  # a step and a product use cores differently
    raise UserError(
      f'{path} was measured on {shorten(other)}, and this is {device}; run without --reference here first, '
      'and give its ratios.json'
    )
  return reference['ratios']


def slower(measured: Mapping[str, float], reference: Mapping[str, float]) -> list[str]:
  """A line for each ratio that is below its reference by more than the tolerance, or has none."""
  lines = []
  for name, ratio in measured.items():
    if name not in reference:
      lines.append(f'{name}: not in the reference')
    elif ratio < (1 - TOLERANCE) * reference[name]:
      lines.append(f'{name}: {ratio:.3f} of a product, and {reference[name]:.3f} in the reference')
  return lines

"""How cost grows: measured on a tiny model, fitted and drawn from hand-made rows."""

import importlib.util
import re
from typing import Any

import pytest

from har_jax import config, config_fields
from har_jax.bench import running, scaling
from har_jax.errors import UserError
from har_jax.report import scaling as report


def test_a_window_is_measured(tiny: config.Model):
  training = config.Training(batch=512)
  experiment = config.Experiment(model=tiny, finetune=training, pretrain=training)
  rows = list(scaling.measure(experiment, {'width': (24,), 'runs': (2,)}, repeats=2))
  assert [(row['step'], row['dimension'], row['size']) for row in rows] == [
    ('lora', 'width', 24),
    ('lora', 'runs', 2),
    ('pretraining', 'width', 24),
  ]
  for row in rows:
    low, high = row['ms_window_quartiles']
    assert 0 < low <= row['ms_window'] <= high
    assert row['gflop_s'] * row['ms_window'] * 1e6 == pytest.approx(row['operations_window'])
  # Two runs side by side have each the operations of one alone.
  assert rows[0]['operations_window'] == pytest.approx(rows[1]['operations_window'])


def test_one_thing_varies_at_a_time(monkeypatch: pytest.MonkeyPatch):
  asked: list[tuple] = []

  def stand_in(experiment: config.Experiment, batch: int, *, runs: int = 1) -> running.Running:
    model = experiment.model
    asked.append((model.width, model.mlp_dim, model.tokens, batch, runs))
    return running.Running(lambda: None, batch * runs, 1000, 0.0, 0, {})

  monkeypatch.setattr(running, 'pretraining', stand_in)
  monkeypatch.setattr(
    running, 'together', lambda experiment, method, batch, runs: stand_in(experiment, batch, runs=runs)
  )
  experiment = config.Experiment(model=config.Model(patch_size=16))
  rows = list(scaling.measure(experiment, scaling.SIZES, repeats=2))
  base = (192, 576, 8)
  widths = [(96, 288, 8), base, (384, 1152, 8)]
  tokens = [(192, 576, 4), base, (192, 576, 16), (192, 576, 32)]
  assert asked == [
    *((*model, 64, 1) for model in widths + tokens),
    *((*base, batch, 1) for batch in (16, 64, 256, 1024)),
    *((*base, 64, runs) for runs in (1, 2, 4, 8)),
    *((*model, 256, 1) for model in widths + tokens),
    *((*base, batch, 1) for batch in (16, 64, 256, 1024)),
  ]
  assert len(rows) == len(asked)


def test_the_sizes_are_those_of_models():
  model = config.Model()
  assert all(width % model.num_heads == 0 for width in scaling.SIZES['width'])
  assert all(config.WINDOW_SAMPLES % tokens == 0 for tokens in scaling.SIZES['tokens'])


def _row(step: str, dimension: str, size: int, ms: float, operations: float) -> dict[str, Any]:
  return {
    'step': step,
    'dimension': dimension,
    'size': size,
    'ms_window': ms,
    'ms_window_quartiles': [0.9 * ms, 1.2 * ms],
    'operations_window': operations,
    'gflop_s': operations / ms / 1e6,
  }


def _bench() -> dict[str, Any]:
  rows = [_row('lora', 'width', size, 0.5 * size, 1e3 * size**2) for size in (96, 192, 384)]
  rows += [_row('pretraining', 'width', size, 0.7 * size, 2e3 * size**2) for size in (96, 192, 384)]
  rows += [_row('lora', 'runs', size, 4.0, 1e6) for size in (1, 2)]
  return {
    'experiment': config_fields.to_json(config.Experiment()),
    'scaling': rows,
    'versions': {'jax': '1.2'},
    'device': {'kind': 'cpu', 'platform': 'cpu', 'host_cores': 4, 'machine': 'x'},
  }


def test_growth_is_a_power_of_the_size():
  found = {(row['step'], row['dimension']): row for row in report.growth(_bench()['scaling'])}
  assert found['lora', 'width']['ms_window'] == pytest.approx(1)
  assert found['lora', 'width']['operations_window'] == pytest.approx(2)
  assert found['lora', 'runs']['ms_window'] == pytest.approx(0, abs=1e-12)
  # One size alone has no growth.
  assert report.growth([_row('lora', 'batch', 4, 1.0, 1.0)]) == []


def test_the_table_counts_growth_from_the_smallest_size():
  text = report.markdown(_bench())
  rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if '|' in line]
  assert ['lora', 'width', '96 to 384', '1.00', '2.00'] in rows
  assert ['lora', 'width', '384', '192 (173 to 230)', '4.00', '16.00', '1'] in rows
  assert ['lora', 'runs', '2', '4 (3.6 to 4.8)', '1.00', '1.00', '0'] in rows
  assert 'width 192, feed-forward 576' in text


def test_the_picture_has_a_panel_for_each_dimension_measured():
  pytest.importorskip('matplotlib')
  text = report.svg(_bench())
  assert len(re.findall(r'<g id="axes_\d+">', text)) == 2
  for label in ('width of a token', 'runs side by side', 'milliseconds a window', 'LoRA', 'pretraining'):
    assert label in text
  assert 'tokens of a window' not in text
  # Nothing in it is of the day, or of the moment.
  assert text == report.svg(_bench())
  assert '<dc:date>' not in text


def test_a_missing_matplotlib_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UserError, match='pip install matplotlib'):
    report.svg(_bench())

"""Growth of the cost: measured on a tiny model; fitted and drawn from rows made by hand."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from har_jax import config, config_fields
from launch.bench import chart, running, scaling, tables


@pytest.fixture
def asked(monkeypatch) -> list[tuple[config.Model, int, int]]:
  """Model, batch and runs of each program that is asked for; none is compiled."""
  programs: list[tuple[config.Model, int, int]] = []

  def program(experiment: config.Experiment, batch: int, runs: int = 1) -> running.Program:
    programs.append((experiment.model, batch, runs))
    return running.Program(lambda: None, 8, 1000, 0.0, 0, {})

  monkeypatch.setattr(running, 'pretraining', program)
  monkeypatch.setattr(
    running, 'finetuning', lambda experiment, _, batch, runs: program(experiment, batch, runs)
  )
  return programs


@pytest.mark.usefixtures('asked')
def test_costs_are_per_window(monkeypatch):
  monkeypatch.setattr(
    scaling, 'interleaved', lambda calls, repeats: dict.fromkeys(calls, np.array([0.016, 0.02, 0.032]))
  )
  rows = list(scaling.measure(config.Experiment(), {'width': (192,), 'runs': (2,)}, repeats=3))
  assert [(row['step'], row['dimension'], row['size']) for row in rows] == [
    ('lora', 'width', 192),
    ('lora', 'runs', 2),
    ('pretraining', 'width', 192),
  ]
  for row in rows:
    assert row['ms_window'] == pytest.approx(2.5)
    assert row['ms_window_quartiles'] == pytest.approx([2.25, 3.25])
    assert row['operations_window'] == 125
    assert row['gflop_s'] == pytest.approx(1000 / 20e-3 / 1e9)
    assert (row['windows'], row['repeats']) == (8, 3)


@pytest.mark.slow
def test_each_parallel_run_has_the_operations_of_a_single_run(tiny):
  model = dataclasses.replace(tiny, depth=1)
  experiment = config.Experiment(protocol=config.Protocol(), model=model, finetune=config.Training())
  single = running.finetuning(experiment, 'lora', 4)
  parallel = running.finetuning(experiment, 'lora', 4, 3)
  assert (parallel.windows, parallel.operations) == (3 * single.windows, 3 * single.operations)
  assert parallel.held_bytes['frozen'] == single.held_bytes['frozen']
  assert parallel.held_bytes['trainable'] == 3 * single.held_bytes['trainable']
  losses = np.asarray(parallel.call())
  assert losses.shape == (2, 3)
  np.testing.assert_allclose(losses, np.asarray(single.call())[:, None].repeat(3, axis=1), rtol=1e-4)


def test_one_dimension_varies_at_a_time(asked):
  experiment = config.Experiment(protocol=config.Protocol(), model=config.Model(patch_size=16))
  rows = list(scaling.measure(experiment, scaling.SIZES, repeats=2))
  base = (192, 576, 8)
  widths = [(96, 288, 8), base, (384, 1152, 8)]
  tokens = [(192, 576, 4), base, (192, 576, 16), (192, 576, 32)]
  assert [(model.width, model.mlp_dim, model.tokens, batch, runs) for model, batch, runs in asked] == [
    *((*model, 64, 1) for model in widths + tokens),
    *((*base, batch, 1) for batch in (16, 64, 256, 1024)),
    *((*base, 64, runs) for runs in (1, 2, 4, 8)),
    *((*model, 256, 1) for model in widths + tokens),
    *((*base, batch, 1) for batch in (16, 64, 256, 1024)),
  ]
  assert len(rows) == len(asked)


def test_a_stem_has_as_many_stages_as_the_tokens_need(asked):
  list(scaling.measure(config.Experiment(), {'tokens': scaling.SIZES['tokens']}, repeats=2))
  assert [model.stem for model, _, _ in asked] == 2 * [
    (64, 96, 128, 128, 128),
    (64, 96, 128, 128),
    (64, 96, 128),
    (64, 96),
  ]


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
    'device': {'kind': 'cpu', 'platform': 'cpu', 'count': 1, 'host_cores': 4, 'machine': 'x'},
  }


def test_growth_is_the_power_of_the_size():
  rows = {(row['step'], row['dimension']): row for row in tables.growth(_bench()['scaling'])}
  assert rows['lora', 'width']['ms_window'] == pytest.approx(1)
  assert rows['lora', 'width']['operations_window'] == pytest.approx(2)
  assert rows['lora', 'runs']['ms_window'] == pytest.approx(0, abs=1e-12)
  # A single size has no growth.
  assert tables.growth([_row('lora', 'batch', 4, 1.0, 1.0)]) == []


def test_ratios_of_the_table_are_to_the_smallest_size():
  text = tables.scaling(_bench())
  rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if '|' in line]
  assert ['lora', 'width', '96 to 384', '1.00', '2.00'] in rows
  assert ['lora', 'width', '384', '192 (173 to 230)', '4.00', '16.00', '1'] in rows
  assert ['lora', 'runs', '2', '4 (3.6 to 4.8)', '1.00', '1.00', '0'] in rows


def test_the_figure_has_a_panel_per_measured_dimension():
  text = chart.scaling(_bench())
  for label in (
    'width',
    'runs per batch',
    'ms per window',
    'lora, by operations',
    'pretraining, by operations',
  ):
    assert f'>{label}<' in text
  assert 'tokens per window' not in text
  # The file is deterministic.
  assert text == chart.scaling(_bench())
  assert '<dc:date>' not in text

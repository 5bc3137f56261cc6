"""Rows that stand still, are held or are filler, by the functions that find them."""

import numpy as np
import pytest

from har_jax.recordings import infer, row_faults


def test_time_that_stands_still_does_not_fall():
  assert row_faults.falls(np.r_[:2000.0, 1999.0, :2000.0]).tolist() == [2001]
  assert not len(row_faults.falls(np.arange(2000.0) + 40 * (np.arange(2000) % 20 == 0)))  # rows out of order


def test_a_row_is_held_if_the_value_before_came_less_than_a_moment_ago():
  values = np.repeat(np.arange(1000.0), 2)[:, None] * [1, 0, 0]
  values[1000:1016] = values[1000]  # for 0.32 s: the sensor is at rest
  held = row_faults.find_held_rows(infer.Samples(np.arange(2000) / 50, values.astype(np.float32)))
  expected = np.arange(2000) % 2 == 1
  expected[1000:1016] = (np.arange(16) > 0) & (np.arange(16) < 8)  # up to 0.14 s
  np.testing.assert_array_equal(held, expected)


@pytest.mark.parametrize(('rows', 'is_left_out'), [(6, True), (5, False)])
def test_one_number_on_all_axes_is_filler_if_more_than_a_few_rows_have_it(rows, is_left_out):
  acc = np.random.default_rng(0).normal([0, 0, 9.81], 1, (2500, 3)).astype(np.float32)
  acc[:rows] = -1
  values, findings = {'acc': acc.copy()}, infer.Findings()
  row_faults.drop_acc_filler(values, findings)
  assert np.isnan(values['acc']).all(axis=1).sum() == rows * is_left_out
  values = {'acc': np.concatenate([acc, acc[rows:], acc[rows:]])}  # too few of so many
  row_faults.drop_acc_filler(values, findings)
  assert not np.isnan(values['acc']).any()


@pytest.mark.parametrize(('jumps', 'is_left_out'), [(26, True), (25, False)])
def test_a_number_of_the_gyroscope_is_filler_if_one_row_in_a_hundred_jumps_to_it(jumps, is_left_out):
  gyro = np.random.default_rng(0).normal(3, 0.5, (2500, 3)).astype(np.float32)
  gyro[:60] += 3  # so that it is far from there to the number
  gyro[filled := np.arange(1, 1 + 2 * jumps, 2)] = 0
  row_faults.drop_gyro_filler(gyro, findings := infer.Findings())
  np.testing.assert_array_equal(np.flatnonzero(np.isnan(gyro).all(axis=1)), filled if is_left_out else [])
  assert len(findings.warnings) == is_left_out

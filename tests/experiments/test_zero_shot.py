"""Probabilities of the sources' activities, as those of a target's classes."""

import numpy as np
import pytest

from har_jax.experiments import zero_shot


@pytest.mark.parametrize(
  ('classes', 'expected'),
  [(('walking', 'stairs'), [True, True]), (('upstairs', 'downstairs', 'typing'), [False, True, False])],
)
def test_a_target_is_tested_on_the_classes_that_the_sources_know(classes, expected):
  assert zero_shot._answerable(classes, ('downstairs', 'typing', 'walking')).tolist() == expected


def test_activities_of_one_group_add_up_and_others_are_left_out():
  names = ('walking', 'typing', 'nordic_walking', 'sitting')
  (grouped,) = zero_shot._group(np.array([[0.1, 0.2, 0.3, 0.4]]), names)
  found = {name: grouped[number] for number, name in enumerate(zero_shot._GROUPS) if grouped[number]}
  assert found == pytest.approx({'walking': 0.4, 'sitting': 0.4})


def test_stairs_of_unknown_direction_are_up_or_down():
  names = ('walking', 'upstairs', 'downstairs', 'stairs')
  grouped = zero_shot._group(np.array([[0.1, 0.3, 0.1, 0.4]]), names)
  with_directions = zero_shot._divide(grouped, ('walking', 'upstairs', 'downstairs', 'lying'))
  np.testing.assert_allclose(with_directions, [[0.1, 0.6, 0.2, 0]])
  np.testing.assert_allclose(zero_shot._divide(grouped, ('walking', 'stairs')), [[0.1, 0.8]])

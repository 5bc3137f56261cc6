"""Flower's simulation, before and beside its rounds."""

import dataclasses

import pytest
from made_people import save_windows

pytest.importorskip('ray')

from har_jax.errors import UserError
from har_jax.federated import simulation
from har_jax.federated.server import run


@pytest.mark.parametrize(
  ('changed', 'named'), [({'labels': 6}, 'labels_per_activity'), ({'target': 'again'}, 'target')]
)
def test_a_simulation_of_other_windows_does_not_go_on(
  grid, server, archive, changed, named, tmp_path, monkeypatch
):
  made = server(rounds=1)
  run(dataclasses.replace(made, data=archive.entries), grid)
  save_windows(tmp_path / changed.get('target', 'made'))
  monkeypatch.setattr(simulation.ray, 'init', lambda **_: pytest.fail('it goes on'))
  with pytest.raises(UserError, match=rf'made with other settings \({named}\); give another --out'):
    simulation.simulate(made, dataclasses.replace(archive, folder=tmp_path, **changed))

"""Where the tests find real recordings, and the small things that many of them use."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config

_DEFAULT = pathlib.Path(__file__).parents[1] / '..' / 'shared' / 'data'

jax.config.update('jax_numpy_rank_promotion', 'raise')  # a bias that lines up with the wrong axis fails


@pytest.fixture(scope='session')
def archives_folder() -> pathlib.Path:
  """The folder of real archives; its tests skip, with this reason, where it is missing."""
  folder = pathlib.Path(os.environ.get('HAR_ARCHIVES', _DEFAULT))
  if not folder.is_dir():
    pytest.skip(f'no real archives at {folder}: set HAR_ARCHIVES to a folder that holds them')
  return folder.resolve()


@pytest.fixture(scope='session')
def tiny() -> config.Model:
  """Four tokens, two blocks: all parts of the model, at a size that compiles fast."""
  return config.Model(patch=32, width=24, ffn=48, blocks=2, decoder_blocks=1, heads=2, head=(16,))


@pytest.fixture(scope='session')
def drawn() -> Callable[[Callable[[jax.Array], Any]], Any]:
  """From an `init` to variables of its shapes, none of them zero, drawn by NumPy: to compile an `init` takes seconds."""

  def draw(init: Callable[[jax.Array], Any]) -> Any:
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(init, jax.random.key(0))
    # Near one for scales and variances, and small for everything else.
    return jax.tree_util.tree_map_with_path(
      lambda path, leaf: jnp.asarray(
        0.3 * rng.standard_normal(leaf.shape).clip(-2, 2) + str(path[-1].key).endswith(('scale', 'var')), leaf.dtype
      ),
      shapes,
    )

  return draw

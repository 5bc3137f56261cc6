"""Where the tests find real recordings, and the small things that many of them use."""

import contextlib
import gc
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import array_checks  # noqa: F401 before the package is imported
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import threadpoolctl
import toy_method
from memory_bucket import bucket, place  # noqa: F401

from har_jax import methods
from har_jax.config import CHANNELS, Model, Windowing
from har_jax.datasets.batches import Batch
from har_jax.train.objective import Objective, initial_shapes

# By the time that they take in `make test`.
_LONGEST = (
  *('cli', 'experiments', 'recognizer', 'stream', 'timeline', 'train', 'recordings', 'datasets', 'archives'),
  *('report', 'test_docs.py', 'model', 'methods'),
)
_PROGRAMS_BYTES = 2 << 30
_DEFAULT = pathlib.Path(__file__).parents[1] / '..' / 'shared' / 'data'

jax.config.update('jax_numpy_rank_promotion', 'raise')  # a bias that lines up with the wrong axis fails
gc.disable()  # while modules are imported


def pytest_configure(config: pytest.Config) -> None:
  """Compiles fast, and each program once, in workers and child processes too: compiling costs the most."""
  folder = os.environ.get('JAX_COMPILATION_CACHE_DIR')  # a worker of pytest-xdist has the main process's
  if folder is None:
    folder = str(_programs(config))
  for name, value in (
    ('jax_disable_most_optimizations', True),  # most programs run a few times only
    ('jax_compilation_cache_dir', folder),
    ('jax_persistent_cache_min_compile_time_secs', 0.0),
    ('jax_persistent_cache_min_entry_size_bytes', -1),
  ):
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)
  # Threads of NumPy, SciPy and scikit-learn spin while they wait, on the cores of the other worker: a fit of
  # a small network takes many times the CPU time. The limit is for libraries that are loaded, the variables
  # for others.
  threadpoolctl.threadpool_limits(1)
  os.environ |= {'OPENBLAS_NUM_THREADS': '1', 'OMP_WAIT_POLICY': 'PASSIVE'}
  if jax.__version_info__ < (0, 11):  # later versions stop at this flag
    # XLA's older emitters compile in half the time; programs so small are not worth splitting over cores.
    flags = '--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'
    os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {flags}'


def _programs(config: pytest.Config) -> pathlib.Path:
  """The folder of compiled programs, which later sessions find; --cache-clear empties it."""
  if not hasattr(config, 'cache'):  # -p no:cacheprovider
    folder = tempfile.mkdtemp(prefix='har_jax-')
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    return pathlib.Path(folder)
  folder = config.cache.mkdir('programs')
  sizes = {path: path.stat().st_size for path in folder.iterdir()}
  is_full = sum(sizes.values()) > _PROGRAMS_BYTES
  for path, size in sizes.items():
    if is_full or not size:  # without content: a process was killed as it wrote
      path.unlink(missing_ok=True)
  return folder


def pytest_collection_finish() -> None:
  """Takes modules and tests from the garbage collector: tracing makes many objects, and so it runs often."""
  gc.collect()
  gc.freeze()
  gc.set_threshold(100_000, 20, 100)
  gc.enable()


def pytest_sessionfinish() -> None:
  """Leaves objects to the end of the process: to collect them as the interpreter ends takes seconds."""
  gc.freeze()


def _folder(nodeid: str) -> str:
  """tests/<folder>, or the module of a test that is in none."""
  path = nodeid.partition('::')[0]
  return path.rpartition('/')[0] if path.count('/') > 1 else path


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
  """Skips what this system lacks. The longest folders come first, so that all workers end together."""
  for item in items if sys.platform != 'linux' else ():
    if item.get_closest_marker('linux'):
      item.add_marker(pytest.mark.skip(reason='needs Linux'))
  if hasattr(config, 'workerinput'):
    places = {f'tests/{name}': place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(_folder(item.nodeid), len(places)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
  """A worker takes a folder: its tests share trainings and traced programs, which are of one process."""
  from xdist.scheduler import LoadScopeScheduling

  class ByFolder(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
      return _folder(nodeid)

  config.option.loadscopereorder = False  # it would start those with the fewest tests last
  return ByFolder(config, log) if config.getvalue('dist') == 'loadscope' else None


@pytest.fixture(scope='session')
def archives_folder() -> pathlib.Path:
  """The folder of real archives; tests that need it are skipped if it is missing."""
  folder = pathlib.Path(os.environ.get('HAR_ARCHIVES', _DEFAULT))
  if not folder.is_dir():
    pytest.skip(f'no real archives at {folder}: set HAR_ARCHIVES to a folder that has them')
  return folder.resolve()


@pytest.fixture(scope='session')
def real_archive(archives_folder) -> Callable[[str], pathlib.Path]:
  """The folder of one real archive; tests that need it are skipped if it is missing."""

  def folder(name: str) -> pathlib.Path:
    if not (archives_folder / name).is_dir():
      pytest.skip(f'no real {name} in {archives_folder} (HAR_ARCHIVES)')
    return archives_folder / name

  return folder


@pytest.fixture(scope='module')
def optimized() -> Iterator[None]:
  """Turns on XLA's optimizations, for tests of what they achieve."""
  jax.config.update('jax_disable_most_optimizations', False)
  yield
  jax.config.update('jax_disable_most_optimizations', True)


# One function makes the methods over four bits. qlora and these two use their kernels in different ways.
_MORE = ('qdora', 'qpartial')
_METHODS = [name for name in methods.METHODS if name[0] != 'q' or name == 'qlora']


@pytest.fixture(
  params=[*_METHODS, *(pytest.param(name, marks=pytest.mark.slow) for name in _MORE), toy_method.NAME]
)
def method_name(request) -> Iterator[str]:
  """Every method, and one that no code of the package knows."""
  with toy_method.installed() if request.param == toy_method.NAME else contextlib.nullcontext():
    yield request.param


@pytest.fixture(scope='session')
def tiny() -> Model:
  """Four tokens, two blocks: all parts of the model, at a size that compiles fast."""
  return Model(
    patch_size=32,
    invariant_features=True,
    width=24,
    mlp_dim=48,
    depth=2,
    decoder_depth=1,
    num_heads=2,
    head=(16,),
  )


@pytest.fixture(scope='session')
def batch() -> Batch:
  """Six windows of three classes."""
  signal = np.random.default_rng(0).standard_normal((6, Windowing.samples, CHANNELS)).astype(np.float32)
  return {'signal': signal, 'label': np.arange(6, dtype=np.int32) % 3, 'weight': np.ones(6, np.float32)}


@pytest.fixture(scope='session')
def drawn() -> Callable[[Callable[[jax.Array], Any]], Any]:
  """Draws nonzero variables of the shapes of an `init` by NumPy: compiling an `init` takes seconds."""

  def draw(init: Callable[[jax.Array], Any]) -> Any:
    rng = np.random.default_rng(0)
    objective = getattr(init, '__self__', None)
    known = isinstance(objective, Objective)
    shapes = initial_shapes(objective) if known else jax.eval_shape(init, jax.random.key(0))
    # Near one for scales and variances, and small for everything else.
    return jax.tree_util.tree_map_with_path(
      lambda path, leaf: jnp.asarray(
        (
          0.3 * rng.standard_normal(leaf.shape).clip(-2, 2) + str(path[-1].key).endswith(('scale', 'var'))
        ).astype(leaf.dtype)  # by NumPy: JAX would compile a program for each shape
      ),
      shapes,
    )

  return draw

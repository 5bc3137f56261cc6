"""The fused kernels against the reference: interpreted here, and lowered for their devices."""

import functools
import re
import types
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import nf4
from har_jax.nf4 import pallas_gpu, pallas_tpu, product
from har_jax.nf4.reference import float_scales

_DTYPES = [jnp.float32, jnp.bfloat16]

both_kernels = pytest.mark.parametrize(
  'kernel', [pytest.param(module, id=module.PLATFORM) for module in (pallas_tpu, pallas_gpu)]
)
both_dtypes = pytest.mark.parametrize('dtype', _DTYPES)


def _packed(shape: tuple[int, int], *, double: bool = False) -> nf4.Nf4:
  """Blocks of very different scales, two of them zeros."""
  rng = np.random.default_rng(0)
  blocks = rng.standard_normal((shape[0], shape[1] // 64, 64)) * rng.uniform(
    0.01, 3, (shape[0], shape[1] // 64, 1)
  )
  blocks[0, 0] = blocks[-1, -1] = 0
  return drawn.quantize(jnp.asarray(blocks.reshape(shape), jnp.float32), double=double)


def _rows(m: int, width: int, dtype: jax.typing.DTypeLike) -> jax.Array:
  return jnp.asarray(np.random.default_rng(1).standard_normal((m, width)), dtype)


def _eye(width: int, dtype: jax.typing.DTypeLike) -> jax.Array:
  return jnp.asarray(np.eye(width), dtype)


def _forward(kernel: ModuleType, x: jax.Array, packed: nf4.Nf4) -> jax.Array:
  return kernel.forward(x, packed.codes, float_scales(packed), packed.shape, interpret=True)


def _backward(kernel: ModuleType, g: jax.Array, packed: nf4.Nf4) -> jax.Array:
  return kernel.backward(g, packed.codes, float_scales(packed), packed.shape, interpret=True)


def _assert_product(y: np.ndarray | jax.Array, x: np.ndarray | jax.Array, weights: np.ndarray) -> None:
  """y is x @ weights up to one rounding per summand in float32, and one of the result to its dtype."""
  assert (y.shape, y.dtype) == ((x.shape[0], weights.shape[1]), x.dtype)
  x64, weights64 = np.asarray(x, np.float64), np.asarray(weights, np.float64)
  exact = x64 @ weights64
  bound = x.shape[1] * 2**-24 * (np.abs(x64) @ np.abs(weights64))
  bound += float(jnp.finfo(x.dtype).eps) / 2 * (np.abs(exact) + bound)
  assert (np.abs(np.asarray(y, np.float64) - exact) <= bound).all()


@both_kernels
@pytest.mark.parametrize(
  ('shape', 'm', 'dtype'),
  [
    # The base model, where the last registers are not full. Several tiles of rows, the last partly empty.
    *(
      pytest.param(shape, 300, dtype, marks=pytest.mark.slow)
      for shape, dtype in (((192, 576), jnp.float32), ((192, 576), jnp.bfloat16), ((576, 192), jnp.float32))
    ),
    # On a TPU, two tiles of the weight in float32.
    pytest.param((1024, 1024), 300, jnp.float32, marks=pytest.mark.slow),
    # Any number of rows; several tiles of rows and of the weight.
    *((shape, m, jnp.float32) for shape, m in (((64, 128), 0), ((64, 128), 17), ((192, 128), 70))),
  ],
)
def test_products_use_the_dequantized_weights(kernel, shape, m, dtype):
  packed = _packed(shape)
  weights = np.asarray(drawn.dequantize(packed, dtype))
  x, g = _rows(m, shape[0], dtype), _rows(m, shape[1], dtype)
  _assert_product(_forward(kernel, x, packed), x, weights)
  _assert_product(_backward(kernel, g, packed), g, weights.T)


def test_a_product_of_several_axes_and_its_gradient_are_those_of_the_fused_kernels(monkeypatch):
  packed, asked = _packed((64, 128)), []
  fused = types.SimpleNamespace(
    forward=functools.partial(pallas_gpu.forward, interpret=True),
    backward=functools.partial(pallas_gpu.backward, interpret=True),
  )
  monkeypatch.setattr(product, 'fused_kernels', lambda x, _, kernel: asked.append((x.shape, kernel)) or fused)
  x = _rows(6, 64, jnp.float32)
  y, pull = jax.vjp(lambda x: nf4.matmul(x, packed, 'pallas'), x.reshape(2, 3, 64))
  (gradient,) = pull(y)
  assert asked == [((2, 3, 64), 'pallas'), ((2, 3, 128), 'pallas')]
  weights, rows = np.asarray(drawn.dequantize(packed)), y.reshape(6, 128)
  _assert_product(rows, x, weights)
  _assert_product(gradient.reshape(6, 64), rows, weights.T)


@both_kernels
@both_dtypes
def test_weights_are_decoded_bit_for_bit(kernel, dtype):
  packed = _packed((32, 320), double=True)  # 160 bytes per row: more than a register of 128, less than two
  weights = np.asarray(drawn.dequantize(packed, dtype))
  np.testing.assert_array_equal(_forward(kernel, _eye(32, dtype), packed), weights)
  np.testing.assert_array_equal(_backward(kernel, _eye(320, dtype), packed), weights.T)


@pytest.mark.parametrize(
  ('shape', 'columns', 'rows'),
  [
    ((384, 512), 512, 384),
    # In MiB, transposed: 4 + 4 for the weight (again in parts), 3 for x, 2 for the result, 1 for codes,
    # 1 for scales. Half of the weight: 2 + 2 + 3 + 1 + 0.5 + 0.5, of 14.
    ((1024, 1024), 512, 512),
  ],
)
def test_a_tile_is_the_widest_that_fits_and_divides_the_weight(shape, columns, rows):
  assert pallas_tpu._tiles(shape, jnp.float32, transposed=False) == (columns, 256)
  assert pallas_tpu._tiles(shape, jnp.float32, transposed=True) == (rows, 256)


@pytest.mark.parametrize('dtype', [jnp.float32, pytest.param(jnp.bfloat16, marks=pytest.mark.slow)])
def test_smaller_tiles_change_nothing(dtype, monkeypatch):
  packed = _packed((256, 512))  # no other test uses this shape, by which traces are cached
  x, g = _eye(256, dtype), _eye(512, dtype)
  monkeypatch.setattr(pallas_tpu, '_BUDGET', 2**20)
  for transposed in (False, True):
    size, rows = pallas_tpu._tiles((256, 512), dtype, transposed=transposed)
    assert size < (256 if transposed else 512)  # several tiles of the weight
    assert rows < 256  # and of rows
  weights = np.asarray(drawn.dequantize(packed, dtype))
  np.testing.assert_array_equal(_forward(pallas_tpu, x, packed), weights)
  np.testing.assert_array_equal(_backward(pallas_tpu, g, packed), weights.T)


@pytest.mark.parametrize(
  ('direction', 'shape', 'm', 'expected'),
  [
    ('forward', (192, 576), 300, ((64, 64), (5, 9), (300, 576))),
    ('backward', (192, 576), 300, ((64, 64), (5, 3), (300, 192))),
    # Triton multiplies at least 16 rows, and takes tiles of a power of two.
    ('forward', (48, 128), 1, ((16, 16), (1, 2), (1, 128))),
    ('backward', (48, 128), 33, ((64, 16), (1, 3), (33, 48))),
  ],
)
def test_a_gpu_multiplies_tiles_of_powers_of_two(direction, shape, m, expected, monkeypatch):
  def call(kernel: Any, *, out_shape: Any, grid: Any, **_: Any) -> Any:
    made.append(((kernel.keywords['rows'], kernel.keywords['tile']), grid, out_shape.shape))
    return lambda *arrays: jnp.zeros(out_shape.shape, out_shape.dtype)

  made: list[Any] = []
  monkeypatch.setattr(pallas_gpu.pl, 'pallas_call', call)
  run = {'forward': pallas_gpu.forward, 'backward': pallas_gpu.backward}[direction].__wrapped__
  width = shape[0] if direction == 'forward' else shape[1]
  packed = _packed(shape)
  run(jnp.zeros((m, width)), packed.codes, float_scales(packed), shape, interpret=True)
  assert made == [expected]


@pytest.mark.parametrize('direction', ['forward', 'backward'])
def test_a_gpu_neither_reads_nor_writes_beyond_the_last_row(direction):
  # The interpreter clamps an index outside; a device would access foreign memory. So this reads the
  # program.
  packed = _packed((64, 64))
  run = {'forward': _forward, 'backward': _backward}[direction]
  traced = jax.make_jaxpr(lambda x: run(pallas_gpu, x, packed))(_rows(70, 64, jnp.float32))
  assert sorted(_masked(traced.jaxpr)) == ['masked_load', 'masked_swap']  # one load of rows, one store


def _masked(jaxpr: Any) -> Iterator[str]:
  """The primitives of a program, and of those within it, that have a mask."""
  for equation in jaxpr.eqns:
    if 'args_tree' in equation.params:
      _, _, *parts = jax.tree.unflatten(equation.params['args_tree'], equation.invars)
      mask = parts[{'masked_load': 0, 'masked_swap': 1}[equation.primitive.name]]
      yield from [] if mask is None else [equation.primitive.name]
    for value in equation.params.values():
      inner = getattr(value, 'jaxpr', value)
      yield from _masked(inner) if hasattr(inner, 'eqns') else ()


@both_kernels
def test_vmap_over_rows_equals_single_products(kernel):
  packed = _packed((64, 128))
  x = np.asarray(_rows(3 * 70, 64, jnp.float32)).reshape(3, 70, 64)
  y = np.asarray(jax.jit(jax.vmap(lambda rows: _forward(kernel, rows, packed)))(x))
  weights = np.asarray(drawn.dequantize(packed))
  for each, rows in zip(y, x, strict=True):
    _assert_product(each, rows, weights)


@both_kernels
@both_dtypes
@pytest.mark.parametrize(
  'shape', [(192, 192), (192, 576), (576, 192), (1024, 1024), (1024, 4096), (4096, 1024)]
)
def test_the_shapes_of_the_models_may_run(kernel, dtype, shape):
  assert kernel.may_run(shape, dtype, 64)


@both_kernels
@pytest.mark.parametrize(
  ('shape', 'dtype', 'block'),
  [
    ((192,), jnp.float32, 64),
    ((2, 192, 192), jnp.float32, 64),
    ((192, 192), jnp.float32, 128),
    ((192, 192), jnp.float16, 64),
    ((192, 96), jnp.float32, 64),  # blocks over the end of a row
    ((24, 64), jnp.float32, 64),  # rows that fill no tile
    ((0, 64), jnp.float32, 64),
  ],
)
def test_other_shapes_dtypes_and_blocks_may_not_run(kernel, shape, dtype, block):
  assert not kernel.may_run(shape, dtype, block)


@both_dtypes
@pytest.mark.parametrize('shape', [(2**16, 64), (64, 2**18)])
def test_tiles_larger_than_the_memory_of_a_core_may_not_run(dtype, shape):
  assert not pallas_tpu.may_run(shape, dtype, 64)


_LOWERED_FOR = pytest.mark.parametrize(
  ('kernel', 'platform', 'device', 'call'),
  [
    pytest.param(pallas_tpu, 'tpu', 'TPU v5 lite', '@tpu_custom_call', id='v5e'),
    pytest.param(pallas_tpu, 'tpu', 'TPU v6 lite', '@tpu_custom_call', id='v6e'),
    pytest.param(
      pallas_gpu,
      'cuda',
      'NVIDIA H100 80GB HBM3',
      '@__gpu$xla.gpu.triton',
      id='cuda',
      # JAX 0.12 deprecates Triton, without a replacement for all GPUs.
      marks=pytest.mark.filterwarnings('ignore:The Pallas Triton backend is deprecated:DeprecationWarning'),
    ),
  ],
)


def _lowered(
  kernel: ModuleType, direction: str, platform: str, device: str, dtype: jax.typing.DTypeLike
) -> str:
  """The program of a [192, 576] product for another device."""
  arguments = (
    jax.ShapeDtypeStruct((300, 192 if direction == 'forward' else 576), dtype),
    jax.ShapeDtypeStruct((192 * 288,), jnp.uint8),
    jax.ShapeDtypeStruct((192 * 9,), jnp.float32),
  )
  abstract = jax.sharding.AbstractDevice(device_kind=device, num_cores=1, platform=kernel.PLATFORM)
  with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), (), abstract_device=abstract)):
    product = jax.jit(lambda x, codes, scales: getattr(kernel, direction)(x, codes, scales, (192, 576)))
    return product.trace(*arguments).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.slow
@_LOWERED_FOR
@both_dtypes
@pytest.mark.parametrize('direction', ['forward', 'backward'])
def test_float_weights_are_never_in_device_memory(kernel, platform, device, call, dtype, direction):
  text = _lowered(kernel, direction, platform, device, dtype)
  assert text.count(call) == 1
  name = {jnp.float32: 'f32', jnp.bfloat16: 'bf16'}[dtype]
  floats = set(re.findall(r'tensor<([0-9x]+x(?:f|bf)[0-9]+)>', text))
  scales = {'1728xf32', '192x9xf32'}
  assert floats == {f'300x192x{name}', f'300x576x{name}'} | scales


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['bfloat16', 'tensorfloat32', 'float32'])
@both_dtypes
def test_any_precision_compiles_for_a_tpu(dtype, precision):
  # Its compiler supports one pass or all in float32, and only one in bfloat16.
  def product(x: jax.Array) -> jax.Array:
    return _forward(pallas_tpu, x, _packed((64, 64)))

  with jax.default_matmul_precision(precision):
    _lowered(pallas_tpu, 'forward', 'tpu', 'TPU v5 lite', dtype)
    traced = str(jax.make_jaxpr(product)(_rows(8, 64, dtype)))
  products = re.findall(r'precision=\(Precision.(\w+), Precision.(\w+)\)', traced)
  all_passes = dtype == jnp.float32 and precision != 'bfloat16'
  assert products == [('DEFAULT', 'DEFAULT'), ('HIGHEST',) * 2 if all_passes else ('DEFAULT',) * 2]


def test_rows_outside_the_result_are_neither_loaded_nor_stored():
  inside = pallas_gpu._inside(np.empty((5, 2)), jnp.arange(3, 7), jnp.arange(2))
  assert inside.tolist() == [[True] * 2] * 2 + [[False] * 2] * 2


def test_the_memory_of_a_tile_counts_what_changes_from_step_to_step_twice():
  codes, scales, weights, x, y = 128 * 128, 4 * 128 * 128, 128 * 128, 32 * 128, 32 * 128  # padded to 128
  shared = 2 * codes + 4 * (2 * weights + 3 * x + 2 * y)
  shape = ((128, 64), 64, 32, 128, 4)  # decoded weights, outputs, rows, columns, bytes of a number
  assert pallas_tpu._vmem_bytes(*shape, transposed=True) == shared + 2 * scales
  assert pallas_tpu._vmem_bytes((128, 64), 64, 32, 64, 4, transposed=False) == shared + scales

"""Exports: in its own runtime a file tells what the recognizer tells, of windows in physical units."""

import collections
import dataclasses
import errno
import importlib.metadata
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import made_up
import numpy as np
import pytest

from har_jax import config, export
from har_jax.data.archives import ARCHIVES
from har_jax.data.source import Source
from har_jax.errors import UserError
from har_jax.export.stablehlo import quantize
from har_jax.inference.recognizer import Recognizer

_ALL = [(name, precision) for name in export.FORMATS for precision in export.PRECISIONS]

pytestmark = pytest.mark.usefixtures('compiled_fast')


def _or_skip(name: str) -> None:
  """Skips where the format's packages are missing, saying which and how to get them."""
  try:
    export.refuse_without(name)
  except UserError as error:
    pytest.skip(str(error))


def _one_by_one(made: export.Export, signals: np.ndarray) -> np.ndarray:
  run = made.start()
  return np.concatenate([run(signal[None]) for signal in signals])


@pytest.mark.parametrize(('name', 'precision'), _ALL)
def test_in_its_own_runtime_it_tells_what_the_recognizer_tells(
  recognizer: Recognizer, signals: np.ndarray, name: str, precision: str
):
  _or_skip(name)
  expected = recognizer.predict_proba(signals)
  assert np.ptp(expected, axis=0).min() > 3 * made_up.BOUND[precision]  # or to tell always the same would do
  given = _one_by_one(export.make(recognizer, name, precision), signals)
  assert given.dtype == np.float32
  np.testing.assert_allclose(given.sum(axis=1), 1.0, atol=1e-5)
  np.testing.assert_allclose(given, expected, atol=made_up.BOUND[precision])


_PAPER = config.Lora(rank=4, alpha=4.0, targets=('embed_acc', 'embed_gyro', 'output', 'up', 'down', 'head'))


@pytest.mark.parametrize('name', export.FORMATS)
@pytest.mark.parametrize(
  ('method', 'lora', 'changed'),
  [
    ('qlora', made_up.LORA, {}),
    ('full', made_up.LORA, {'streams': 2, 'descriptors': False, 'head': (16, 8)}),
    ('lora', _PAPER, {'streams': 2, 'descriptors': False, 'heads': 4, 'head': (8, 16, 8)}),
    ('scratch', made_up.LORA, {'patch': 8, 'blocks': 1}),
  ],
)
def test_every_method_and_shape_of_model_is_exported(
  recognizer_of: Callable[..., Recognizer],
  tiny: config.Model,
  signals: np.ndarray,
  name: str,
  method: str,
  lora: config.Lora,
  changed: dict[str, Any],
):
  _or_skip(name)
  adapted = recognizer_of(dataclasses.replace(tiny, **changed), method, lora)
  given = _one_by_one(export.make(adapted, name), signals[:5])
  np.testing.assert_allclose(given, adapted.predict_proba(signals[:5]), atol=made_up.BOUND['float32'])


@pytest.mark.archives
@pytest.mark.parametrize(('name', 'precision'), _ALL)
def test_of_real_windows_it_tells_what_the_recognizer_tells(
  recognizer: Recognizer, archives_folder: pathlib.Path, name: str, precision: str
):
  _or_skip(name)
  source = Source(archives_folder / 'motionsense')
  real = made_up.cut_from(ARCHIVES['motionsense'].read(source, 'pocket', collections.Counter()))
  given = _one_by_one(export.make(recognizer, name, precision), real)
  np.testing.assert_allclose(given, recognizer.predict_proba(real), atol=made_up.BOUND[precision])


@pytest.mark.parametrize('name', ['onnx', 'stablehlo'])
def test_a_recognizer_that_never_saw_rotation_heeds_none_there_either(
  recognizer_of: Callable[..., Recognizer], tiny: config.Model, signals: np.ndarray, name: str
):
  _or_skip(name)
  adapted = recognizer_of(tiny, deviation=[5.5, 1e-6])
  made = export.make(adapted, name)
  given = _one_by_one(made, signals[:3])
  np.testing.assert_allclose(given, adapted.predict_proba(signals[:3]), atol=made_up.BOUND['float32'])
  turning = signals[:3] + np.repeat([0.0, 1.0], 3).astype(np.float32)
  np.testing.assert_array_equal(_one_by_one(made, turning), given)
  assert made.card['input']['rotation'].startswith('not heeded')


def test_what_was_trained_in_bfloat16_is_exported_in_float32(
  recognizer_of: Callable[..., Recognizer], tiny: config.Model, signals: np.ndarray
):
  adapted = recognizer_of(tiny, precision=config.Precision(dtype='bfloat16'))
  given = _one_by_one(export.make(adapted, 'stablehlo'), signals[:5])
  apart = np.abs(given - adapted.predict_proba(signals[:5])).max()
  assert 1e-5 < apart < 0.05


@pytest.mark.parametrize(('name', 'precision'), _ALL)
def test_a_call_takes_as_many_windows_as_the_card_says(
  recognizer: Recognizer, signals: np.ndarray, name: str, precision: str
):
  _or_skip(name)
  made = export.make(recognizer, name, precision)
  one_by_one, run = _one_by_one(made, signals[:3]), made.start()
  if made.card['input']['shape'] == ['any number', 128, 6]:
    np.testing.assert_allclose(run(signals[:3]), one_by_one, atol=1e-6)
  else:
    assert made.card['input']['shape'] == [1, 128, 6]
    with pytest.raises(Exception, match=r'dimension|reshape'):
      run(signals[:3])


@pytest.mark.parametrize('name', export.FORMATS)
def test_int8_takes_about_a_quarter_of_the_space(
  recognizer_of: Callable[..., Recognizer], tiny: config.Model, name: str
):
  _or_skip(name)
  # Wide enough that kernels are nearly all of it.
  wide = recognizer_of(dataclasses.replace(tiny, width=96, mlp_dim=384, blocks=1))
  whole, small = (len(export.make(wide, name, precision).content) for precision in export.PRECISIONS)
  kernels = sum(leaf.nbytes for path, leaf in wide.variables_.items() if path.endswith('/kernel'))
  assert kernels < whole < kernels + 120_000
  assert small < kernels / 4 + 120_000
  assert small < whole / 2


def test_a_code_is_off_by_half_a_scale_at_most():
  kernel = np.random.default_rng(0).standard_normal((40, 7)).astype(np.float32)
  kernel[:, 3] = 0.0
  codes, scale = quantize(kernel)
  assert (codes.dtype, np.abs(codes).max()) == (np.int8, 127)
  np.testing.assert_allclose(scale[0], np.abs(kernel).max(axis=0) / 127, rtol=1e-6, atol=1e-30)
  assert (np.abs(codes * scale - kernel) <= scale * 0.5001).all()
  assert not codes[:, 3].any()


def test_the_card_says_what_goes_in_and_what_comes_out(recognizer: Recognizer):
  card = export.make(recognizer, 'stablehlo', 'int8').card
  assert json.loads(json.dumps(card)) == card
  assert card['classes'] == made_up.CLASSES
  assert (card['input']['rate_hz'], card['input']['units']) == (50, ['m/s²'] * 3 + ['rad/s'] * 3)
  assert card['input']['channels'][2:4] == ['acc_z', 'gyro_x']
  assert card['output']['shape'] == ['any number', len(made_up.CLASSES)]
  assert (card['adapter']['checksum'], card['adapter']['base']) == (
    recognizer.adapter_.card['checksum'],
    recognizer.base_.checksum,
  )
  assert (card['runtime'], card['precision']) == ('stablehlo', 'int8')
  assert card['temperature'] == recognizer.adapter_.card['temperature'] != 1


def test_onnx_carries_the_class_names_and_is_readable_by_older_runtimes(recognizer: Recognizer):
  _or_skip('onnx')
  import onnx

  for precision in export.PRECISIONS:
    model = onnx.load_from_string(export.make(recognizer, 'onnx', precision).content)
    properties = {each.key: each.value for each in model.metadata_props}
    assert json.loads(properties['classes']) == made_up.CLASSES
    assert model.ir_version == 9
    assert max(each.version for each in model.opset_import if not each.domain) == 20
    multiplied = collections.Counter(node.op_type for node in model.graph.node)
    assert bool(multiplied['MatMulInteger']) == (precision == 'int8')


def test_int8_products_of_onnx_overflow_on_no_processor(recognizer: Recognizer):
  _or_skip('onnx')
  import onnx

  graph = onnx.load_from_string(export.make(recognizer, 'onnx', 'int8').content).graph
  kinds = {constant.name: constant.data_type for constant in graph.initializer}
  products = [node for node in graph.node if node.op_type == 'MatMulInteger']
  assert products
  # A signed weight under an unsigned activation: an x86 without VNNI adds two such products in 16 bits.
  assert {kinds[node.input[1]] for node in products} == {onnx.TensorProto.UINT8}


def test_what_is_written_is_read_again_and_what_is_damaged_is_not(
  recognizer: Recognizer, tmp_path: pathlib.Path
):
  made = export.make(recognizer, 'stablehlo')
  export.write(tmp_path, made, measured={'ms': 1.0})
  assert sorted(path.name for path in tmp_path.iterdir()) == ['model.json', 'model.stablehlo']
  again = export.load(tmp_path)
  assert (again.content, again.card) == (made.content, made.card | {'measured': {'ms': 1.0}})
  (tmp_path / 'model.stablehlo').write_bytes(made.content[:-1] + b'?')
  with pytest.raises(UserError, match='damaged, or not of the card'):
    export.load(tmp_path)
  (tmp_path / 'model.stablehlo').unlink()
  with pytest.raises(UserError, match=r'model\.stablehlo cannot be read'):
    export.load(tmp_path)
  with pytest.raises(UserError, match=r'model\.json cannot be read'):
    export.load(tmp_path / 'elsewhere')


def test_a_full_disk_leaves_no_half_an_export(
  recognizer: Recognizer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  write_bytes = pathlib.Path.write_bytes

  def full(path: pathlib.Path, content: bytes) -> int:
    if 'model.json' in path.name:
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return write_bytes(path, content)

  made = export.make(recognizer, 'stablehlo')
  monkeypatch.setattr(pathlib.Path, 'write_bytes', full)
  with pytest.raises(UserError, match='No space left'):
    export.write(tmp_path, made)
  assert not list(tmp_path.iterdir())


def test_what_cannot_be_made_is_refused_with_what_there_is(
  recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
):
  with pytest.raises(UserError, match="unknown format 'onxx'; one of litert, onnx, stablehlo"):
    export.make(recognizer, 'onxx')
  with pytest.raises(UserError, match="unknown precision 'int4'; one of float32, int8"):
    export.make(recognizer, 'onnx', 'int4')

  def version(package: str) -> str:
    raise importlib.metadata.PackageNotFoundError(package)

  monkeypatch.setattr(importlib.metadata, 'version', version)
  with pytest.raises(UserError, match=r"onnx needs onnx, onnxruntime: pip install 'har_jax\[export-onnx\]'"):
    export.make(recognizer, 'onnx')

"""An export gives, in its runtime, the probabilities of the recognizer from windows in physical units."""

import copy
import dataclasses
import importlib.metadata
import json

import export_cases
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from har_jax import config, export, variables
from har_jax.errors import UserError
from har_jax.export import merged, onnx_graph, onnx_statistics
from har_jax.export.onnx_nodes import Nodes
from har_jax.export.stablehlo import quantize
from har_jax.model.transformer import TO_PHYSICAL
from har_jax.recognizer import loading
from har_jax.recognizer.recognizer import Recognizer
from har_jax.signal import statistics

_ALL = [
  pytest.param(name, precision, marks=() if name == 'onnx' else pytest.mark.slow)
  for name in export.FORMATS
  for precision in export.PRECISIONS
]


def _skip_unless_installed(name: str) -> None:
  try:
    export.check_installed(name)
  except UserError as error:
    pytest.skip(str(error))


def _one_by_one(made: export.Export, signals: np.ndarray) -> np.ndarray:
  run = made.start()
  return np.concatenate([run(signal[None]) for signal in signals])


@pytest.mark.parametrize(('name', 'precision'), _ALL)
def test_an_export_gives_the_probabilities_of_the_recognizer(recognizer, export_of, signals, name, precision):
  _skip_unless_installed(name)
  expected = recognizer.predict_proba(signals)
  assert np.ptp(expected, axis=0).min() > 3 * export_cases.BOUND[precision]  # or a constant would pass
  made = export_of(name, precision)
  exported = _one_by_one(made, signals)
  assert exported.dtype == np.dtype(made.card.output.dtype) == np.float32
  np.testing.assert_allclose(exported.sum(axis=1), 1.0, atol=1e-5)
  np.testing.assert_allclose(exported, expected, atol=export_cases.BOUND[precision])


_PAPER = config.Lora(rank=4, alpha=4.0, targets=('embed_acc', 'embed_gyro', 'output', 'up', 'down', 'head'))


@pytest.mark.slow
@pytest.mark.parametrize('method', ['full', 'qlora'])  # tests/methods has all
def test_a_method_is_merged_into_a_plain_model(recognizer_of, tiny, signals, method):
  adapted = recognizer_of(dataclasses.replace(tiny, depth=1), method, export_cases.LORA)
  plain = merged.merge(adapted)
  assert {variables.collection(path) for path in plain.variables} == {'params', 'batch_stats'}
  assert {leaf.dtype for leaf in plain.variables.values()} == {np.dtype(np.float32)}
  exported = np.asarray(jax.jit(plain.recognize)(signals[:5]))
  np.testing.assert_allclose(exported, adapted.predict_proba(signals[:5]), atol=export_cases.BOUND['float32'])


def test_a_collection_without_an_owner_is_not_exported(recognizer):
  changed = copy.copy(recognizer)
  changed.variables_ = recognizer.variables_ | {'gates/encoder/block_0/up/value': jnp.ones(3)}
  with pytest.raises(UserError, match='gates'):
    export.make(changed, 'stablehlo')


@pytest.mark.slow
@pytest.mark.parametrize('name', export.FORMATS)
@pytest.mark.parametrize(
  ('method', 'lora', 'changed'),
  [
    (
      'lora',
      _PAPER,
      {'depth': 1, 'streams': 2, 'invariant_features': False, 'num_heads': 4, 'head': (8, 16, 8)},
    ),
    ('scratch', export_cases.LORA, {'depth': 1, 'patch_size': 8, 'log_std': False}),
    (
      'lora',
      config.Lora(rank=4, alpha=8.0),
      {'depth': 1, 'patch_size': 4, 'stem': (8, 16), 'pooling': 'statistics'},
    ),
    (
      'linear',
      export_cases.LORA,
      {'depth': 1, 'patch_size': 4, 'stem': (8, 16), 'head': (), 'window_statistics': True},
    ),
    (
      'side',
      export_cases.LORA,
      {'depth': 1, 'patch_size': 4, 'stem': (8, 16), 'head': (), 'window_statistics': True, 'side_width': 8},
    ),
  ],
)
def test_models_of_every_shape_are_exported(recognizer_of, tiny, signals, name, method, lora, changed):
  _skip_unless_installed(name)
  adapted = recognizer_of(dataclasses.replace(tiny, **changed), method, lora)
  exported = _one_by_one(export.make(adapted, name), signals[:5])
  np.testing.assert_allclose(exported, adapted.predict_proba(signals[:5]), atol=export_cases.BOUND['float32'])


@pytest.mark.parametrize('rate_hz', [50, 20])
def test_statistics_of_a_quiet_window_are_those_of_numpy(rate_hz):
  _skip_unless_installed('onnx')
  import onnx
  import onnxruntime

  stem = {'patch_size': 4, 'stem': (8, 16), 'log_std': False, 'pooling': 'statistics', 'head': ()}
  stem |= {'rate_hz': rate_hz, 'window_statistics': True}
  graph, float32 = Nodes(), onnx.TensorProto.FLOAT
  made = onnx_statistics.window_statistics(graph, 's', 'signal', config.Model(**stem))
  shapes = {'signal': ['w', 128, 6], made: ['w', len(statistics.NAMES)]}
  given, answer = (onnx.helper.make_tensor_value_info(name, float32, shape) for name, shape in shapes.items())
  model = onnx.helper.make_model(
    onnx.helper.make_graph(graph.nodes, 'statistics', [given], [answer], graph.constants),
    opset_imports=[onnx.helper.make_opsetid('', 20)],
    ir_version=9,
  )
  run = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider']).run
  # In g and rad/s. Noise far below a sensor's has no frequency, no crossings and no correlations.
  noise = np.random.default_rng(0).normal(0, 3e-7, (128, 6))
  tone = np.sin(2 * np.pi * np.arange(128)[:, None] * np.arange(3, 9) / 128 + 0.1)
  signals = np.stack([noise, 0.2 * tone]).astype(np.float32)
  signals[..., 2] += 1
  (computed,) = run(None, {'signal': signals})
  expected = statistics.window_statistics(signals * TO_PHYSICAL, rate_hz)
  np.testing.assert_allclose(computed, expected, atol=2e-3)


def test_norms_are_exported_with_the_epsilons_of_the_model():
  _skip_unless_installed('onnx')
  import onnx

  leaves = {
    'params': {'scale': 2, 'bias': 0, 'kernel': np.ones((1, 1))},
    'batch_stats': {'mean': 0, 'var': 0},
  }
  held = {f'{kind}/norm/{name}': np.array(leaf) for kind in leaves for name, leaf in leaves[kind].items()}
  none = np.zeros(6, np.float32)
  graph = onnx_graph._Graph(merged.Merged(held, config.Model(), (), none, none, 1.0))
  graph._dense('norm', graph._norm('norm', 'x'), 'norm')
  (epsilon,) = (each.f for each in graph.nodes[0].attribute if each.name == 'epsilon')
  (kernel,) = (onnx.numpy_helper.to_array(each) for each in graph.constants if each.name == 'norm/kernel')
  assert epsilon == pytest.approx(1e-6)  # those of Flax
  assert all(node.name for node in graph.nodes)  # programs report times and errors by them
  assert kernel == pytest.approx(2 / 1e-5**0.5)


@pytest.mark.parametrize('name', ['onnx', pytest.param('stablehlo', marks=pytest.mark.slow)])
def test_rotation_is_ignored_if_no_training_window_had_it(recognizer_of, tiny, signals, name):
  _skip_unless_installed(name)
  adapted = recognizer_of(dataclasses.replace(tiny, depth=1), deviation=(5.5, 1e-6))
  made = export.make(adapted, name)
  exported = _one_by_one(made, signals[:3])
  np.testing.assert_allclose(exported, adapted.predict_proba(signals[:3]), atol=export_cases.BOUND['float32'])
  rotating = signals[:3] + np.repeat([0.0, 1.0], 3).astype(np.float32)
  np.testing.assert_array_equal(_one_by_one(made, rotating), exported)
  assert made.card.input.rotation == 'ignored'


@pytest.mark.slow
def test_a_bfloat16_recognizer_is_exported_in_float32(recognizer_of, tiny, signals):
  adapted = recognizer_of(dataclasses.replace(tiny, depth=1), precision=config.Precision(dtype='bfloat16'))
  exported = _one_by_one(export.make(adapted, 'stablehlo'), signals[:5])
  difference = np.abs(exported - adapted.predict_proba(signals[:5])).max()
  assert 1e-5 < difference < 0.05


@pytest.mark.usefixtures('optimized')
@pytest.mark.parametrize(('name', 'precision'), _ALL)
def test_a_call_takes_the_windows_of_the_cards_input_shape(export_of, signals, name, precision):
  _skip_unless_installed(name)
  made = export_of(name, precision)
  one_by_one, run = _one_by_one(made, signals[:3]), made.start()
  if made.card.input.shape == ['any number', 128, 6]:
    np.testing.assert_allclose(run(signals[:3]), one_by_one, atol=1e-6)
  else:
    assert made.card.input.shape == [1, 128, 6]
    with pytest.raises(Exception, match=r'dimension|reshape'):
      run(signals[:3])


@pytest.mark.slow
@pytest.mark.parametrize('name', export.FORMATS)
def test_int8_takes_about_a_quarter_of_the_bytes(recognizer_of, tiny, name):
  _skip_unless_installed(name)
  # Wide enough that kernels are nearly all of the file.
  wide = recognizer_of(dataclasses.replace(tiny, width=96, mlp_dim=384, depth=1))
  float32, int8 = (len(export.make(wide, name, precision).content) for precision in export.PRECISIONS)
  kernels = sum(leaf.nbytes for path, leaf in wide.variables_.items() if path.endswith('/kernel'))
  assert kernels < float32 < kernels + 120_000
  assert int8 < kernels / 4 + 120_000
  assert int8 < float32 / 2


def test_a_code_is_at_most_half_a_scale_off():
  kernel = np.random.default_rng(0).standard_normal((40, 7)).astype(np.float32)
  kernel[:, 3] = 0.0
  codes, scale = quantize(kernel)
  assert (codes.dtype, np.abs(codes).max()) == (np.int8, 127)
  np.testing.assert_allclose(scale[0], np.abs(kernel).max(axis=0) / 127, rtol=1e-6, atol=1e-30)
  assert (np.abs(codes * scale - kernel) <= scale * 0.5001).all()
  assert not codes[:, 3].any()


@pytest.mark.slow
def test_the_card_describes_input_output_and_adapter(recognizer, export_of):
  card = export_of('stablehlo', 'int8').card
  assert msgspec.json.decode(msgspec.json.encode(card), type=type(card)) == card
  assert card.classes == export_cases.CLASSES
  assert (card.input.rate_hz, card.input.units) == (50, ['m/s²'] * 3 + ['rad/s'] * 3)
  assert card.input.channels[2:4] == ['acc_z', 'gyro_x']
  assert card.output.shape == ['any number', len(export_cases.CLASSES)]
  assert (card.adapter.checksum, card.adapter.base) == (
    recognizer.adapter_.card.checksum,
    recognizer.base_.checksum,
  )
  assert (card.runtime, card.precision) == ('stablehlo', 'int8')
  assert card.temperature == recognizer.adapter_.card.temperature != 1
  assert card.input.rotation == 'used'
  entries = {'class_logits': np.eye(4).tolist(), 'set_scores': [0.25, 0.5], 'adaptation_temperature': 3.0}
  adapter = recognizer.adapter_.with_card(**entries)
  made = export.make(
    Recognizer.from_stored(loading.with_adapter(recognizer.base_, adapter)), 'stablehlo'
  ).card
  assert {name: getattr(made, name) for name in entries} == entries
  assert made.normalizer == recognizer.adapter_.card.normalizer


@pytest.mark.parametrize('precision', export.PRECISIONS)
def test_onnx_has_class_names_an_older_ir_version_and_unsigned_int8_weights(export_of, precision):
  _skip_unless_installed('onnx')
  import onnx

  model = onnx.load_from_string(export_of('onnx', precision).content)
  properties = {each.key: each.value for each in model.metadata_props}
  assert json.loads(properties['classes']) == export_cases.CLASSES
  assert model.ir_version == 9
  assert max(each.version for each in model.opset_import if not each.domain) == 20
  kinds = {constant.name: constant.data_type for constant in model.graph.initializer}
  products = [node for node in model.graph.node if node.op_type == 'MatMulInteger']
  # An x86 without VNNI adds products of signed weights and unsigned activations in 16 bits, which overflows.
  expected = {onnx.TensorProto.UINT8} if precision == 'int8' else set()
  assert {kinds[node.input[1]] for node in products} == expected
  spectra = [node for node in model.graph.node if node.op_type == 'MatMul' and '/spectrum/' in node.name]
  assert len(spectra) == 2  # the Fourier transform stays exact


@pytest.mark.slow
def test_a_program_does_not_have_the_folders_of_its_machine(export_of):
  assert b'.py' not in export_of('stablehlo').content
  assert jax.config.jax_traceback_in_locations_limit != 0  # other programs have them, for errors


@pytest.mark.slow
def test_exports_load_as_written_and_damaged_ones_do_not(export_of, tmp_path):
  made = export_of('stablehlo')
  export.write(tmp_path, made, measured=export_cases.MEASURED)
  assert sorted(path.name for path in tmp_path.iterdir()) == ['model.json', 'model.stablehlo']
  again = export.load(tmp_path)
  card = msgspec.structs.replace(made.card, measured=export_cases.MEASURED)
  assert (again.content, again.card) == (made.content, card)
  (tmp_path / 'model.stablehlo').write_bytes(made.content[:-1] + b'?')
  with pytest.raises(UserError, match='damaged'):
    export.load(tmp_path)
  (tmp_path / 'model.stablehlo').unlink()
  with pytest.raises(UserError, match=r'model\.stablehlo'):
    export.load(tmp_path)
  with pytest.raises(UserError, match=r'model\.json'):
    export.load(tmp_path / 'elsewhere')


def test_unknown_formats_and_missing_packages_are_errors(recognizer, monkeypatch):
  with pytest.raises(UserError, match="'onxx'; one of litert, onnx, stablehlo"):
    export.make(recognizer, 'onxx')
  with pytest.raises(UserError, match="'int4'; one of float32, int8"):
    export.make(recognizer, 'onnx', 'int4')

  def version(package: str) -> str:
    raise importlib.metadata.PackageNotFoundError(package)

  monkeypatch.setattr(importlib.metadata, 'version', version)
  for name in ('onnx', 'web'):
    message = rf"{name} needs onnx, onnxruntime: pip install 'har_jax\[export-onnx\]'"
    with pytest.raises(UserError, match=message):
      export.make(recognizer, name)

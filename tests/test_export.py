"""Exports: in its own runtime a file tells what the recogniser tells, of windows in physical units."""

import collections
import dataclasses
import errno
import importlib.metadata
import itertools
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import pytest

from har_jax import config, export, files, peft
from har_jax.data import windows as store
from har_jax.data.archives import ARCHIVES
from har_jax.data.resample import resample
from har_jax.data.source import Source
from har_jax.errors import UserError
from har_jax.export import compare
from har_jax.export.stablehlo import quantize
from har_jax.recognizer import Recognizer
from har_jax.train.objective import Classify

_ROOT = pathlib.Path(__file__).parents[1]
_CLASSES = ['walking', 'lying', 'sitting', 'Überquerung']  # not sorted: the order is the adapter's
_LORA, _FLOAT32 = config.Lora(rank=4, alpha=8.0), config.Precision()
_ALL = [(name, precision) for name in export.FORMATS for precision in export.PRECISIONS]
# Largest error of a probability. float32: other orders of summation. int8: weights, and activations in 255 steps.
_BOUND = {'float32': 2e-5, 'int8': 0.12}

pytestmark = pytest.mark.usefixtures('compiled_fast')


@pytest.fixture(scope='module')
def signals() -> np.ndarray:
  """Three people's made-up walking, lying and so on, in m/s² and rad/s."""
  recordings = ARCHIVES['synth_waist'].read(None, 'waist', collections.Counter())  # type: ignore[arg-type]
  return _cut(recordings)


def _cut(recordings: Any, count: int = 3, most: int = 24) -> np.ndarray:
  dropped: collections.Counter = collections.Counter()
  cut = [
    window.signal
    for recording in itertools.islice(recordings, count)
    for window in store.cut(recording, resample(recording, dropped), dropped)
  ]
  return np.stack(cut[:: max(1, len(cut) // most)]).astype(np.float32)


@pytest.fixture(scope='module')
def recognizer_of(
  drawn: Callable[[Callable[[jax.Array], Any]], Any], signals: np.ndarray
) -> Callable[..., Recognizer]:
  """As if it had been fitted: no weight and no statistic is what it was at the start, and windows are told apart."""

  def recognizer(
    model: config.Model,
    method: str = 'lora',
    lora: config.Lora = _LORA,
    precision: config.Precision = _FLOAT32,
    deviation: Sequence[float] = (5.5, 1.2),
  ) -> Recognizer:
    experiment = config.Experiment(model=model, lora=lora, precision=precision)
    whole = drawn(Classify(model, len(_CLASSES)).init)
    base = files.make_base(whole, {'model': config.to_json(model), 'dtype': precision.dtype})
    rng = np.random.default_rng(1)
    held = {
      path: leaf + 0.1 * np.abs(rng.standard_normal(leaf.shape)).astype(np.float32)
      if path.startswith('batch_stats/') or peft.METHODS[method].trains(path, experiment)
      else leaf
      for path, leaf in peft.METHODS[method].adapt(whole, experiment, jax.random.key(1)).items()
    }
    card = {
      'method': method,
      'rank': lora.rank,
      'alpha': lora.alpha,
      'targets': list(lora.targets),
      'model': config.to_json(model),
      'precision': config.to_json(precision),
      'classes': _CLASSES,
      'normaliser': {'mean': [1.5, -0.2], 'deviation': list(deviation)},
    }
    start = base if peft.METHODS[method].pretrained else None
    rough = Recognizer._of(start, files.make_adapter(start, held, card))
    # Each class likely for some: logits around zero, and a temperature as large as they are.
    logits = np.log(rough.predict_proba(signals))
    bias = f'params/head/dense_{len(model.head)}/bias'
    held[bias] = held[bias] - logits.mean(axis=0)
    return Recognizer._of(
      start, files.make_adapter(start, held, card | {'temperature': float(logits.std(axis=0).mean())})
    )

  return recognizer


@pytest.fixture(scope='module')
def recognizer(recognizer_of: Callable[..., Recognizer], tiny: config.Model) -> Recognizer:
  return recognizer_of(tiny)


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
def test_in_its_own_runtime_it_tells_what_the_recogniser_tells(
  recognizer: Recognizer, signals: np.ndarray, name: str, precision: str
):
  _or_skip(name)
  expected = recognizer.predict_proba(signals)
  assert np.ptp(expected, axis=0).min() > 3 * _BOUND[precision]  # or to tell always the same would do
  given = _one_by_one(export.make(recognizer, name, precision), signals)
  assert given.dtype == np.float32
  np.testing.assert_allclose(given.sum(axis=1), 1.0, atol=1e-5)
  np.testing.assert_allclose(given, expected, atol=_BOUND[precision])


_PAPER = config.Lora(rank=4, alpha=4.0, targets=('embed_acc', 'embed_gyro', 'output', 'up', 'down', 'head'))


@pytest.mark.parametrize('name', export.FORMATS)
@pytest.mark.parametrize(
  ('method', 'lora', 'changed'),
  [
    ('qlora', _LORA, {}),
    ('full', _LORA, {'streams': 2, 'descriptors': False, 'head': (16, 8)}),
    ('lora', _PAPER, {'streams': 2, 'descriptors': False, 'heads': 4, 'head': (8, 16, 8)}),
    ('scratch', _LORA, {'patch': 8, 'blocks': 1}),
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
  np.testing.assert_allclose(given, adapted.predict_proba(signals[:5]), atol=_BOUND['float32'])


@pytest.mark.archives
@pytest.mark.parametrize(('name', 'precision'), _ALL)
def test_of_real_windows_it_tells_what_the_recogniser_tells(
  recognizer: Recognizer, archives_folder: pathlib.Path, name: str, precision: str
):
  _or_skip(name)
  source = Source(archives_folder / 'motionsense')
  real = _cut(ARCHIVES['motionsense'].read(source, 'pocket', collections.Counter()))
  given = _one_by_one(export.make(recognizer, name, precision), real)
  np.testing.assert_allclose(given, recognizer.predict_proba(real), atol=_BOUND[precision])


@pytest.mark.parametrize('name', ['onnx', 'stablehlo'])
def test_a_recogniser_that_never_saw_rotation_heeds_none_there_either(
  recognizer_of: Callable[..., Recognizer], tiny: config.Model, signals: np.ndarray, name: str
):
  _or_skip(name)
  adapted = recognizer_of(tiny, deviation=[5.5, 1e-6])
  made = export.make(adapted, name)
  given = _one_by_one(made, signals[:3])
  np.testing.assert_allclose(given, adapted.predict_proba(signals[:3]), atol=_BOUND['float32'])
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
  wide = recognizer_of(dataclasses.replace(tiny, width=96, ffn=384, blocks=1))
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
  assert card['classes'] == _CLASSES
  assert (card['input']['rate_hz'], card['input']['units']) == (50, ['m/s²'] * 3 + ['rad/s'] * 3)
  assert card['input']['channels'][2:4] == ['acc_z', 'gyro_x']
  assert card['output']['shape'] == ['any number', len(_CLASSES)]
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
    assert json.loads(properties['classes']) == _CLASSES
    assert model.ir_version == 9
    assert max(each.version for each in model.opset_import if not each.domain) == 20
    multiplied = collections.Counter(node.op_type for node in model.graph.node)
    assert bool(multiplied['MatMulInteger']) == (precision == 'int8')


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


def test_losses_are_counted_by_hand():
  labels = np.array([0, 0, 1, 1])
  expected = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
  given = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.1, 0.9]])
  lost = compare.against(expected, given, labels)
  kept = (2 / 3 + 4 / 5) / 2  # F1 of one hit of two, and of two hits and a false alarm
  assert (lost['other_answers'], lost['macro_f1_unexported'], lost['windows']) == (1, 1.0, 4)
  np.testing.assert_allclose(
    [lost['max_difference'], lost['macro_f1'], lost['macro_f1_lost']], [0.4, kept, 1 - kept]
  )


@pytest.fixture(scope='module')
def folder(signals: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Windows of Ann, who walks, of Bob, who lies, and of Cem, who runs."""
  place = tmp_path_factory.mktemp('windows') / 'made_up'
  shown = (('Ann', 'walking'), ('Bob', 'lying'), ('Cem', 'running'))
  cut = [
    store.Window(signal, shown[i % 3][1], shown[i % 3][0], i % 3, 0.0)
    for i, signal in enumerate(signals[:12])
  ]
  store.save(store.gather(cut, {'archive': 'made_up', 'position': 'waist'}), place)
  return place


def test_windows_to_compare_on_are_of_the_classes_and_subjects(
  folder: pathlib.Path, signals: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
  given, labels = compare.labelled(folder, _CLASSES)
  np.testing.assert_array_equal(given, signals[:12][np.arange(12) % 3 < 2])
  assert labels.tolist() == [0, 1] * 4  # running is none of the classes
  given, labels = compare.labelled(folder, _CLASSES, ['Bob', 'Cem'])
  np.testing.assert_array_equal(given, signals[1:12:3])
  assert labels.tolist() == [1] * 4
  with pytest.raises(UserError, match=r'no window of the classes walking, .* by the subjects Dov'):
    compare.labelled(folder, _CLASSES, ['Dov'])
  monkeypatch.setattr(compare, '_MOST', 3)
  assert compare.labelled(folder, _CLASSES)[1].tolist() == [0, 1, 1]


def _script(*arguments: object) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    [sys.executable, str(_ROOT / 'launch' / 'export.py'), *map(str, arguments)],
    env=os.environ | {'PYTHONPATH': str(_ROOT), 'JAX_PLATFORMS': 'cpu', 'PYTHONIOENCODING': 'utf-8'},
    capture_output=True,
    encoding='utf-8',
    timeout=300,
  )


def test_the_script_exports_compares_and_prints_a_table(
  recognizer: Recognizer, folder: pathlib.Path, tmp_path: pathlib.Path
):
  recognizer.save(tmp_path / 'adapter')
  done = _script(
    f'--adapter={tmp_path / "adapter"}',
    '--format=stablehlo',
    '--precision=float32,int8',
    f'--windows={folder}',
    f'--out={tmp_path / "out"}',
  )
  assert (done.returncode, done.stderr) == (0, '')
  assert 'Before export: macro-F1' in done.stdout
  assert done.stdout.splitlines()[-2:] == [
    str(tmp_path / 'out' / f'stablehlo-{precision}') for precision in export.PRECISIONS
  ]
  for precision in export.PRECISIONS:
    card = export.load(tmp_path / 'out' / f'stablehlo-{precision}').card
    measured = card['measured']
    assert (measured['windows'], measured['precision']) == (8, precision)
    assert measured['max_difference'] < _BOUND[precision]
    assert measured['ms_quartiles'][0] <= measured['ms'] <= measured['ms_quartiles'][1]
    assert f'{measured["macro_f1"]:.4f}' in done.stdout


@pytest.mark.parametrize(
  ('arguments', 'told'),
  [
    ([], 'what to export? --adapter='),
    (['--adapter=nowhere', '--format=onxx'], '--format=onxx: one or more of litert, onnx, stablehlo'),
  ],
)
def test_a_mistake_gets_one_clear_message(arguments: list[str], told: str):
  done = _script(*arguments)
  assert done.returncode == 1
  assert told in done.stderr
  assert 'Traceback' not in done.stderr

"""Windows of 3 s at 20 Hz through every command, from flags of `prepare`."""

import json
import pathlib

import numpy as np
import pytest
import recordings
import short_sample
import tiny_flags
from in_process import refuse, succeed

from har_jax.config import Windowing
from har_jax.recognizer.frame_check import FrameWarning
from har_jax.recognizer.recognizer import Recognizer
from har_jax.stream.stream import Stream

pytestmark = pytest.mark.slow

_WINDOWING = Windowing(60, 20)  # neither length nor step is that of the usual one, also in seconds
_MODEL = (
  *('--dtype=float32', '--model_patch_size=15', '--model_stem=', '--model_width=24', '--model_mlp_dim=32'),
  *('--model_num_heads=2', '--model_depth=1', '--model_decoder_depth=1', '--model_head=8', '--noprogress'),
  *('--model_pooling=mean', '--normalize=train', '--nomodel_invariant_features'),
)


def _json(path: pathlib.Path) -> dict:
  return json.loads(path.read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> pathlib.Path:
  """Windows of 60 samples at 20 Hz, and a base of them."""
  folder = tmp_path_factory.mktemp('slow')
  flags = (f'--window_samples={_WINDOWING.samples}', f'--window_rate_hz={_WINDOWING.rate_hz}')
  short_sample.prepare(folder / 'windows', *flags)
  few = (*_MODEL, *tiny_flags.PLAIN, *tiny_flags.PRETRAIN, '--supervised_pretraining_steps=2')
  succeed('pretrain', f'--windows={folder}/windows', *few, f'--out={folder}/base')
  return folder


def test_a_base_takes_length_and_rate_from_the_windows(folder):
  meta, base = (_json(folder / name) for name in ('windows/sample_motionsense/meta.json', 'base/base.json'))
  assert (meta['window_samples'], meta['rate_hz']) == (60, 20)
  assert (base['model']['window_samples'], base['model']['rate_hz']) == (60, 20)
  assert (base['window'], base['rate_hz']) == (60, 20)


def test_a_study_takes_length_and_rate_from_the_windows(folder):
  study = (f'--windows={folder}/windows', '--targets=sample_motionsense', '--methods=forest', '--seeds=0')
  study += _MODEL
  succeed('lodo', *study, f'--out={folder}/runs')
  (path,) = (folder / 'runs').rglob('seed0.json')
  model = _json(path)['identity']['experiment']['model']
  assert (model['window_samples'], model['rate_hz']) == (60, 20)
  error = refuse('lodo', *study, '--model_rate_hz=50', f'--out={folder}/others')
  assert 'are 60 samples at 20 Hz, and the model takes 60 samples at 50 Hz: give a model or base of' in error


def test_adapter_answers_stream_and_exports_are_those_of_the_base(folder):
  recordings.recording(folder / 'day.csv', recordings.LABELED)
  recordings.labels(folder / 'labels.csv', recordings.LABELED)
  adapt = (folder / 'day.csv', folder / 'labels.csv', f'--base={folder}/base', '--max_steps=4', '--rank=2')
  succeed('adapt', *adapt, '--noprogress', f'--out={folder}/adapter')
  predict = (folder / 'day.csv', f'--adapter={folder}/adapter', '--noprogress', f'--out={folder}/answers')
  succeed('predict', *predict)
  starts_s = np.genfromtxt(folder / 'answers' / 'windows.csv', delimiter=',', names=True, usecols=0)['time_s']
  np.testing.assert_allclose(np.diff(starts_s)[:20], 1.5, atol=1e-3)
  recognizer = Recognizer.load(folder / 'adapter')
  assert recognizer.windowing == _WINDOWING
  stream = Stream(recognizer)
  predictions = stream.push(np.tile(np.float32([0, 0, 9.8, 0, 0, 0]), (100, 1)))  # 5 s
  assert [each.time_s for each in predictions] == pytest.approx([0, 1.5])
  export = (folder / 'adapter', '--format=onnx,stablehlo', f'--out={folder}/exports')
  with pytest.warns(FrameWarning, match='Gravity points elsewhere'):  # in a pocket
    succeed('export', *export, f'--compare_windows={folder}/windows/sample_motionsense')
  for name in ('onnx', 'stablehlo'):
    card = _json(folder / 'exports' / f'{name}-float32' / 'model.json')
    assert (card['input']['shape'][1:], card['input']['rate_hz']) == ([60, 6], 20)
    assert card['stream']['hop_s'] == 1.5
    assert card['measured']['max_difference'] < 1e-4


def test_a_base_of_another_length_is_refused(folder, windows):
  flags = ('--target=sample_motionsense', f'--base={folder}/base', f'--out={folder}/new')
  error = refuse('continual', f'--windows={windows}', *flags)
  assert 'motionsense are 128 samples at 50 Hz, and the model takes 60 samples at 20 Hz' in error
  assert 'prepare windows with --window_samples=60 --window_rate_hz=20' in error

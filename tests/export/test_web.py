"""The page for a phone: the built page beside the model, or a sentence that says how to build it."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from har_jax import export
from har_jax.errors import UserError
from har_jax.export import web
from har_jax.recognizer import loading
from har_jax.recognizer.recognizer import Recognizer
from har_jax.signal.summary import summarize
from har_jax.stream.stream import Stream

_SOURCE = pathlib.Path(__file__).parents[2] / 'web'
_ADAPTER = ('adapter.json', 'adapter.safetensors')
_BUILT = ('icon.svg', 'index.html', 'page-1.js', 'service_worker.js')


@pytest.fixture
def built(tmp_path, monkeypatch) -> pathlib.Path:
  """A page that was built, as far as Python knows."""
  pytest.importorskip('onnxruntime')
  folder = tmp_path / 'built'
  folder.mkdir()
  for name in _BUILT:
    (folder / name).write_text(name, encoding='utf-8')
  monkeypatch.setattr(web, 'FOLDER', folder)
  return folder


def _listed(folder: pathlib.Path) -> dict:
  """What the service worker reads."""
  text = (folder / 'files.js').read_text(encoding='utf-8')
  return json.loads(text.removeprefix('self.FILES = ').removesuffix(';\n'))


@pytest.mark.usefixtures('built')
def test_the_folder_holds_page_model_and_card(recognizer, signals, tmp_path):
  trained = summarize(signals, ['walking'] * len(signals), 50)
  adapter = recognizer.adapter_.with_card(signals=trained)
  export.write(
    tmp_path / 'page',
    export.make(Recognizer.from_stored(loading.with_adapter(recognizer.base_, adapter)), 'web'),
  )
  names = {path.name for path in (tmp_path / 'page').iterdir()}
  assert names == {*_BUILT, *_ADAPTER, 'files.js', 'model.onnx', 'model.json'}
  card = export.load(tmp_path / 'page').card
  assert card.classes == recognizer.classes_.tolist()
  assert card.signals == trained
  assert card.stream == {'hop_s': 1.28, 'mean_bout_s': 5.0, 'max_gap_s': 0.2}


@pytest.mark.usefixtures('built')
def test_the_list_for_offline_use_changes_with_the_model(recognizer, tmp_path):
  for precision in export.PRECISIONS:
    export.write(tmp_path / precision, export.make(recognizer, 'web', precision))
  float32, int8 = (_listed(tmp_path / precision) for precision in export.PRECISIONS)
  expected = ['./', *_ADAPTER, 'icon.svg', 'model.json', 'model.onnx', 'page-1.js']
  assert float32['names'] == int8['names'] == expected
  assert float32['version'] != int8['version']
  export.write(tmp_path / 'again', export.make(recognizer, 'web'))
  assert _listed(tmp_path / 'again') == float32


@pytest.mark.usefixtures('built')
def test_the_list_for_offline_use_changes_with_a_model_of_the_same_size():
  lists = {web._page_files({'model.onnx': content})['files.js'] for content in (b'one', b'two')}
  assert len(lists) == 2


@pytest.mark.slow
@pytest.mark.usefixtures('built')
@pytest.mark.parametrize('precision', export.PRECISIONS)
@pytest.mark.parametrize('head', [(), (16,)])
def test_the_model_gives_what_the_page_learns_from(recognizer_of, tiny, signals, head, precision):
  import onnxruntime

  adapted = recognizer_of(dataclasses.replace(tiny, head=head))
  session = onnxruntime.InferenceSession(export.make(adapted, 'web', precision).content)
  hidden, logits = session.run(['hidden', 'raw_logits'], {'signal': signals[:1]})
  expected = Stream(adapted)._recognize(signals[0])
  scale = np.abs(expected[1]).max()
  for made, values in ((hidden[0], expected[0][:-1]), (logits[0], expected[1])):
    assert np.abs(made - values).max() < (1e-4 if precision == 'float32' else 0.2) * scale


@pytest.mark.usefixtures('built')
def test_a_base_with_its_own_head_gives_the_page_no_sets():
  recognizer = Recognizer.load()
  assert recognizer.set_scores
  made = export.make(recognizer, 'web')
  assert made.adapter.card.set_scores is made.card.set_scores is None


def test_a_page_that_is_not_built_is_refused(built, recognizer):
  (built / 'index.html').unlink()
  with pytest.raises(UserError, match='run `make web`'):
    export.make(recognizer, 'web')


@pytest.mark.slow
def test_the_page_answers_in_chromium_as_stream_does():
  """One of the tests of web/, which compares with this Python; `make web-test` runs them all."""
  if shutil.which('npm') is None or not (_SOURCE / 'node_modules').is_dir():
    pytest.skip('no npm, or no packages of the page: `make web` installs them')
  pytest.importorskip('onnxruntime')
  result = subprocess.run(
    ['npm', 'test', '--', '-t', 'Python: jitter at 60 Hz'],
    cwd=_SOURCE,
    env=os.environ | {'PYTHON': sys.executable, 'NO_COLOR': '1'},
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
  assert '2 passed' in result.stdout

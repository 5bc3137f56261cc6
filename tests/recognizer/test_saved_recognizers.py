"""A recognizer that is saved and loaded gives the same answers; so does the bundled base."""

import copy
import dataclasses
import errno
import pathlib
import pickle

import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from har_jax import files
from har_jax.errors import UserError
from har_jax.recognizer.recognizer import Recognizer


def test_saved_recognizers_predict_the_same(base, fitted, tmp_path):
  expected = fitted.predict_proba(SIGNALS)
  fitted.save(tmp_path / 'with_base')
  fitted.save(tmp_path / 'without_base', with_base=False)
  files.save_base(tmp_path / 'base', base.variables, base.card)
  assert not (tmp_path / 'without_base' / 'base.json').exists()
  with_base = Recognizer.load(tmp_path / 'with_base')
  without_base = Recognizer.load(str(tmp_path / 'without_base'), base=tmp_path / 'base')
  for loaded in (with_base, without_base, pickle.loads(pickle.dumps(fitted))):
    np.testing.assert_array_equal(loaded.predict_proba(SIGNALS), expected)
    assert loaded.predict(SIGNALS).tolist() == fitted.predict(SIGNALS).tolist()
  assert with_base.get_params() == fitted.get_params() | {'base': with_base.base}
  with pytest.raises(UserError, match=f'{base.checksum}; give it'):
    Recognizer.load(tmp_path / 'without_base')
  unfitted = Recognizer.load(tmp_path / 'base')
  assert unfitted.base.checksum == base.checksum
  assert not hasattr(unfitted, 'classes_')
  with pytest.raises(UserError, match='has neither an adapter'):
    Recognizer.load(tmp_path)
  with pytest.raises(UserError, match=r'give .* the folder of an adapter$'):
    Recognizer.load(tmp_path / 'with_base' / 'adapter.json')


def test_a_disk_that_is_full_after_the_base_leaves_no_base_that_would_answer_alone(
  fitted, tmp_path, monkeypatch
):
  write_bytes = pathlib.Path.write_bytes

  def write(path: pathlib.Path, content: bytes) -> int:
    if 'adapter' in path.name:
      raise OSError(errno.ENOSPC, 'No space left on device')
    return write_bytes(path, content)

  monkeypatch.setattr(pathlib.Path, 'write_bytes', write)
  with pytest.raises(UserError, match='No space left on device; free some space'):
    fitted.save(tmp_path)
  assert not list(tmp_path.iterdir())


def test_what_answers_are_averaged_over_is_saved(fitted, tmp_path):
  copy.copy(fitted).adapt(SIGNALS, LABELS, max_steps=1, tta_shifts=4).save(tmp_path)
  assert Recognizer.load(tmp_path).tta_shifts == 4


def test_a_base_that_an_adapter_does_not_need_is_not_saved(fitted, tmp_path):
  alone = copy.copy(fitted)
  alone.adapter_ = fitted.adapter_.with_card(base=None)
  alone.save(tmp_path)
  assert sorted(path.name for path in tmp_path.iterdir()) == ['adapter.json', 'adapter.safetensors']


def test_a_folder_with_files_is_kept_and_one_that_is_not_there_is_named(fitted, tmp_path):
  (tmp_path / 'thesis.tex').write_text('mine')
  with pytest.raises(UserError, match='holds files already: give another folder, or overwrite=True'):
    fitted.save(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']
  fitted.save(tmp_path, overwrite=True)
  assert Recognizer.load(tmp_path).classes_.tolist() == fitted.classes_.tolist()
  for overwrite in (False, True):
    with pytest.raises(UserError, match=r'thesis\.tex is a file: give a folder'):
      fitted.save(tmp_path / 'thesis.tex', overwrite=overwrite)
  with pytest.raises(UserError, match=r'no such folder or file: .*nowhere'):
    Recognizer.load(tmp_path / 'nowhere')


@pytest.mark.slow
def test_without_a_fit_the_bundled_base_answers():
  loaded, made = Recognizer.load(), Recognizer()
  check_is_fitted(made)
  assert made.recording_head_ is not None
  for recognizer in (made, Recognizer(files.BUNDLED), clone(loaded), pickle.loads(pickle.dumps(made))):
    np.testing.assert_array_equal(recognizer.probabilities(SIGNALS), loaded.probabilities(SIGNALS))
  assert made.windowing == loaded.windowing
  for path in (None, files.BUNDLED):
    with pytest.raises(UserError, match='a base goes with an adapter, and none is given'):
      Recognizer.load(path, base=files.BUNDLED)
  with pytest.raises(NotFittedError):
    check_is_fitted(Recognizer(method='scratch'))


def test_an_adapter_without_its_base_is_put_on_the_bundled_one_if_it_needs_that(tmp_path):
  bundled = Recognizer.load()
  bundled.save(tmp_path, with_base=False)
  loaded = Recognizer.load(tmp_path)
  np.testing.assert_array_equal(loaded.predict_proba(SIGNALS), bundled.predict_proba(SIGNALS))


def test_weights_that_are_not_finite_answer_nothing(fitted, tmp_path):
  fitted.save(tmp_path)
  adapter = files.load_adapter(tmp_path)
  forged = {path: np.full_like(leaf, np.nan) for path, leaf in adapter.variables.items()}
  files.save_adapter(tmp_path, dataclasses.replace(adapter, variables=forged))  # with the right sums
  with pytest.raises(UserError, match='answers with values that are not finite'):
    Recognizer.load(tmp_path).predict(SIGNALS)

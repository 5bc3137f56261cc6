"""An ensemble: its weights by hand, and a recognizer that predicts, calibrates, saves and loads with it."""

import copy
import json
import pathlib
import shutil
import sys
import types

import numpy as np
import pytest
import skops.io
from labeled_windows import LABELS, SIGNALS, SUBJECTS
from scipy import optimize, special

from har_jax import config, records, storage
from har_jax.baselines import forest
from har_jax.datasets import splits
from har_jax.errors import UserError
from har_jax.export.merged import merge
from har_jax.files import estimator_checks, estimators
from har_jax.recognizer import ensemble
from har_jax.recognizer.calibration import calibrate
from har_jax.recognizer.comparison import compare
from har_jax.recognizer.recognizer import Recognizer
from har_jax.stream.stream import Stream
from har_jax.train import loop

_NAMES = ('encoder', 'forest', 'rocket')


def _drawn(windows: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
  """Probabilities of three members, the last of which is best, and labels of three classes."""
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 3, windows)
  logits = rng.standard_normal((3, windows, 3)) + np.eye(3)[labels] * np.array([0.5, 1.0, 2.0])[:, None, None]
  return dict(zip(_NAMES, special.softmax(logits, axis=2), strict=True)), labels


@pytest.mark.parametrize('windows', [40, 2000])
def test_weights_minimize_the_log_loss_with_a_prior_of_100_windows_at_2_1_1(windows: int):
  members, labels = _drawn(windows)
  likelihood = np.stack([each[np.arange(windows), labels] for each in members.values()])

  def loss(free: np.ndarray) -> float:
    weights = special.softmax(np.r_[0.0, free])
    return -np.log(weights @ likelihood).sum() - 100 * np.array([0.5, 0.25, 0.25]) @ np.log(weights)

  expected = special.softmax(np.r_[0.0, optimize.minimize(loss, np.zeros(2), tol=1e-10).x])
  found = ensemble._fit_weights(members, labels)
  assert [found[name] for name in _NAMES] == pytest.approx(expected, abs=1e-4)
  assert (found['rocket'] > 0.5) == (windows == 2000)


def test_without_windows_the_weights_are_2_1_1():
  none = np.empty((0, 3))
  temperature, weights = ensemble.fit_members(none, {'forest': none, 'rocket': none}, np.empty(0, int))
  assert (temperature, weights) == (1.0, {'encoder': 0.5, 'forest': 0.25, 'rocket': 0.25})


def test_an_overconfident_encoder_gets_its_temperature_before_it_is_weighted():
  members, labels = _drawn(2000)
  others = {'forest': members['forest'], 'rocket': members['encoder']}
  logits = np.log(members['rocket'])  # the best member
  plain, expected = ensemble.fit_members(logits, others, labels)
  temperature, weights = ensemble.fit_members(5 * logits, others, labels)
  assert temperature == pytest.approx(5 * plain, rel=1e-2)
  assert weights == pytest.approx(expected, abs=1e-2)


def test_the_mean_is_weighted_by_member():
  members = {'encoder': np.array([[1.0, 0.0]]), 'forest': np.array([[0.2, 0.8]])}
  np.testing.assert_allclose(ensemble.average(members, {'encoder': 0.75, 'forest': 0.25}), [[0.8, 0.2]])


# --- a recognizer


@pytest.fixture(scope='module')
def whole(unfitted: Recognizer) -> Recognizer:
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(forest, '_TREES', 40)  # writing one takes as long as predicting with it
    return unfitted.adapt(SIGNALS, LABELS, SUBJECTS, ensemble=True)


@pytest.fixture(scope='module')
def written(whole: Recognizer, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('written')
  whole.save(folder)
  return folder


@pytest.fixture
def saved(written: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
  """A copy, which a test may change."""
  return pathlib.Path(shutil.copytree(written, tmp_path, dirs_exist_ok=True))


def test_it_averages_the_encoder_and_the_baselines_of_the_training_windows(whole: Recognizer):
  encoder = copy.copy(whole).set_params(ensemble=False).predict_proba(SIGNALS)
  members = {'encoder': encoder} | whole.ensemble_.probabilities(SIGNALS.astype(np.float32))
  assert tuple(members) == _NAMES
  weights = whole.ensemble_.weights
  mean = sum(weights[name] * members[name] for name in _NAMES)
  np.testing.assert_allclose(whole.predict_proba(SIGNALS), mean, rtol=1e-6)
  labels = np.unique(LABELS, return_inverse=True)[1]
  held_out, _ = splits.hold_out_at_random(labels, np.unique(SUBJECTS, return_inverse=True)[1], 0.1, 0)
  fitted = ensemble._fit_weights({name: each[held_out] for name, each in members.items()}, labels[held_out])
  assert weights == pytest.approx(fitted, abs=1e-4)
  assert whole.adapter_.card.temperature != 1.0  # fitted to the held-out subject
  # Trees of 54 of the 72 windows, and of a copy of each: one of four subjects is held out.
  trees = whole.ensemble_.baselines['forest'].estimator.estimators_
  assert {tree.tree_.n_node_samples[0] for tree in trees} == {108}


def test_its_encoder_is_compared_without_the_seconds_of_the_baselines(whole: Recognizer):
  compared = compare(whole, SIGNALS, LABELS, SUBJECTS == 'Ann', 100.0)
  seconds = whole.ensemble_.seconds
  assert [(one.model, one.seconds) for one in compared.adapted] == [
    ('ensemble', 100.0),
    ('lora', 100.0 - seconds['forest'] - seconds['rocket']),
  ]
  assert {one.model: one.seconds for one in compared.baselines} == seconds
  assert compared.missing == []


def test_calibration_changes_the_temperature_of_the_mean_alone(whole: Recognizer, tmp_path: pathlib.Path):
  recognizer, wrong = copy.copy(whole), np.where(np.arange(72) < 12, 'still', LABELS)
  before = recognizer.predict_proba(SIGNALS)
  temperature = calibrate(recognizer, SIGNALS, wrong).temperature
  assert recognizer.temperature == temperature != 1.0
  assert recognizer.adapter_.card == whole.adapter_.card
  after = recognizer.predict_proba(SIGNALS)
  assert not np.allclose(before, after, atol=1e-3)
  np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
  assert calibrate(recognizer, SIGNALS, wrong).temperature == pytest.approx(temperature, rel=1e-3)
  recognizer.save(tmp_path)
  np.testing.assert_array_equal(
    Recognizer.load(tmp_path).predict_proba(SIGNALS), recognizer.predict_proba(SIGNALS)
  )


def test_a_saved_ensemble_predicts_the_same_and_its_encoder_alone_can_be_saved(
  whole: Recognizer, saved: pathlib.Path, tmp_path: pathlib.Path
):
  loaded = Recognizer.load(saved)
  np.testing.assert_array_equal(loaded.predict_proba(SIGNALS), whole.predict_proba(SIGNALS))
  loaded.set_params(ensemble=False).save(tmp_path / 'alone')
  assert {path.suffix for path in (tmp_path / 'alone').iterdir()} == {'.json', '.safetensors'}
  alone = Recognizer.load(tmp_path / 'alone')
  np.testing.assert_array_equal(alone.predict_proba(SIGNALS), loaded.predict_proba(SIGNALS))
  with pytest.raises(UserError, match='fitted without'):
    alone.set_params(ensemble=True).predict(SIGNALS)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda folder: (folder / 'ensemble.skops').write_bytes(b'PK'), 'ensemble.skops is damaged'),
    (lambda folder: (folder / 'ensemble.skops').unlink(), 'ensemble.skops cannot be read'),
    (lambda folder: (folder / 'ensemble.json').unlink(), 'ensemble.json cannot be read'),
  ],
)
def test_a_damaged_or_missing_file_is_an_error(saved: pathlib.Path, change, message: str):
  change(saved)
  with pytest.raises(UserError, match=message):
    Recognizer.load(saved)


def test_an_ensemble_of_another_adapter_is_an_error(whole: Recognizer, saved: pathlib.Path):
  with pytest.raises(UserError, match='belongs to the adapter with checksum'):
    ensemble.load(saved, adapter='0', windowing=config.DEFAULT_WINDOWING, classes=3)


def test_an_ensemble_with_other_weights_than_members_is_an_error(saved: pathlib.Path):
  entries = storage.parse(saved / 'ensemble.json')
  (saved / 'ensemble.json').write_text(json.dumps(entries | {'weights': {'encoder': 1.0}}))
  with pytest.raises(UserError, match='weights of encoder'):
    Recognizer.load(saved)


def test_a_type_that_is_not_trusted_is_not_loaded(tmp_path: pathlib.Path):
  card = records.Ensemble(adapter=64 * '0', weights={'encoder': 1.0}, seconds={}, temperature=1.0)
  estimators.write(tmp_path, 'ensemble', {'forest': types.SimpleNamespace(trees=3)}, card)
  with pytest.raises(UserError, match=r'ensemble.skops cannot be loaded .*scikit-learn'):
    estimators.read(tmp_path, 'ensemble')
  assert skops.io.get_untrusted_types(file=tmp_path / 'ensemble.skops') == ['types.SimpleNamespace']
  assert storage.read(tmp_path / 'ensemble.json')['versions'].keys() == {'scikit-learn', 'aeon'}


def _rewrite(saved: pathlib.Path, change, package: str = '') -> None:
  """Changes the fitted baselines, and writes them with a card that fits."""
  fitted, card = estimators.read(saved, 'ensemble')
  change(fitted)
  estimators.write(saved, 'ensemble', fitted, card)


def _forge_parameter(number: int, change):
  def forge(fitted: dict) -> None:
    parameters = [*fitted['rocket'][0].parameters]
    parameters[number] = change(parameters[number])
    fitted['rocket'][0].parameters = tuple(parameters)

  return forge


def _forge_tree(**changed):
  """changed: a field of the nodes, or `values`, and a function of its array."""

  def forge(fitted: dict) -> None:
    tree = fitted['forest'].estimators_[0].tree_
    state = tree.__getstate__()
    for name, change in changed.items():
      if name in state:
        state[name] = change(state[name])
      else:
        nodes = state['nodes'] = state['nodes'].copy()
        nodes[name] = change(nodes[name])
    forged = type(tree)(*tree.__reduce__()[1])
    forged.__setstate__(state)
    fitted['forest'].estimators_[0].tree_ = forged

  return forge


def _first(value):
  return lambda array: np.r_[np.array([value], array.dtype), array[1:]]


_FORGED = {
  'biases cut': _forge_parameter(4, lambda array: array[:10]),
  'features of a dilation': _forge_parameter(3, lambda array: array * 1000),
  'no features': _forge_parameter(3, lambda array: array * 0),
  'negative features': _forge_parameter(3, lambda array: -array),
  'a channel that is none': _forge_parameter(1, lambda array: array + 10**6),
  'channels cut': _forge_parameter(1, lambda array: array[:3]),
  'a dilation of 0': _forge_parameter(2, lambda array: array * 0),
  'a dilation too long': _forge_parameter(2, lambda array: array + 10**6),
  'another type': _forge_parameter(2, lambda array: array.astype(np.float64)),
  'a string': _forge_parameter(2, lambda array: 'x'),
  'two parameters': lambda fitted: setattr(
    fitted['rocket'][0], 'parameters', fitted['rocket'][0].parameters[:2]
  ),
  'a child that is the root': _forge_tree(left_child=_first(0)),
  'a child far away': _forge_tree(right_child=_first(10**9)),
  'a child before all': _forge_tree(left_child=_first(-(10**6))),
  'a feature far away': _forge_tree(feature=_first(10**9)),
  'a feature below 0': _forge_tree(feature=_first(-5)),
  'values of NaN': _forge_tree(values=lambda values: values * np.nan),
  'a string for trees': lambda fitted: setattr(fitted['forest'], 'estimators_', 'trees'),
  'other kinds': lambda fitted: fitted.update(forest=fitted['rocket'], rocket=fitted['forest']),
  'a million threads': lambda fitted: setattr(fitted['forest'], 'n_jobs', 10**6),
  'other classes': lambda fitted: setattr(fitted['forest'], 'n_classes_', 7),
  'a scaler of another width': lambda fitted: setattr(fitted['rocket'][1], 'mean_', np.zeros(3)),
}


@pytest.mark.parametrize('name', _FORGED)
def test_a_forged_ensemble_is_refused_before_it_is_used(saved: pathlib.Path, name: str):
  _rewrite(saved, _FORGED[name])
  if name == 'a million threads':
    assert Recognizer.load(saved).ensemble_.baselines['forest'].estimator.n_jobs is None
    return
  with pytest.raises(UserError, match='that cannot predict'):
    Recognizer.load(saved)


def test_a_tree_that_counts_more_nodes_than_it_has_is_refused_before_they_are_read():
  with pytest.raises(ValueError, match='counts other nodes'):
    estimator_checks._check_nodes(types.SimpleNamespace(node_count=5, capacity=3), 2)


def test_an_ensemble_has_the_same_bytes_each_time(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path):
  monkeypatch.setattr(forest, '_TREES', 5)
  labels = np.unique(LABELS, return_inverse=True)[1]
  fits = [ensemble.fit(SIGNALS.astype(np.float32), labels, 0, 50) for _ in range(2)]  # at other addresses
  files = []
  for fitted in fits:
    fitted.seconds.clear()
    ensemble.save(tmp_path, fitted, adapter=64 * '0')
    files.append((tmp_path / 'ensemble.skops').read_bytes())
  assert files[0] == files[1]


@pytest.mark.parametrize('version', ['99.0', '1.999.3'])
def test_an_ensemble_of_a_newer_scikit_learn_is_refused_by_its_card(saved: pathlib.Path, version: str):
  entries = storage.parse(saved / 'ensemble.json')
  entries['versions']['scikit-learn'] = version
  (saved / 'ensemble.json').write_text(json.dumps(entries))
  with pytest.raises(
    UserError, match=rf'was written with scikit-learn {version}, and .* install that version'
  ):
    Recognizer.load(saved)


@pytest.mark.parametrize('make', [Stream, merge])
def test_streams_and_exports_refuse_an_ensemble(whole: Recognizer, make):
  with pytest.raises(UserError, match=r'encoder alone.*set_params\(ensemble=False\)'):
    make(whole)
  make(copy.copy(whole).set_params(ensemble=False))


@pytest.mark.parametrize('package', ['aeon', 'skops'])
def test_a_package_that_cannot_be_imported_for_whatever_reason_counts_as_missing(
  monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, package: str
):
  for name in [name for name in sys.modules if name.partition('.')[0] == package]:
    monkeypatch.delitem(sys.modules, name)
  (tmp_path / f'{package}.py').write_text("raise AttributeError('no attribute trapz')")
  monkeypatch.syspath_prepend(tmp_path)
  assert not ensemble.is_installed()
  with pytest.raises(UserError, match=rf'needs {package}: pip install .* \(no attribute trapz\)'):
    ensemble.check_installed()


@pytest.mark.parametrize(('package', 'message'), [('aeon', 'rocket needs aeon'), ('skops', 'needs skops')])
def test_a_missing_package_is_named_before_training(
  unfitted: Recognizer, monkeypatch: pytest.MonkeyPatch, package: str, message: str
):
  for name in [name for name in sys.modules if name.partition('.')[0] == package]:
    monkeypatch.delitem(sys.modules, name)
  monkeypatch.setitem(sys.modules, package, None)
  assert not ensemble.is_installed()
  monkeypatch.setattr(loop, 'train', lambda *_, **__: pytest.fail('trains'))
  with pytest.raises(UserError, match=message):
    unfitted.adapt(SIGNALS, LABELS, ensemble=True)

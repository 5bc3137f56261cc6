"""A baseline's adapter: its file holds the training windows, and loading fits the baseline to them again."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from adapters import CLASSES, assert_equal
from small_baselines import small_baselines  # noqa: F401

from har_jax import files
from har_jax.baselines import forest, installed
from har_jax.errors import UserError
from har_jax.files import baseline_adapter, safetensors_io

LABELS = np.arange(60, dtype=np.int32) % len(CLASSES)
WINDOWS = (np.random.default_rng(0).standard_normal((60, 128, 6)) * (1 + LABELS)[:, None, None]).astype('f')
_WINDOWS, _LABELS = 'baseline/windows', 'baseline/labels'


@pytest.fixture(scope='module')
def forest_of(base, card_of) -> Callable[..., files.Adapter]:
  """Makes the adapter of a forest, with some leaves and entries of its card replaced."""

  def make(entries: dict[str, Any] | None = None, **leaves: Any) -> files.Adapter:
    given = baseline_adapter.leaves_of(WINDOWS, LABELS)
    given |= {f'baseline/{name}': leaf for name, leaf in leaves.items()}
    kept = {path: leaf for path, leaf in given.items() if leaf is not None}
    card = card_of('forest') | {'normalizer': {'mean': [0.0, 0.0], 'deviation': [1.0, 1.0]}}
    return files.make_adapter(base, kept, card | (entries or {}))

  return make


def test_a_file_has_the_windows_and_labels_and_gives_the_same_answers(base, forest_of, tmp_path):
  adapter = forest_of()
  files.save_adapter(tmp_path, adapter)
  loaded = files.load_adapter(tmp_path)
  assert loaded.card == adapter.card
  assert loaded.card.base == base.checksum
  assert_equal(loaded.variables, {_WINDOWS: WINDOWS, _LABELS: LABELS})
  assert_equal(files.attach(base, loaded), loaded.variables)
  answers = [
    baseline_adapter.logits(each.baseline, WINDOWS) for each in (adapter, loaded, loaded.with_card(alpha=2.0))
  ]
  plain = forest.Forest(0).fit(WINDOWS, LABELS).predict_proba(WINDOWS)
  for answer in answers:
    np.testing.assert_array_equal(answer, np.log(np.maximum(plain, 1e-4)))
  assert (plain == 0).any()  # so that the logarithm needs the bound


def test_seed_and_rate_of_the_card_are_those_of_the_fit(forest_of, card_of):
  model, unlike = card_of('forest')['model'] | {'rate_hz': 25}, WINDOWS[::-1] * WINDOWS
  adapter = forest_of({'training': {'random_state': 5}, 'model': model})
  expected, *others = (
    forest.Forest(*pair).fit(WINDOWS, LABELS).predict_proba(unlike) for pair in ((5, 25), (0, 25), (5, 50))
  )
  np.testing.assert_array_equal(adapter.baseline.predict_proba(unlike), expected)
  assert not any(np.array_equal(other, expected) for other in others)


def test_without_a_seed_a_fit_has_that_of_zero(forest_of):
  unlike = WINDOWS[::-1] * WINDOWS
  none, zero, one = (
    forest_of({'training': {'random_state': seed}}).baseline.predict_proba(unlike) for seed in (None, 0, 1)
  )
  np.testing.assert_array_equal(none, zero)
  assert not np.array_equal(none, one)


def test_the_versions_of_a_fit_are_those_of_what_it_computes_with():
  pytest.importorskip('aeon')
  assert set(baseline_adapter.versions('forest')) == {'scikit-learn', 'jax', 'har_jax'}
  assert set(baseline_adapter.versions('rocket')) == {'scikit-learn', 'jax', 'aeon', 'har_jax'}


def test_it_belongs_to_its_base(whole, base_card, forest_of, tmp_path):
  path = 'params/encoder/norm/bias'
  other = files.make_base(whole | {path: whole[path] + 1}, base_card)
  with pytest.raises(UserError, match=other.checksum):
    files.attach(other, forest_of())
  with pytest.raises(UserError, match='forest is a baseline: it has no weights to export'):
    files.write_peft(tmp_path, forest_of())


def test_many_windows_are_thinned_as_for_a_comparison(monkeypatch):
  monkeypatch.setattr(baseline_adapter, 'MAX_WINDOWS', 30)
  leaves = baseline_adapter.leaves_of(WINDOWS, LABELS)
  indices = installed.evenly_spaced(LABELS, 30)
  np.testing.assert_array_equal(leaves[_WINDOWS], WINDOWS[indices])
  np.testing.assert_array_equal(leaves[_LABELS], LABELS[indices])


def _with(value: float) -> np.ndarray:
  changed = WINDOWS.copy()
  changed[3, 5, 1] = value
  return changed


@pytest.mark.parametrize(
  ('leaves', 'message'),
  [
    ({'windows': None}, r'baseline/windows: expected float32\[60, 128, 6\], found nothing'),
    ({'labels': None}, r'baseline/labels: expected int32\[0\], found nothing'),
    ({'windows': WINDOWS[:, :64]}, r'expected float32\[60, 128, 6\], found float32\[60, 64, 6\]'),
    ({'windows': WINDOWS.astype('f2')}, r'found float16\[60, 128, 6\]'),
    ({'labels': LABELS[:-1]}, r'expected float32\[59, 128, 6\]'),
    ({'labels': LABELS[:, None]}, r'expected int32\[60\], found int32\[60, 1\]'),
    ({'labels': LABELS.astype('f')}, r'expected int32\[60\], found float32\[60\]'),
    ({'trees': LABELS}, r'baseline/trees: expected nothing, found int32\[60\]'),
    ({'windows': _with(np.nan)}, 'have a NaN, or values beyond 1e'),
    ({'windows': _with(-np.inf)}, 'have a NaN, or values beyond 1e'),
    ({'windows': _with(1e7)}, 'have a NaN, or values beyond 1e'),
    ({'labels': LABELS + 1}, 'the labels of forest are not of its 6 classes'),
    ({'labels': LABELS - 1}, 'the labels of forest are not of its 6 classes'),
    ({'labels': np.minimum(LABELS, 4)}, 'the labels of forest are not of its 6 classes'),
  ],
)
def test_a_hostile_file_is_refused(forest_of, tmp_path, leaves, message):
  with pytest.raises(UserError, match=message):
    forest_of(**leaves)
  good = forest_of()
  files.save_adapter(tmp_path, good)
  forged = {**good.variables, **{f'baseline/{name}': leaf for name, leaf in leaves.items()}}
  forged = {path: leaf for path, leaf in forged.items() if leaf is not None}
  safetensors_io.write(tmp_path, 'adapter', forged, good.card)  # with the right sums
  with pytest.raises(UserError, match=message):
    files.load_adapter(tmp_path)


def test_more_windows_than_a_fit_takes_are_refused(forest_of, monkeypatch):
  with monkeypatch.context() as patched:
    patched.setattr(baseline_adapter, 'MAX_WINDOWS', 53)
    assert len(baseline_adapter.leaves_of(WINDOWS, LABELS)[_LABELS]) < 60
    with pytest.raises(UserError, match='60 windows of 6 classes are too many for forest: it takes 53'):
      forest_of(windows=WINDOWS, labels=LABELS)
  monkeypatch.setattr(baseline_adapter, '_MOST', 359)
  with pytest.raises(UserError, match='adapt with the method linear, or to fewer classes'):
    forest_of()


def test_a_forged_card_is_refused(forest_of):
  with pytest.raises(UserError, match=r'forest cannot be fitted to these windows: .*random_state'):
    forest_of({'training': {'random_state': 2**32}})
  means = [[0.0] * 4] * len(CLASSES)
  with pytest.raises(UserError, match='the card of forest has class_means, which are of a network'):
    forest_of({'class_means': means})


def test_other_versions_are_doubted_by_name(forest_of):
  card = forest_of({'fitted_with': baseline_adapter.versions('forest')}).card
  assert baseline_adapter.version_doubts(card) == []
  older = msgspec.structs.replace(card, fitted_with=card.fitted_with | {'scikit-learn': '0.1'})
  (sentence,) = baseline_adapter.version_doubts(older)
  assert f'(scikit-learn 0.1, now {card.fitted_with["scikit-learn"]})' in sentence
  assert baseline_adapter.version_doubts(msgspec.structs.replace(older, method='lora')) == []

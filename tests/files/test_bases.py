"""Bases as files: nothing is lost, and damaged files are refused."""

import dataclasses
import json
import pathlib

import jax
import msgspec
import numpy as np
import pytest
import short_sample
from adapters import assert_equal

import har_jax
from har_jax import checksums, config, config_fields, files, nf4, records, runtime, storage
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.recognizer.recognizer import Recognizer
from har_jax.train.objective import Classify

_rounded = jax.jit(lambda kernel: nf4.dequantize(nf4.quantize(kernel)))


def test_an_array_in_the_order_of_fortran_keeps_its_values(tmp_path):
  kernel = np.asfortranarray(np.arange(6.0, dtype=np.float32).reshape(2, 3))
  content = safetensors_io.to_bytes({'kernel': kernel, 'scale': np.float32(2)})
  read = safetensors_io.from_bytes(tmp_path / 'a.safetensors', content)
  np.testing.assert_array_equal(read['kernel'], kernel)
  assert read['scale'].shape == ()


def test_a_saved_base_is_loaded_bit_for_bit(whole, base_card, tiny, tmp_path):
  saved = files.save_base(tmp_path / 'new' / 'base', whole, base_card)
  loaded = files.load_base(str(tmp_path / 'new' / 'base'))
  assert_equal(
    loaded.variables, {path: leaf for path, leaf in whole.items() if path.startswith('params/encoder/')}
  )
  assert loaded.card == saved.card
  entries = records.to_json(loaded.card)
  assert json.loads(json.dumps({name: entries[name] for name in base_card})) == base_card
  assert (loaded.card.rate_hz, loaded.card.window) == (50, 128)
  assert loaded.card.units == ['m/s²'] * 3 + ['rad/s'] * 3
  assert 'one mean and one standard deviation' in loaded.card.normalization
  again = files.make_base(whole, entries | {'har_jax': '0', 'normalization': 'of its own'}).card
  assert (again.har_jax, again.normalization) == (saved.card.har_jax, 'of its own')
  assert loaded.model == tiny
  assert sorted(path.name for path in (tmp_path / 'new' / 'base').iterdir()) == [
    'base.json',
    'base.safetensors',
  ]


@pytest.mark.slow
def test_a_base_with_a_stem_states_physical_units_and_is_packed_with_its_stem(tiny, drawn, tmp_path):
  model = dataclasses.replace(tiny, depth=1, patch_size=4, stem=(8, 16))
  leaves = drawn(Classify(model, 2).init)
  saved = files.save_base(tmp_path, leaves, {'model': config_fields.to_json(model)}, four_bits=True)
  loaded = files.load_base(tmp_path)
  assert_equal(loaded.variables, saved.variables)
  assert loaded.model == model
  assert loaded.card.normalization == 'acceleration in g, rotation in rad/s; no statistics of a dataset'
  kernel = 'params/encoder/embed/down_0/kernel'  # no whole number of blocks
  assert leaves[kernel].size % 64
  np.testing.assert_array_equal(loaded.variables[kernel], _rounded(leaves[kernel]))


def test_a_base_in_four_bits_has_the_kernels_of_qlora(whole, base_card, tmp_path):
  saved = files.save_base(tmp_path / 'four', whole, base_card, four_bits=True)
  loaded = files.load_base(tmp_path / 'four')
  assert_equal(loaded.variables, saved.variables)
  assert loaded.checksum == saved.checksum
  kernel = 'params/encoder/block_0/up/kernel'
  np.testing.assert_array_equal(loaded.variables[kernel], _rounded(whole[kernel]))
  files.save_base(tmp_path / 'whole', whole, base_card)
  sizes = [(tmp_path / name / 'base.safetensors').stat().st_size for name in ('four', 'whole')]
  weights = sum(
    leaf.size for path, leaf in whole.items() if '/encoder/block_' in path and path.endswith('kernel')
  )
  assert sizes[1] - sizes[0] == pytest.approx((4 - 4.5 / 8) * weights, rel=0.1)


@pytest.mark.parametrize(
  ('path', 'change'),
  [
    ('nf4/encoder/block_0/up/scales', None),
    ('nf4/encoder/block_0/up/scales', lambda leaf: leaf[:-1]),
    ('nf4/encoder/block_0/up/codes', lambda leaf: leaf.astype(np.float32)),
    ('params/encoder/block_0/up/bias', None),
    ('params/encoder/block_0/up/bias', lambda leaf: leaf[:0]),
  ],
)
def test_forged_kernels_in_four_bits_are_refused(path, change, whole, base_card, tmp_path):
  card = files.save_base(tmp_path, whole, base_card, four_bits=True).card
  leaves = {
    name: np.asarray(leaf) for name, leaf in safetensors_io.read(tmp_path, 'base', records.Base)[0].items()
  }
  leaf = leaves.pop(path)
  leaves |= {path: change(leaf)} if change else {}
  safetensors_io.write(tmp_path, 'base', leaves, card)  # with the right sums
  with pytest.raises(UserError, match='its kernels in four bits cannot be unpacked'):
    files.load_base(tmp_path)


def test_a_checksum_covers_names_types_shapes_and_bytes():
  leaves = {'one': np.arange(6, dtype=np.float32).reshape(2, 3), 'two': np.float32(1)}
  first = safetensors_io.checksum(leaves)
  assert safetensors_io.checksum(dict(reversed(leaves.items()))) == first
  for other in (
    {'one': leaves['one'], 'three': leaves['two']},
    leaves | {'one': leaves['one'].reshape(3, 2)},
    leaves | {'one': np.nextafter(leaves['one'], 9)},
    leaves | {'one': leaves['one'].view(np.int32)},
  ):
    assert safetensors_io.checksum(other) != first


def test_a_damaged_base_is_refused_by_name(whole, base_card, tmp_path):
  files.save_base(tmp_path, whole, base_card)
  expected = checksums.hash_file(tmp_path / 'base.safetensors')
  content = bytearray((tmp_path / 'base.safetensors').read_bytes())
  content[-5] ^= 1
  (tmp_path / 'base.safetensors').write_bytes(content)
  checksum = checksums.hash_file(tmp_path / 'base.safetensors')
  with pytest.raises(
    UserError, match=rf'base\.safetensors is damaged .* {checksum}, .* {expected}; fetch or write it again'
  ):
    files.load_base(tmp_path)
  (tmp_path / 'base.safetensors').unlink()
  with pytest.raises(UserError, match=r'base\.safetensors cannot be read'):
    files.load_base(tmp_path)
  (tmp_path / 'base.json').write_text('{"format": "har_jax base 0"}')
  with pytest.raises(UserError, match=r"base\.json has the format 'har_jax base 0'"):
    files.load_base(tmp_path)
  (tmp_path / 'base.json').unlink()
  with pytest.raises(UserError, match=r'holds no base: neither base\.json nor'):
    files.load_base(tmp_path)


def test_leaves_of_another_model_are_refused(whole, base_card, tiny):
  wider = config_fields.to_json(dataclasses.replace(tiny, mlp_dim=96))
  with pytest.raises(UserError, match=r'block_0/down/bias|block_0/up/kernel: expected float32\[24, 96\]'):
    files.make_base(whole, base_card | {'model': wider})


@pytest.mark.parametrize(
  ('entries', 'says'),
  [
    ({}, 'missing required field `identity`'),
    ({'step': 10**30}, 'step'),
    ({'step': 2}, 'not one validation is of step 2'),
    ({'history': []}, 'not one validation is of step 1'),
    ({'identity': {'stage': 'unknown', 'windows': {}}}, 'stage'),
  ],
)
def test_a_stage_with_wrong_entries_is_refused(tmp_path, entries, says):
  identity = records.Pretraining(
    model=records.Encoder(),
    dtype='float32',
    training=config.Training(),
    validation=0.1,
    normalize='none',
    windows={},
  )
  stage = records.Stage(
    identity=identity,
    step=1,
    seconds=1.0,
    history=[records.Validation(step=1, loss=0.5)],
    windows=1,
    versions={},
    device=runtime.device(),
  )
  storage.write(tmp_path / 'pretrained.json', msgspec.to_builtins(stage) | entries if entries else {})
  with pytest.raises(UserError, match=rf'pretrained\.json: .*{says}.*; delete its folder and run again'):
    files.load_base(tmp_path)


def test_the_bundled_base_is_redistributable_and_small():
  base = files.bundled_base()
  licenses = {source.archive: source.license for source in base.card.sources}
  assert licenses.keys() == {'motionsense', 'sp_sw_har', 'wisdm', 'dsads'}
  assert all('MIT' in text or 'CC BY 4.0' in text for text in licenses.values())
  assert safetensors_io.checksum(base.variables) == base.checksum
  folder = pathlib.Path(har_jax.__file__).parent / 'assets' / 'base'
  assert sum(path.stat().st_size for path in folder.iterdir()) < 2e6


def test_the_adapter_of_a_bases_own_head_is_calibrated_as_the_base():
  base = files.bundled_base()
  card, names = (
    files.head_adapter(base).card,
    ('classes', 'temperature', 'class_logits', 'set_scores', 'signals'),
  )
  assert [getattr(card, name) for name in names] == [getattr(base.card, name) for name in names]
  assert card.temperature == card.adaptation_temperature != 1


def test_the_bundled_base_recognizes_without_labels():
  recordings = short_sample.read('sample_motionsense', subjects=2)  # of people whom its pretraining has seen
  windows = [np.hstack([part.acc.values, part.gyro.values])[100:228] for part in recordings]
  activities = np.array([part.spans[0].activity for part in recordings])
  recognizer = Recognizer.load()
  predicted = recognizer.predict(np.float32(windows))
  assert set(activities) >= {'walking', 'running', 'sitting', 'standing'}
  assert (predicted == activities).mean() >= 0.75
  assert recognizer.predict_proba(np.float32(windows)).max(axis=1).mean() > 0.5


@pytest.mark.parametrize('classes', [None, ['sitting', 'walking']])
def test_a_model_is_prepared_with_its_seed_and_the_head_that_its_classes_have_in_the_base(
  tiny, drawn, monkeypatch, classes
):
  given = {}
  monkeypatch.setattr(files.base.methods, 'prepare', lambda *args, **named: given.update(named, args=args))
  objective = Classify(tiny, 2)
  card = {'model': config_fields.to_json(tiny), 'classes': ['walking', 'sitting']}
  base = files.make_base(drawn(objective.init), card)
  method = files.base.methods.METHODS['lora']
  settings = files.base.methods.Settings()
  files.prepare(base, objective, method, settings, 7, classes=classes)
  assert given['args'][1:] == (method, settings, 7)
  assert given['init_new'] == objective.init_new
  assert given['pretrained'].keys() == base.encoder.keys() < base.variables.keys()
  assert (given['head'] is None) == (classes is None)

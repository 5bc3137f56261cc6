"""Bases and adapters as files: nothing is lost on the way, and nothing is put together that does not belong together."""

import dataclasses
import errno
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest

import har_jax
from har_jax import config, files, lodo, nf4, peft, results, variables
from har_jax.data import folds
from har_jax.data import windows as store
from har_jax.errors import UserError
from har_jax.files import leaves
from har_jax.train import mesh
from har_jax.train.loop import predict
from har_jax.train.objective import Classify
from har_jax.train.step import compiled_predict
from har_jax.variables import Variables

_CLASSES = ('sitting', 'standing', 'walking', 'running', 'cycling', 'lying')  # as many as PyTorch's model has
_LORA = config.Lora(rank=4, alpha=8.0)
_SIGNAL = (
  np.random.default_rng(0).standard_normal((5, config.WINDOW_SAMPLES, config.CHANNELS)).astype(np.float32)
)


@pytest.fixture(scope='module', autouse=True)
def compiled_fast() -> Iterator[None]:
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


@pytest.fixture(scope='module')
def objective(tiny: config.Model) -> Classify:
  return Classify(tiny, len(_CLASSES))


@pytest.fixture(scope='module')
def whole(objective: Classify, drawn: Callable[[Callable[[jax.Array], Any]], Any]) -> Variables:
  return drawn(objective.init)


@pytest.fixture(scope='module')
def base_card(tiny: config.Model) -> dict[str, Any]:
  return {
    'model': config.to_json(tiny),
    'sources': [{'archive': 'alpha', 'licence': 'none', 'checksum': '0', 'windows': 7}],
    'pretraining': {'steps': 12, 'validation_loss': 0.5},
  }


@pytest.fixture(scope='module')
def base(whole: Variables, base_card: dict[str, Any]) -> files.Base:
  return files.make_base(whole, base_card)


@pytest.fixture(scope='module')
def card_of(tiny: config.Model) -> Callable[..., dict[str, Any]]:
  def card(method: str, lora: config.Lora = _LORA) -> dict[str, Any]:
    return {
      'method': method,
      'rank': lora.rank,
      'alpha': lora.alpha,
      'targets': list(lora.targets),
      'model': config.to_json(tiny),
      'precision': config.to_json(config.Precision()),
      'classes': list(_CLASSES),
      'normaliser': {'mean': [0.1, 0.2], 'deviation': [3.0, 1.0]},
      'metrics': {'validation': {'macro_f1': 0.9, 'accuracy': 0.8}},
    }

  return card


@pytest.fixture(scope='module')
def adapted(tiny: config.Model, whole: Variables) -> Callable[..., Variables]:
  """A method's variables as if trained: all that it may move differs from the base's."""

  def adapt(name: str, seed: int = 1, lora: config.Lora = _LORA) -> Variables:
    experiment, method = config.Experiment(model=tiny, lora=lora), peft.METHODS[name]
    rng = np.random.default_rng(seed)
    held = method.adapt(whole, experiment, jax.random.key(seed))
    return {
      path: leaf + 0.1 * np.abs(rng.standard_normal(leaf.shape)).astype(np.float32)
      if path.startswith('batch_stats/') or method.trains(path, experiment)
      else leaf
      for path, leaf in held.items()
    }

  return adapt


@pytest.fixture(scope='module')
def adapter_of(
  base: files.Base, adapted: Callable[..., Variables], card_of: Callable[..., dict[str, Any]]
) -> Callable[..., files.Adapter]:
  def adapter(name: str, seed: int = 1, lora: config.Lora = _LORA) -> files.Adapter:
    return files.make_adapter(base, adapted(name, seed, lora), card_of(name, lora))

  return adapter


def _equal(given: Variables, expected: Variables) -> None:
  assert variables.difference(expected, given) == ''
  for path, leaf in expected.items():
    np.testing.assert_array_equal(given[path], leaf, err_msg=path)


def _logits(objective: Classify, held: Variables) -> np.ndarray:
  return predict(objective, held, {'signal': _SIGNAL})


# --- bases


def test_a_base_comes_back_bit_for_bit_with_its_card(
  whole: Variables, base_card: dict[str, Any], tiny: config.Model, tmp_path: pathlib.Path
):
  saved = files.save_base(tmp_path / 'new' / 'base', whole, base_card)
  loaded = files.load_base(str(tmp_path / 'new' / 'base'))
  _equal(loaded.variables, {path: leaf for path, leaf in whole.items() if path.startswith('params/encoder/')})
  assert loaded.card == saved.card
  assert loaded.card.items() >= base_card.items()
  assert (loaded.card['rate_hz'], loaded.card['window'], loaded.card['dtype']) == (50, 128, 'float32')
  assert loaded.card['units'] == ['m/s²'] * 3 + ['rad/s'] * 3
  assert 'one mean and one deviation' in loaded.card['normalisation']
  assert loaded.model == tiny
  assert sorted(path.name for path in (tmp_path / 'new' / 'base').iterdir()) == [
    'base.json',
    'base.safetensors',
  ]


def test_a_base_in_four_bits_is_the_one_that_qlora_would_make_of_it(
  whole: Variables, base_card: dict[str, Any], tmp_path: pathlib.Path
):
  saved = files.save_base(tmp_path / 'four', whole, base_card, four_bits=True)
  loaded = files.load_base(tmp_path / 'four')
  _equal(loaded.variables, saved.variables)
  assert loaded.checksum == saved.checksum
  kernel = 'params/encoder/block_0/up/kernel'
  np.testing.assert_array_equal(loaded.variables[kernel], nf4.dequantize(nf4.quantize(whole[kernel])))
  files.save_base(tmp_path / 'whole', whole, base_card)
  sizes = [(tmp_path / name / 'base.safetensors').stat().st_size for name in ('four', 'whole')]
  weights = sum(
    leaf.size for path, leaf in whole.items() if '/encoder/block_' in path and path.endswith('kernel')
  )
  assert sizes[1] - sizes[0] == pytest.approx((4 - 4.5 / 8) * weights, rel=0.1)


def test_a_checksum_is_of_names_types_shapes_and_bytes():
  held = {'one': np.arange(6, dtype=np.float32).reshape(2, 3), 'two': np.float32(1)}
  first = leaves.checksum(held)
  assert leaves.checksum(dict(reversed(held.items()))) == first
  for other in (
    {'one': held['one'], 'three': held['two']},
    held | {'one': held['one'].reshape(3, 2)},
    held | {'one': np.nextafter(held['one'], 9)},
    held | {'one': held['one'].view(np.int32)},
  ):
    assert leaves.checksum(other) != first


def _flip_a_bit(path: pathlib.Path) -> None:
  content = bytearray(path.read_bytes())
  content[-5] ^= 1
  path.write_bytes(content)


def test_a_damaged_base_is_refused_and_says_which(
  whole: Variables, base_card: dict[str, Any], tmp_path: pathlib.Path
):
  saved = files.save_base(tmp_path, whole, base_card)
  _flip_a_bit(tmp_path / 'base.safetensors')
  with pytest.raises(UserError, match=r'base\.safetensors is damaged') as caught:
    files.load_base(tmp_path)
  assert saved.checksum in str(caught.value)
  (tmp_path / 'base.safetensors').write_bytes(b'short')
  with pytest.raises(UserError, match=r'base\.safetensors cannot be read'):
    files.load_base(tmp_path)
  (tmp_path / 'base.json').write_text('{"format": "har_jax base 0"}')
  with pytest.raises(UserError, match=r"base\.json is of the format 'har_jax base 0'; this reads"):
    files.load_base(tmp_path)
  (tmp_path / 'base.json').write_text('{"format": ')
  with pytest.raises(UserError, match=r'base\.json cannot be read'):
    files.load_base(tmp_path)
  (tmp_path / 'base.json').unlink()
  with pytest.raises(UserError, match=r'holds no base: neither base\.json nor'):
    files.load_base(tmp_path)


def test_leaves_of_another_model_are_no_base_of_this_one(
  whole: Variables, base_card: dict[str, Any], tiny: config.Model
):
  wider = config.to_json(dataclasses.replace(tiny, ffn=96))
  with pytest.raises(UserError, match=r'block_0/down/bias|block_0/up/kernel: expected float32\[24, 96\]'):
    files.make_base(whole, base_card | {'model': wider})


def test_a_full_disk_leaves_the_files_as_they_were(
  whole: Variables, base_card: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  before = files.save_base(tmp_path, whole, base_card)
  write = pathlib.Path.write_bytes

  def full(path: pathlib.Path, content: bytes) -> int:
    if '.json' in path.name:
      raise OSError(errno.ENOSPC, 'No space left on device')
    return write(path, content)

  other = {path: 2 * leaf for path, leaf in whole.items()}
  with monkeypatch.context() as patched:
    patched.setattr(pathlib.Path, 'write_bytes', full)
    with pytest.raises(UserError, match='No space left on device'):
      files.save_base(tmp_path, other, base_card)
  _equal(files.load_base(tmp_path).variables, before.variables)
  assert len(list(tmp_path.iterdir())) == 2
  after = files.save_base(tmp_path, other, base_card)
  assert files.load_base(tmp_path).checksum == after.checksum != before.checksum


# --- adapters


@pytest.mark.parametrize('name', peft.METHODS)
def test_what_is_attached_is_what_was_trained_bit_for_bit(
  base: files.Base,
  adapted: Callable[..., Variables],
  adapter_of: Callable[..., files.Adapter],
  name: str,
  tmp_path: pathlib.Path,
):
  files.save_adapter(tmp_path, adapter_of(name))
  loaded = files.load_adapter(tmp_path)
  trained = adapted(name)
  _equal(files.attach(base, loaded), trained)
  assert loaded.card == adapter_of(name).card
  assert loaded.card['base'] == (base.checksum if name != 'scratch' else None)
  assert (loaded.card['temperature'], loaded.card['rate_hz'], loaded.card['window']) == (1.0, 50, 128)
  held = set(loaded.variables)
  of_encoder = {path for path in trained if path.startswith('params/encoder/')}
  assert held & of_encoder == (of_encoder if name in ('full', 'scratch') else set())
  assert not any(path.startswith('nf4/') for path in held)  # packed again from the base
  assert held >= {path for path in trained if path.startswith(('lora', 'params/head/', 'batch_stats/'))}
  np.testing.assert_array_equal(loaded.normaliser.deviation, [3.0, 1.0])


def test_an_adapter_of_another_base_is_refused_with_both_checksums(
  base: files.Base,
  whole: Variables,
  base_card: dict[str, Any],
  adapter_of: Callable[..., files.Adapter],
  tmp_path: pathlib.Path,
):
  path = 'params/encoder/norm/bias'
  other = files.make_base(whole | {path: whole[path] + 1}, base_card)
  for name in ('full', 'probe', 'lora', 'qlora'):
    with pytest.raises(UserError, match='trained on another base') as caught:
      files.attach(other, adapter_of(name))
    assert base.checksum in str(caught.value)
    assert other.checksum in str(caught.value)
  with pytest.raises(UserError, match=f'wants the base with checksum {base.checksum}, and there is none'):
    files.attach(None, adapter_of('lora'))
  files.write_peft(tmp_path, adapter_of('lora'))
  with pytest.raises(UserError, match='trained on another base'):
    files.read_peft(tmp_path, other)
  assert files.attach(None, adapter_of('scratch')).keys() == whole.keys()


def test_an_adapter_that_lacks_something_says_what(
  base: files.Base, adapter_of: Callable[..., files.Adapter], adapted: Callable[..., Variables], card_of: Any
):
  lora = adapter_of('lora')
  path = 'lora/encoder/block_0/up/a'
  short = {name: leaf for name, leaf in lora.variables.items() if name != path}
  with pytest.raises(UserError, match=rf'{path}: expected float32\[24, 4\], given nothing'):
    files.attach(base, dataclasses.replace(lora, variables=short))
  with pytest.raises(UserError, match=r'head/dense_1/bias: expected float32\[5\], given float32\[6\]'):
    files.make_adapter(base, adapted('lora'), card_of('lora') | {'classes': list(_CLASSES[:5])})
  left = {name: entry for name, entry in card_of('lora').items() if name not in ('alpha', 'classes')}
  with pytest.raises(UserError, match='the card lacks alpha, classes'):
    files.make_adapter(base, adapted('lora'), left)
  with pytest.raises(UserError, match="unknown method 'lroa'; one of full, probe"):
    files.make_adapter(base, adapted('lora'), card_of('lroa'))
  with pytest.raises(UserError, match='lora adapts a base'):
    files.make_adapter(None, adapted('lora'), card_of('lora'))


@pytest.mark.parametrize('name', ['lora', 'qlora'])
def test_merged_predicts_the_same_and_attaching_again_unmerges(
  base: files.Base, adapter_of: Callable[..., files.Adapter], objective: Classify, name: str
):
  adapter = adapter_of(name)
  attached = files.attach(base, adapter)
  merged = peft.merge(attached)
  assert {variables.collection(path) for path in merged} == {'params', 'batch_stats'}
  expected = _logits(objective, attached)
  np.testing.assert_allclose(_logits(objective, merged), expected, rtol=0, atol=1e-4 * np.abs(expected).max())
  _equal(files.attach(base, adapter), attached)


def test_adapters_of_one_shape_take_turns_without_compiling_again(
  base: files.Base, adapter_of: Callable[..., files.Adapter], tmp_path: pathlib.Path
):
  for seed in (1, 2):
    files.save_adapter(tmp_path / str(seed), adapter_of('lora', seed))
  adapters = [adapter_of('lora', 3), *(files.load_adapter(tmp_path / str(seed)) for seed in (1, 2))]
  compiled: Any = compiled_predict(adapters[0].objective, mesh.over_all_devices())
  first = _logits(adapters[0].objective, files.attach(base, adapters[0]))
  held = compiled._cache_size()
  assert held >= 1
  others = [_logits(each.objective, files.attach(base, each)) for each in (*adapters[1:], adapters[0])]
  assert compiled._cache_size() == held
  assert not np.allclose(others[0], others[1], atol=1e-3)
  np.testing.assert_array_equal(others[2], first)
  # All are on the one base: its leaves are held once.
  attached = [files.attach(base, each) for each in adapters]
  assert all(each[path] is leaf for each in attached for path, leaf in base.variables.items())


# --- peft's layout


@pytest.mark.parametrize('name', ['lora', 'qlora'])
@pytest.mark.parametrize('targets', [_LORA.targets, ('attention', 'embed')])
def test_pefts_layout_comes_back_bit_for_bit(
  base: files.Base,
  adapter_of: Callable[..., files.Adapter],
  name: str,
  targets: tuple[str, ...],
  tmp_path: pathlib.Path,
):
  adapter = adapter_of(name, lora=config.Lora(4, 6.5, targets))
  files.write_peft(tmp_path, adapter)
  again = files.read_peft(tmp_path, base)
  _equal(again.variables, adapter.variables)
  assert again.card == adapter.card


def test_pefts_layout_has_pytorchs_names_and_shapes(
  adapter_of: Callable[..., files.Adapter], tmp_path: pathlib.Path
):
  adapter = adapter_of('lora')
  files.write_peft(tmp_path, adapter)
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    'adapter_config.json',
    'adapter_model.safetensors',
    'har_jax.json',
  ]
  tensors = leaves.from_file(tmp_path / 'adapter_model.safetensors')
  up = {side: tensors[f'base_model.model.blocks.1.up.lora_{side}.weight'] for side in 'AB'}
  assert (up['A'].shape, up['B'].shape) == ((4, 24), (48, 4))
  np.testing.assert_array_equal(up['A'].T, adapter.variables['lora/encoder/block_1/up/a'])
  assert tensors['base_model.model.head.0.weight'].shape == (16, 24)
  assert tensors['base_model.model.head.4.weight'].shape == (6, 16)
  np.testing.assert_array_equal(
    tensors['base_model.model.head.1.running_var'], adapter.variables['batch_stats/head/norm_0/var']
  )
  peft_config = json.loads((tmp_path / 'adapter_config.json').read_text())
  assert (peft_config['peft_type'], peft_config['r'], peft_config['lora_alpha']) == ('LORA', 4, 8)
  assert peft_config['target_modules'] == sorted(_LORA.targets)
  assert (peft_config['modules_to_save'], peft_config['task_type']) == (['head'], None)


def test_what_pefts_layout_cannot_hold_is_refused(
  base: files.Base, adapter_of: Callable[..., files.Adapter], tmp_path: pathlib.Path
):
  for name in ('full', 'probe', 'scratch'):
    with pytest.raises(UserError, match=f'{name} has no low-rank pairs'):
      files.write_peft(tmp_path, adapter_of(name))
  with pytest.raises(UserError, match='the head is adapted by pairs'):
    files.write_peft(tmp_path, adapter_of('lora', lora=config.Lora(4, 8.0, ('up', 'head'))))
  with pytest.raises(UserError, match=r'har_jax\.json cannot be read'):
    files.read_peft(tmp_path, base)
  files.write_peft(tmp_path, adapter_of('lora'))
  tensors = leaves.from_file(tmp_path / 'adapter_model.safetensors')
  gone = 'base_model.model.blocks.0.key.lora_A.weight'
  del tensors[gone]
  (tmp_path / 'adapter_model.safetensors').write_bytes(leaves.to_bytes(tensors))
  with pytest.raises(UserError, match=f'1 tensors are missing .*{gone}'):
    files.read_peft(tmp_path, base)
  peft_config = json.loads((tmp_path / 'adapter_config.json').read_text()) | {'r': 8}
  (tmp_path / 'adapter_config.json').write_text(json.dumps(peft_config))
  with pytest.raises(UserError, match=r'adapter_config\.json says rank 8, and har_jax\.json 4'):
    files.read_peft(tmp_path, base)


def _torch_name(path: str) -> str:
  """A leaf of the encoder in PyTorch: blocks.1.query.weight of params/encoder/block_1/attention/query/kernel."""
  _, _, *modules, leaf = path.split('/')
  if not modules:
    return leaf
  name = '.'.join(modules).replace('attention.', '').replace('block_', 'blocks.')
  return f'{name}.{"bias" if leaf == "bias" else "weight"}'


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', ['lora', 'qlora'])
def test_pytorchs_model_with_the_adapter_that_peft_loads_gives_our_logits(
  base: files.Base,
  adapter_of: Callable[..., files.Adapter],
  tiny: config.Model,
  name: str,
  tmp_path: pathlib.Path,
):
  torch = pytest.importorskip('torch')
  theirs: Any = pytest.importorskip('peft')
  peers = pytest.importorskip('har_jax.bench.peers')
  adapter = adapter_of(name)
  attached = files.attach(base, adapter)
  # QLoRA's pairs were trained on kernels that four bits hold: PyTorch's model is given these values.
  encoder = {
    path: np.array(leaf)
    for path, leaf in peft.unpack(attached).items()
    if path.startswith('params/encoder/') and not path.endswith('mask_token')
  }
  given = {
    _torch_name(path): torch.tensor(leaf.T if path.endswith('/kernel') else leaf)
    for path, leaf in encoder.items()
  }
  model = peers.Classifier(tiny)
  told = model.load_state_dict(given, strict=False)
  assert not told.unexpected_keys
  assert all(key.startswith('head.') for key in told.missing_keys)
  files.write_peft(tmp_path, adapter)
  loaded = theirs.PeftModel.from_pretrained(model, str(tmp_path)).eval()
  with torch.inference_mode():
    logits = loaded(torch.tensor(_SIGNAL)).numpy()
  np.testing.assert_allclose(logits, _logits(adapter.objective, attached), rtol=1e-4, atol=1e-4)


# --- what har_jax.lodo leaves


_ACTIVITIES = ('walking', 'sitting', 'lying')


def _dataset(name: str, seed: int) -> store.Windows:
  rng = np.random.default_rng(seed)
  windows = [
    store.Window(
      (np.array([0, 0, 9.8, 0, 0, 0]) + (1 + 3 * swing) * rng.standard_normal((128, 6))).astype(np.float32),
      activity,
      f'{name}-{subject}',
      subject,
      0.0,
    )
    for subject in range(4)
    for swing, activity in enumerate(_ACTIVITIES)
    for _ in range(5)
  ]
  return store.gather(
    windows, {'archive': name, 'position': 'waist', 'checksum': f'sum of {name}', 'code_version': '0'}
  )


@pytest.fixture(scope='module')
def study(tiny: config.Model, tmp_path_factory: pytest.TempPathFactory) -> lodo.Study:
  folder = tmp_path_factory.mktemp('lodo')
  for seed, name in enumerate(('alpha', 'hapt')):
    store.save(_dataset(name, seed), folder / 'windows' / name)
  return lodo.Study(
    windows=folder / 'windows',
    out=folder / 'out',
    # Of shapes that tests/lodo compile too.
    experiment=config.Experiment(
      model=dataclasses.replace(tiny, blocks=1),
      lora=config.Lora(rank=4, alpha=8.0, targets=('query', 'up', 'head')),
      protocol=config.Protocol(validation_share=0.2),
      pretrain=config.Training(max_steps=4, batch=32, evaluations=2),
      finetune=config.Training(max_steps=6, batch=16, evaluations=3),
    ),
    targets=('alpha',),
    methods=('lora', 'scratch'),
    seeds=(3,),
  )


@pytest.fixture(scope='module')
def runs(study: lodo.Study) -> dict[str, tuple[pathlib.Path, dict[str, Any]]]:
  return {result['identity']['method']: (path, result) for path, result in lodo.run(study, progress=False)}


def test_a_pretrainings_folder_is_a_base(study: lodo.Study, runs: dict[str, Any], tmp_path: pathlib.Path):
  folder = study.out / 'alpha' / 'pretrain'
  base = files.load_base(folder)
  _equal(base.variables, lodo.pretrained_encoder(study, 'alpha', 0, may_train=False))
  (source,) = base.card['sources']
  assert (source['archive'], source['checksum'], source['windows']) == ('hapt', 'sum of hapt', 60)
  assert 'no commercial use' in source['licence']
  done = results.read(folder / 'pretrained.json')
  assert base.card['pretraining']['steps'] == done['step']
  assert base.card['pretraining']['validation_loss'] in [entry['loss'] for entry in done['history']]
  assert (base.model.ffn, base.model.blocks) == (48, 1)
  files.save_base(tmp_path, base.variables, base.card)
  assert files.load_base(tmp_path).card == base.card


@pytest.mark.parametrize('name', ['lora', 'scratch'])
def test_a_runs_adapter_predicts_what_its_result_says(study: lodo.Study, runs: dict[str, Any], name: str):
  path, result = runs[name]
  base, adapter = files.load_run(path)
  assert (base is None) == (name == 'scratch')
  data = folds.target_windows(study.windows, 'alpha', study.experiment.protocol, 3)
  predicted = predict(adapter.objective, files.attach(base, adapter), data.test).argmax(axis=1)
  confusion = np.zeros((3, 3), int)
  np.add.at(confusion, (data.test['label'], predicted), 1)
  assert confusion.tolist() == result['test']['confusion']
  assert adapter.card['classes'] == result['data']['classes']
  raw = np.array(store.load(study.windows / 'alpha').signals)
  assert any(np.array_equal(adapter.normaliser(raw)[i], data.test['signal'][0]) for i in range(len(raw)))


@pytest.mark.parametrize('asked', [{'unlabelled_steps': 2}, {'unlabelled_steps': 2, 'source_label_steps': 2}])
def test_a_run_whose_pretraining_went_on_is_read_with_what_it_started_from(
  study: lodo.Study, runs: dict[str, Any], asked: dict[str, int], tmp_path: pathlib.Path
):
  protocol = dataclasses.replace(study.experiment.protocol, **asked)
  experiment = dataclasses.replace(study.experiment, protocol=protocol)
  gone_on = dataclasses.replace(
    study, out=tmp_path, pretrained=study.out, methods=('lora',), experiment=experiment
  )
  ((path, result),) = lodo.run(gone_on, progress=False)
  base, adapter = files.load_run(path)
  assert base is not None
  began_with = lodo.pretrained_encoder(gone_on, 'alpha', 3, may_train=False)
  assert base.variables.keys() == {path for path in began_with if path.startswith('params/encoder/')}
  _equal(base.variables, {path: began_with[path] for path in base.variables})
  assert {source['archive'] for source in base.card['sources']} == {'alpha', 'hapt'}
  assert ('classes' in base.card['pretraining']) == ('source_label_steps' in asked)
  data = folds.target_windows(study.windows, 'alpha', protocol, 3)
  predicted = predict(adapter.objective, files.attach(base, adapter), data.test).argmax(axis=1)
  confusion = np.zeros((3, 3), int)
  np.add.at(confusion, (data.test['label'], predicted), 1)
  assert confusion.tolist() == result['test']['confusion']


def test_a_run_that_is_none_says_so(study: lodo.Study, runs: dict[str, Any]):
  with pytest.raises(UserError, match=r'pretrained\.json is no result of a run'):
    files.load_run(study.out / 'alpha' / 'pretrain' / 'pretrained.json')


def test_the_base_that_comes_with_the_package_may_be_given_away_and_is_small():
  base = files.shipped_base()
  assert [(source['archive'], source['licence'][:3]) for source in base.card['sources']] == [
    ('motionsense', 'MIT')
  ]
  assert leaves.checksum(base.variables) == base.checksum
  folder = pathlib.Path(har_jax.__file__).parent / 'assets' / 'motionsense'
  assert sum(path.stat().st_size for path in folder.iterdir()) < 2e6

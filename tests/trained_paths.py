"""What each method trains and keeps in a file, said once more, in other words than the package's."""

import re
from collections.abc import Iterable

import toy_method

_HEAD = r'params/head/(dense_[01]/(kernel|bias)|norm_0/(scale|bias))'
_BLOCK_LAYER = r'encoder/block_\d/(attention/(query|key|value|output)|up|down)'
_LAYER = rf'({_BLOCK_LAYER}|encoder/embed)'
# Method → the paths that it trains of a patch model of two blocks, the head apart, and how many they are: six
# layers a block and one that embeds, two norms a block and one at the end. Over four bits, the same.
TRAINED = {
  'full': (r'params/.*', 38),  # with the mask token and the positions
  'scratch': (r'params/.*', 38),
  'probe': ('', 0),
  'linear': ('', 0),
  'side': ('params/side_encoder/.*', 2 + 2 + 2),  # of no block, with mask token and positions
  'bitfit': (rf'params/({_LAYER}|encoder/block_\d/norm_(attention|ffn)|encoder/norm)/bias', 13 + 5),
  'norm': (r'params/encoder/(block_\d/norm_(attention|ffn)|norm)/(scale|bias)', 2 * 5),
  'partial': (r'params/encoder/(block_1/.*|norm/(scale|bias))', 2 * (6 + 2) + 2),
  'ia3': (r'ia3/encoder/block_\d/(attention/(key|value)/output|down/input)', 2 * 3),
  'prompt': (r'prompt/encoder/block_\d/tokens', 2),
  'adapter': (r'adapter/encoder/block_\d/(attention/output|down)/(down|down_bias|up|up_bias)', 2 * 2 * 4),
  'pfeiffer': (r'adapter/encoder/block_\d/down/(down|down_bias|up|up_bias)', 2 * 4),
  'vera': (rf'vera/{_LAYER}/[db]', 13 * 2),
  'lora': (rf'lora/{_LAYER}/[ab]', 13 * 2),
  'adalora': (rf'adalora/{_LAYER}/[aeb]', 13 * 3),
  'dora': (rf'lora/{_LAYER}/[ab]|dora/{_LAYER}/magnitude', 13 * 3),
  toy_method.NAME: (rf'gain/{_BLOCK_LAYER}/value', 12),
}
# Collections in a file, besides those of the plain model.
STORED = {
  **{name: {name} for name in ('ia3', 'prompt', 'adapter', 'vera', 'gain')},
  **{'pfeiffer': {'adapter'}, 'lora': {'lora', 'lora_scale'}, 'adalora': {'adalora', 'adalora_scale'}},
  'dora': {'lora', 'lora_scale', 'dora'},
}
# The type of each method that peft knows, in peft's configuration.
PEFT_TYPES = {'ia3': 'IA3', 'vera': 'VERA', 'lora': 'LORA', 'adalora': 'ADALORA', 'dora': 'LORA'}


def select(name: str, paths: Iterable[str]) -> set[str]:
  """The paths that a method trains, by the table; a name that begins with a q is that of its float form."""
  return {path for path in paths if re.fullmatch(f'{_HEAD}|{TRAINED[float_form(name)][0]}', path)}


def count(name: str) -> int:
  """How many paths of the encoder a method trains."""
  return TRAINED[float_form(name)][1]


def peft_type(name: str) -> str:
  assert float_form(name) in PEFT_TYPES, f'add {name} to PEFT_TYPES'
  return PEFT_TYPES[float_form(name)]


def float_form(name: str) -> str:
  found = name if name in TRAINED else name.removeprefix('q')
  assert found in TRAINED, f'add a line to TRAINED that says which paths {name} trains'
  return found

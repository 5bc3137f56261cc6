"""Sentences about several files, each once."""

import collections
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from har_jax.errors import shorten

# Not a part of a name, a date, a time of day or a version.
_NUMBER = re.compile(r'(?<![\w:.,/-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w:/-]|[.,]\d)')
_MOST_ALIKE = 3  # files that differ in numbers alone, and have a line each


def gather(sentences_of: Mapping[str, Sequence[str]], *, named: bool, of: str = 'files') -> Iterator[str]:
  """Each sentence once; if `named`, after the files that it is about, or after the number of all files.

  Sentences of many files that differ in numbers alone are one, with the range of each number.
  """
  alike: dict[str, dict[str, dict[str, None]]] = {}  # form → sentence → files, each once, in order
  for file, sentences in sentences_of.items():
    for sentence in sentences:  # both sensors may give the same one
      form = _NUMBER.sub('0', sentence)
      alike.setdefault(form, collections.defaultdict(dict))[sentence][file] = None
  for files_of in alike.values():
    every = dict.fromkeys(file for files in files_of.values() for file in files)
    if named and len(files_of) > 1 and len(every) > _MOST_ALIKE:
      yield f'{_about(every, sentences_of, of)}: {_with_ranges([*files_of])}'
      continue
    for sentence, files in files_of.items():
      yield f'{_about(files, sentences_of, of)}: {sentence}' if named else sentence


def _about(names: Collection[str], every: Collection[str], of: str) -> str:
  return f'All {len(every)} {of}' if len(names) == len(every) > 1 else shorten(', '.join(names))


def _with_ranges(sentences: Sequence[str]) -> str:
  """The sentence, with smallest–largest in place of each number."""
  numbers = zip(*(_NUMBER.findall(sentence) for sentence in sentences), strict=True)
  ranges = map(_range, numbers)
  return _NUMBER.sub(lambda _: next(ranges), sentences[0])


def _range(numbers: Iterable[str]) -> str:
  by_value = sorted(numbers, key=lambda number: float(number.replace(',', '')))
  return '–'.join(dict.fromkeys([by_value[0], by_value[-1]]))

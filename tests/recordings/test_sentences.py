"""Sentences about several files, each once."""

import pytest

from har_jax.recordings import sentences


def gathered(*of_files: list[str]) -> list[str]:
  names = ['ana', 'ben', 'eva', 'tom']
  return [*sentences.gather(dict(zip(names, of_files, strict=False)), named=True)]


def rate(hz: str, most_ms: str) -> str:
  return f'The rate is {hz} Hz, steps from 9 to {most_ms} ms.'


@pytest.mark.parametrize(
  ('of_files', 'expected'),
  [
    ([['one'], ['one'], ['two']], ['ana, ben: one', 'eva: two']),
    ([['one', 'one'], ['one']], ['All 2 files: one']),
    ([['one']], ['ana: one']),
    # Three files that differ have a line each, four have one.
    ([[rate('1', '9')], [rate('2', '9')], [rate('3', '9')]],
     [f'ana: {rate("1", "9")}', f'ben: {rate("2", "9")}', f'eva: {rate("3", "9")}']),
    ([[rate('50', '1,010')], ['pause'], [rate('9.5', '20.5')], [rate('100', '21')]],
     [f'ana: {rate("50", "1,010")}', f'eva: {rate("9.5", "20.5")}', f'tom: {rate("100", "21")}',
      'ben: pause']),
    ([[rate('50', '1,010')], [rate('9.5', '20.5'), 'pause'], [rate('100', '21')], [rate('50', '1,010')]],
     [f'All 4 files: {rate("9.5–100", "20.5–1,010")}', 'ben: pause']),
    # What is no number by itself has no range.
    ([['At 10:31 of day1'], ['At 10:32 of day1'], ['At 10:31 of day2'], ['At 10:31 of 2026-11-01']],
     ['ana: At 10:31 of day1', 'ben: At 10:32 of day1', 'eva: At 10:31 of day2',
      'tom: At 10:31 of 2026-11-01']),
  ],
)  # fmt: skip
def test_a_sentence_about_many_files_is_given_once_with_the_range_of_its_numbers(of_files, expected):
  assert gathered(*of_files) == expected


def test_of_one_source_no_file_is_named():
  assert [*sentences.gather({'day.csv': ['one', 'two', 'one']}, named=False)] == ['one', 'two']

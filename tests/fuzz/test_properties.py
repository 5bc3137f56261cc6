"""Properties of what guards the readers and the outputs, over inputs that hypothesis makes up."""

import contextlib
import csv
import io
import pathlib
import string
import sys
import tempfile
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from har_jax import escaping
from har_jax.archives.source import Source
from har_jax.errors import UserError, shorten

settings.register_profile('fast', max_examples=100, deadline=None, derandomize=True, database=None)
settings.load_profile('fast')
# Not those of `some.characters`, whose tables of Unicode take seconds to make.
_ANY = some.sampled_from(string.printable) | some.integers(0, sys.maxunicode).map(chr)


@pytest.mark.slow
@given(some.text(_ANY), some.integers(1, 50))
def test_a_shortened_value_is_short_printable_and_starts_as_the_value(text, limit):
  shown = shorten(text, limit)
  assert shown.isprintable()
  assert len(shown) <= limit + len(f'… ({len(text):,} characters)')
  if text.isprintable():
    assert shown[:limit] == text[:limit]


@given(some.sampled_from(['', *'=+-@\t\r']), some.text(_ANY))
def test_a_cell_is_no_formula_and_comes_back_from_csv(first, text):
  text = first + text
  written = io.StringIO(newline='')
  csv.writer(written).writerow([escaping.csv_cell(text), 'end'])
  (cell, _), *_ = csv.reader(io.StringIO(written.getvalue(), newline=''))
  assert cell in (text, f"'{text}")
  if cell.startswith(tuple('=+-@\t\r')):
    float(cell)  # no number would be a formula


@given(some.text(_ANY.filter(lambda letter: letter not in '<&')))
def test_any_text_is_well_formed_xml(text):
  ElementTree.fromstring(f'<a>{escaping.xml_text(text)}</a>'.encode())


@given(some.binary(max_size=300), some.integers(0, 60))
def test_any_bytes_are_a_zip_or_refused(content, tail):
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'a.zip'
    path.write_bytes(content + (b'PK\x05\x06' + bytes(18))[:tail])
    with contextlib.suppress(UserError):
      assert Source(path).names == []

"""A user's text stays text in a spreadsheet, a picture and a page."""

import pytest

from har_jax import escaping


@pytest.mark.parametrize('text', ['=1+1', '+cmd', '-run', '@sum', '\t=1', '\r=1', '-', '=HYPERLINK("x")'])
def test_a_formula_gets_an_apostrophe(text):
  assert escaping.csv_cell(text) == f"'{text}"


@pytest.mark.parametrize('text', ['walking', '-0.5', '+1e-3', '-inf', '', "'=1", '1=0.95 2=0.9'])
def test_numbers_and_words_stay_as_they_are(text):
  assert escaping.csv_cell(text) == text


def test_xml_has_no_control_characters_and_no_halves_of_a_character():
  assert escaping.xml_text('a\x00\x1b\ud800\ufffe\n\tb😀') == 'a\ufffd\ufffd\ufffd\ufffd\n\tb😀'


def test_markdown_shows_tags_and_keeps_numbers():
  assert (
    escaping.markdown_text('<script>x</script> <0.01 <!-- -->') == r'\<script>x\</script> <0.01 \<!-- -->'
  )


def test_a_cell_stays_in_its_column():
  assert escaping.markdown_cell('a|b\nc [x](javascript:y)') == r'a\|b c [x]\(javascript:y)'

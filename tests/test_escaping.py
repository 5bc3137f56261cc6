"""A user's text stays text in a spreadsheet, a picture and a page."""

import pytest

from har_jax import escaping


@pytest.mark.parametrize('text', ['=1+1', '+cmd', '-run', '@sum', '\t=1', '\r=1', '-', '=HYPERLINK("x")'])
def test_a_formula_gets_an_apostrophe(text):
  assert escaping.csv_cell(text) == f"'{text}"


@pytest.mark.parametrize(
  ('escape', 'text', 'escaped'),
  [
    *(
      (escaping.csv_cell, same, same)
      for same in ('walking', '-0.5', '+1e-3', '-inf', '', "'=1", '1=0.95 2=0.9')
    ),
    (escaping.xml_text, 'a\x00\x1b\ud800\ufffe\n\tb😀', 'a\ufffd\ufffd\ufffd\ufffd\n\tb😀'),
    (escaping.markdown_text, '<script>x</script> <0.01 <!-- -->', r'\<script>x\</script> <0.01 \<!-- -->'),
    (escaping.markdown_cell, 'a|b\nc [x](javascript:y)', r'a\|b c [x]\(javascript:y)'),
  ],
)
def test_text_stays_in_its_place_and_is_no_code(escape, text, escaped):
  assert escape(text) == escaped

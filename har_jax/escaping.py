"""Text of a user, such as names of activities and files, in CSV, SVG and Markdown: it stays text."""

import re

# Characters that XML 1.0 does not allow; surrogates cannot be written as UTF-8 either.
_NO_XML = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')
_FORMULA = ('=', '+', '-', '@', '\t', '\r')
# An opening bracket that starts a tag. That of '<0.01' does not.
_TAG = re.compile(r'<(?=[a-zA-Z/!?])')


def csv_cell(text: str) -> str:
  """A cell that no spreadsheet takes for a formula: with an apostrophe before it, unless it is a number.

  Source: OWASP, CSV injection.
  """
  if not text.startswith(_FORMULA):
    return text
  try:
    float(text)
  except ValueError:
    return f"'{text}"
  return text


def xml_text(text: str) -> str:
  """Characters that no XML file may hold become U+FFFD. Does not escape < and &."""
  return _NO_XML.sub('\ufffd', text)


def markdown_text(text: str) -> str:
  """Markdown without HTML: a tag shows as it is written."""
  return _TAG.sub(r'\\<', xml_text(text))


def markdown_cell(text: str) -> str:
  """A cell of a table: in one line, without a column's edge and without a link."""
  return ' '.join(text.split()).replace('|', r'\|').replace('](', r']\(')

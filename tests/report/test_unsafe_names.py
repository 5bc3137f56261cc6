"""Names in result files are text: no tag of HTML, no column of a table, no formula of a spreadsheet."""

from report_rows import runs

from har_jax.report import frame, tables

TARGET = '<script>alert(1)</script>|a'


def test_a_table_shows_a_tag_and_keeps_its_columns(result):
  text = tables.text(runs([result(target=TARGET)]))
  assert '<script' not in text.replace(r'\<', '')
  rows = [line for line in text.splitlines() if 'alert(1)' in line and line.startswith('|')]
  assert rows
  assert all(r'\<script>alert(1)\</script>\|a' in row for row in rows)


def test_a_formula_in_the_table_of_runs_gets_an_apostrophe(result, tmp_path):
  frame.to_csv(runs([result(target='=1+1')]), tmp_path / 'runs.csv')
  assert ",'=1+1," in (tmp_path / 'runs.csv').read_text()

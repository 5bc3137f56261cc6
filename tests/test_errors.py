"""Tests of messages: whatever a file holds, they stay short and printable."""

import pytest

from har_jax.errors import UserError, counted, often, shorten


@pytest.mark.parametrize(
  ('value', 'shown'),
  [
    ('Größe 3 µm', 'Größe 3 µm'),
    (1.5, '1.5'),
    ('x' * 200, 'x' * 200),
    ('x' * 5_000_000, 'x' * 200 + '… (5,000,000 characters)'),
    ('a\x1b[2J\x00\nb', r'a\x1b[2J\x00\nb'),
  ],
)
def test_a_value_is_shown_as_it_is_but_short_and_printable(value, shown):
  assert shorten(value) == shown


@pytest.mark.parametrize('text', ['y' * 100_000, '\x00' * 100_000, 'a b ' * 100_000])
def test_no_error_message_is_long(text):
  assert len(str(UserError(f'file.csv has columns {text}'))) < 2100
  assert str(UserError('y' * 2000)) == 'y' * 2000
  assert str(UserError('y' * 2001)).endswith('y… (2,001 characters)')


def test_one_of_a_word_is_singular():
  assert [counted(count, 'row') for count in (0, 1, 2)] == ['0 rows', '1 row', '2 rows']
  assert [counted(count, 'activity', 'activities') for count in (1, 3)] == ['1 activity', '3 activities']
  assert [often(count) for count in (1, 2)] == ['once', '2 times']


def test_an_error_message_keeps_its_lines():
  assert str(UserError('differs:\n  a: 1')) == 'differs:\n  a: 1'

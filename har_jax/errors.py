"""Exceptions whose message is shown to the user without a traceback."""

import errno
import importlib.util

_VALUE_CHARACTERS = 200
_MESSAGE_CHARACTERS = 2000


class UserError(Exception):
  """Invalid input. The message says what it was, what is valid and what to do.

  A message is at most 2,000 printable characters, whatever a file put into it.
  """

  def __init__(self, message: object):
    super().__init__(shorten(message, _MESSAGE_CHARACTERS, keep='\n'))


class Terminated(KeyboardInterrupt):
  """SIGTERM, for a command that saves no state: it ends as by Ctrl-C."""


class Stopped(Exception):
  """A run was stopped and saved itself; the same command resumes it. The message names the step."""


def shorten(value: object, limit: int = _VALUE_CHARACTERS, *, keep: str = '') -> str:
  """A value of a file as a message shows it: cut after `limit` characters, control characters escaped.

  The characters in `keep` stay as they are. What was cut off is counted.
  """
  text = str(value)
  if len(text) <= limit and text.isprintable():
    return text
  shown = ''.join(
    character if character in keep or character.isprintable() else ascii(character)[1:-1]
    for character in text[:limit]
  )
  if max(len(text), len(shown)) <= limit:
    return shown
  return f'{shown[:limit]}… ({len(text):,} characters)'


def counted(count: int, word: str, plural: str = '') -> str:
  """A number and its word: 1 row, 2 rows."""
  return f'{count} {word if count == 1 else plural or word + "s"}'


def often(count: int) -> str:
  """Says how often: once, 2 times."""
  return 'once' if count == 1 else counted(count, 'time')


def require(package: str, sentence: str) -> None:
  """Raises UserError with the sentence if an optional package is not installed."""
  if importlib.util.find_spec(package) is None:
    raise UserError(sentence)


def advice(error: OSError) -> str:
  """What a user can do where a file cannot be written."""
  if error.errno in (errno.ENOSPC, errno.EDQUOT):
    return 'free some space'
  if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
    return 'check the permissions, or give another --out'
  if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY):
    return 'something else is in the way: move it, or give another --out'
  return 'give another --out'

"""The one exception that a user may see without a traceback."""


class UserError(Exception):
  """Something the user gave does not fit: the message says what was given, what holds and what to do."""

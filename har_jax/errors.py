"""The exceptions that a user may see without a traceback."""


class UserError(Exception):
  """Something the user gave does not fit: the message says what was given, what holds and what to do."""


class Stopped(Exception):
  """A run was told to end and saved itself: the same command goes on from there. The message says which and where."""

"""Exceptions whose message is shown to the user without a traceback."""


class UserError(Exception):
  """Invalid input. The message says what it was, what is valid and what to do."""


class Stopped(Exception):
  """A run was stopped and saved itself; the same command resumes it. The message names the step."""

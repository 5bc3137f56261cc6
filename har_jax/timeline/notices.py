"""Sentences on a recording, passed on as soon as they are known."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Literal

Tell = Callable[[Literal['note', 'warning'], str], None]


@dataclasses.dataclass
class Notices:
  """What was inferred from a recording, and what is doubtful. `tell` is called with each new sentence."""

  tell: Tell | None = None
  notes: list[str] = dataclasses.field(default_factory=list)
  warnings: list[str] = dataclasses.field(default_factory=list)

  def note(self, sentences: Iterable[str]) -> None:
    self._add('note', self.notes, sentences)

  def warn(self, sentences: Iterable[str]) -> None:
    self._add('warning', self.warnings, sentences)

  def _add(self, kind: Literal['note', 'warning'], said: list[str], sentences: Iterable[str]) -> None:
    for sentence in sentences:
      said.append(sentence)
      if self.tell is not None:
        self.tell(kind, sentence)

"""The log of a training run: progress bar, JSON lines and, with the extra `report`, TensorBoard events."""

import json
import math
import os
import pathlib
import tempfile
import time
from typing import Any

import tqdm

from har_jax import replacing, storage
from har_jax.storage import Place

_BAR = '{desc}: {percentage:3.0f}%|{bar}|{postfix}, {rate_fmt} [{elapsed}<{remaining}]'
_LINES = 100  # of the training loss, approximately, however long the run


class Log:
  """The log of one run, in its folder. A resumed run drops the lines after the step it resumes from.

  A `silent` log writes and shows nothing, because another process does; without a folder, it only shows the
  bar. Buckets cannot append to a file: there the log is written locally and copied after each validation and
  at the end.
  """

  def __init__(
    self,
    folder: Place | None,
    *,
    title: str,
    steps: int,
    resumed: int,
    batch: int,
    progress: bool,
    silent: bool,
  ):
    has_files = folder is not None and not silent
    folder = folder or pathlib.Path(os.devnull).parent
    self._bucket = folder if storage.is_bucket(folder) else None
    self._scratch = tempfile.TemporaryDirectory() if storage.is_bucket(folder) else None
    self._folder = folder if self._scratch is None else pathlib.Path(self._scratch.name)
    self._path = self._folder / 'log.jsonl' if has_files else pathlib.Path(os.devnull)
    if self._bucket is not None and (self._bucket / 'log.jsonl').exists():
      self._path.write_bytes((self._bucket / 'log.jsonl').read_bytes())
    lines = self._path.read_text(errors='replace') if self._path.exists() else ''
    earlier = ''.join(line for line in lines.splitlines(keepends=True) if _read_step(line) <= resumed)
    if earlier != lines:
      replacing.write({self._path: earlier.encode()})
    self._events = _event_file(self._folder, resumed) if has_files else None
    self._bar = tqdm.tqdm(
      total=steps * batch,
      initial=resumed * batch,
      desc=title,
      unit='w',
      unit_scale=True,
      disable=silent or not progress,
      bar_format=_BAR,
      leave=None,  # not below the bar of other jobs, which --jobs places by TQDM_POSITION
    )
    figures = f': 100%, step {steps}/{steps}, loss 10.000, 9.99kw/s [00:00<00:00]'
    if (width := getattr(self._bar, 'ncols', None)) and len(title) + len(figures) > width:
      # On a narrow terminal, tqdm would cut the line's end, which is what moves.
      self._bar.bar_format = _BAR.replace('|{bar}|', '')
      self._bar.set_description_str(f'{title[: max(width - len(figures) - 1, 0)]}…', refresh=False)
    self._bar.set_postfix_str('compiling')
    self._is_compiling = True
    self._batch, self._steps = batch, steps
    self._every = math.ceil(steps / _LINES)
    self._started = time.monotonic()

  def step(self, step: int, loss: float) -> None:
    if self._is_compiling:
      self._is_compiling = False
      self._bar.unpause()  # the rate and the time left do not count it
    self._bar.set_postfix_str(f'step {step}/{self._steps}, loss {loss:.3f}', refresh=False)
    self._bar.update(self._batch)
    if step % self._every == 0:
      self._write(step, {'loss': loss})

  def validation(self, step: int, metrics: dict[str, float]) -> None:
    self._write(step, {f'validation_{name}': value for name, value in metrics.items() if name != 'score'})
    if self._events is not None:
      self._events.flush()
    self._copy()

  def _write(self, step: int, values: dict[str, float]) -> None:
    entry = {'step': step, **values, 'seconds': round(time.monotonic() - self._started, 3)}
    with self._path.open('a') as file:
      file.write(json.dumps(entry) + '\n')
    if self._events is not None:
      for name, value in values.items():
        self._events.add_scalar(name, value, step)

  def close(self) -> None:
    self._bar.close()
    if self._events is not None:
      self._events.close()
    self._copy()
    if self._scratch is not None:
      self._scratch.cleanup()

  def _copy(self) -> None:
    if self._bucket is not None:
      for path in self._folder.iterdir():
        (self._bucket / path.name).write_bytes(path.read_bytes())


def _event_file(folder: pathlib.Path, resumed: int) -> Any:
  """TensorBoard's file of events; None where tensorboardX is not installed."""
  try:
    import tensorboardX
  except ImportError:
    return None
  return tensorboardX.SummaryWriter(str(folder), purge_step=resumed + 1 if resumed else None)


def _read_step(line: str) -> float:
  """A line's step. A damaged line, such as an incomplete last one, counts as later than any step."""
  try:
    return int(json.loads(line)['step'])
  except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
    return math.inf

"""What a run says while it goes on: a progress bar, JSON lines and TensorBoard events."""

import json
import math
import pathlib
import time

import tensorboardX
import tqdm

_LINES = 100  # about so many of the training loss, however long the run


class Log:
  """The log of one run, in its folder. A resumed run drops the lines after the step it resumes from."""

  def __init__(
    self, folder: pathlib.Path, *, title: str, steps: int, resumed: int, batch: int, progress: bool
  ):
    self._path = folder / 'log.jsonl'
    kept = self._path.read_text().splitlines(keepends=True) if self._path.exists() else []
    self._path.write_text(''.join(line for line in kept if _step_of(line) <= resumed))
    self._events = tensorboardX.SummaryWriter(str(folder), purge_step=resumed + 1 if resumed else None)
    self._bar = tqdm.tqdm(
      total=steps * batch,
      initial=resumed * batch,
      desc=title,
      unit='w',
      unit_scale=True,
      disable=not progress,
    )
    self._batch = batch
    self._every = math.ceil(steps / _LINES)
    self._started = time.monotonic()

  def step(self, step: int, loss: float) -> None:
    self._bar.update(self._batch)
    if step % self._every == 0:
      self._bar.set_postfix(loss=f'{loss:.3f}', refresh=False)
      self._write(step, {'loss': loss})

  def validation(self, step: int, measured: dict[str, float]) -> None:
    self._write(step, {f'validation_{name}': value for name, value in measured.items() if name != 'score'})

  def _write(self, step: int, values: dict[str, float]) -> None:
    entry = {'step': step, **values, 'seconds': round(time.monotonic() - self._started, 3)}
    with self._path.open('a') as file:
      file.write(json.dumps(entry) + '\n')
    for name, value in values.items():
      self._events.add_scalar(name, value, step)

  def close(self) -> None:
    self._bar.close()
    self._events.close()


def _step_of(line: str) -> int:
  """A line's step; a torn last line of a killed run counts as later than any."""
  try:
    return json.loads(line)['step']
  except (json.JSONDecodeError, KeyError, TypeError):
    return 1 << 62

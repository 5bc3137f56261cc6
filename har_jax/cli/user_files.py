"""A user's recordings, recognizers and folders: their flags, and one rule for all commands."""

import difflib
import sys
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from absl import flags

from har_jax.cli import command
from har_jax.cli.command import HELP
from har_jax.errors import UserError, shorten

if TYPE_CHECKING:
  from har_jax.datasets.datasets import Dataset


def check_given(flag: str, text: str | None) -> None:
  """Raises UserError where a flag names a folder or file that does not exist, with the nearest one."""
  from har_jax import storage

  if text is None or (place := storage.place(text)).exists():
    return
  names = [path.name for path in place.parent.iterdir()] if place.parent.is_dir() else []
  near = difflib.get_close_matches(place.name, names, 1)
  hint = f'; did you mean {place.parent / near[0]}?' if near else ''
  raise UserError(f'--{flag}={shorten(text)}: no such folder or file{hint}')


def define_adapter(values: flags.FlagValues) -> Callable[[], tuple[str | None, str | None]]:
  """Defines --adapter and --base; returns a function that reads them, and refuses what is not there."""
  define = command.definer(values)
  adapter = define('adapter')
  base = define('base', None, f'{HELP["base"]} (default: the base that was saved with --adapter)')

  def read() -> tuple[str | None, str | None]:
    check_given('adapter', adapter.value)
    check_given('base', base.value)
    return adapter.value, base.value

  return read


def warn_of_known_people(card: Any, datasets: 'Collection[Dataset]') -> None:
  """Warns where the base of this card was pretrained on these datasets: nobody of them is unseen."""
  sources = {source.archive for source in card.sources}
  if names := [dataset.name for dataset in datasets if dataset.people & sources]:
    print(
      f'warning: the base was pretrained on people of {", ".join(names)}, so none of them is unseen',
      file=sys.stderr,
    )


def define_recording(
  values: flags.FlagValues, without_labels: str = '<recording>.labels.csv, or a label column of the recording'
) -> Callable[[], tuple[str, dict[str, Any]]]:
  """Defines --recording and the flags around it; returns a function that checks them.

  It returns the path, and the other arguments of `recognize` and `adapt`, which print what is inferred.
  without_labels: what is done by default.
  """
  define = command.definer(values)
  recording = define(
    'recording', None, 'what the app exported: a file, a zip or a folder (docs/formats.md lists the formats)'
  )
  columns = define(
    'columns',
    [],
    'names of columns that are not inferred, as role=column; roles: time, ax, ay, az, gx, gy, gz, label',
  )
  options = command.define_table(
    values,
    labels=(
      None,
      f'labels of the recording: CSV with columns start, end, activity (default: {without_labels})',
    ),
    acc_unit=('auto', 'unit of acceleration: auto, m/s2, g or mg'),
    gyro_unit=('auto', 'unit of angular velocity: auto, rad/s, deg/s or mdeg/s'),
    time_unit=('auto', 'unit of time: auto, s, ms, us, ns or iso'),
    rate_hz=(None, 'sampling rate of a recording without a time column', float),
    time_zone=(
      '',
      'time zone of times that do not say it, and of the timeline, such as Europe/Berlin (default: that of '
      'the export, or UTC)',
    ),
    frame=(
      'auto',
      'axes and signs of the recording. auto: compare with what the model was trained on, correct what is '
      'certain, and warn of the rest. as_is: change nothing. flip: acceleration of the opposite sign. '
      '-x,-y,z: measured axes that stand for x, y, z; angular velocity follows. y,x,z,y,x,z: each '
      "sensor's own",
    ),
  )

  def read() -> tuple[str, dict[str, Any]]:
    if recording.value is None:
      raise UserError('--recording= what the app exported: a file, a zip or a folder')
    pairs = [entry.partition('=') for entry in columns.value]
    if wrong := [''.join(pair) for pair in pairs if not (pair[0] and pair[2])]:
      raise UserError(f'--columns={wrong[0]}: give role=column, such as time=timestamp,ax=acc_1')
    roles: dict[str, str] = {}
    for role, _, column in pairs:
      if roles.setdefault(role.strip(), column) != column:
        raise UserError(f'--columns name {shorten(role.strip())} twice: give each role one column')
    return recording.value, {'columns': roles, 'tell': Printer(), **options()}

  return read


class Printer:
  """Prints sentences on a recording as they come: notes on stdout, warnings on stderr."""

  def __init__(self) -> None:
    self._has_title = False

  def __call__(self, kind: str, sentence: str) -> None:
    sentence = command.with_dashes(sentence)
    if kind == 'warning':
      print(f'warning: {sentence}', file=sys.stderr, flush=True)
      return
    if not self._has_title:
      print('Inferred from the recording; flags override it:')
      self._has_title = True
    print(f'  {sentence}', flush=True)

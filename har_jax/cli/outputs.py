"""One rule for all commands: folders that exist or do not, recognizers, and people whom a base knows."""

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


def define_overwrite(values: flags.FlagValues) -> Callable[..., None]:
  """Defines --overwrite; returns a function that refuses folders with files in them, before hours of work.

  That function takes the folders that will be written, and raises UserError.
  """
  define = command.definer(values)
  overwrite = define('overwrite', False, 'replace the files of an earlier run in --out')

  def check(*folders) -> None:
    for folder in folders:
      if folder.exists() and not folder.is_dir():
        raise UserError(f'--out={folder} is a file: give a folder')
      if not overwrite.value and folder.exists() and any(folder.iterdir()):
        raise UserError(f'--out={folder} exists already: give another folder, or --overwrite')

  return check


def check_given(flag: str, text: str | None) -> None:
  """Raises UserError where a flag names a folder or file that does not exist, with the nearest one."""
  from har_jax import storage

  if text is None:
    return
  place = storage.place(text)
  if place.exists():
    return
  near: list[str] = []
  if place.parent.is_dir():
    near = difflib.get_close_matches(place.name, [path.name for path in place.parent.iterdir()], 1)
  hint = f'; did you mean {place.parent / near[0]}?' if near else ''
  raise UserError(f'--{flag}={shorten(text)}: no such folder or file{hint}')


def define_recognizer(values: flags.FlagValues) -> Callable[..., Any]:
  """Defines --adapter and --base; returns a function that loads the recognizer, and says which one it is.

  That function takes a folder in place of --adapter, and raises UserError for a base without a head.
  """
  define = command.definer(values)
  adapter = define('adapter')
  base = define('base', None, f'{HELP["base"]} (default: the base that was saved with --adapter)')

  def load(folder: Any = None) -> Any:
    from har_jax.recognizer.recognizer import Recognizer

    check_given('adapter', adapter.value)
    check_given('base', base.value)
    recognizer = Recognizer.load(adapter.value if folder is None else folder, base.value)
    if not hasattr(recognizer, 'adapter_'):
      raise UserError(f'--adapter={adapter.value} is a base without a head: run `har-jax adapt` first')
    if adapter.value is None:
      print(f'No --adapter: the bundled base recognizes {", ".join(recognizer.classes_)}.')
    return recognizer

  return load


def warn_of_known_people(card: Any, datasets: 'Collection[Dataset]') -> None:
  """Warns where the base of this card was pretrained on these datasets: nobody of them is unseen."""
  sources = {source.archive for source in card.sources}
  if names := [dataset.name for dataset in datasets if dataset.people & sources]:
    print(
      f'warning: the base was pretrained on people of {", ".join(names)}, so none of them is unseen',
      file=sys.stderr,
    )

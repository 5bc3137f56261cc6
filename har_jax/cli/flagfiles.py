"""Named experiments: --flagfile=<name> of a file in launch/flags."""

import pathlib
import re

from absl import flags

from har_jax.errors import UserError

_PACKAGE = pathlib.Path(__file__).parents[1]
# In a wheel, and in a clone.
_FLAGFILES = (_PACKAGE / 'assets' / 'flags', _PACKAGE.parent / 'launch' / 'flags')


def resolve(argument: str, values: flags.FlagValues) -> str:
  """Turns --flagfile=paper into the path of the flags file of that name, unless there is such a file.

  Raises UserError if there is neither, or if its flags are for another command, which its text names.
  """
  flag, _, name = argument.partition('=')
  if flag not in ('--flagfile', '-flagfile') or pathlib.Path(name).exists():
    return argument
  folder = next((path for path in _FLAGFILES if path.is_dir()), _FLAGFILES[0])
  names = sorted(path.stem for path in folder.glob('*.flags'))
  if name not in names:
    raise UserError(f'--flagfile={name}: no such file; by name there are {", ".join(names) or "none"}')
  text = (folder / f'{name}.flags').read_text(encoding='utf-8')
  set_flags = re.findall(r'^--(\w+)', text, re.MULTILINE)
  if others := [word for word in set_flags if word not in values and word.removeprefix('no') not in values]:
    commands = ' or '.join(re.findall(rf'har-jax (\w+) --flagfile={name}', text))
    raise UserError(f'--flagfile={name} is for har-jax {commands}; this command has no {", ".join(others)}')
  return f'{flag}={folder / name}.flags'

"""Shared by all commands: how one is run, its exit codes and its help, and the flags that several have."""

import contextlib
import dataclasses
import errno
import functools
import io
import json
import os
import pathlib
import re
import signal
import sys
import types
import typing
from collections.abc import Callable, Collection, Sequence
from typing import Any

from absl import flags

from har_jax import config, config_fields
from har_jax.cli import compiled_programs, interrupts
from har_jax.errors import Stopped, Terminated, UserError, advice

AUTO_DTYPE = 'auto'
_PACKAGE = pathlib.Path(__file__).parents[1]
# In a wheel, and in a clone.
_FLAGFILES = (_PACKAGE / 'assets' / 'flags', _PACKAGE.parent / 'launch' / 'flags')
# Options of recordings that sentences name as Python does.
_OPTION = re.compile(
  r'(?<![\w-])((?:frame|method|labels|overwrite)(?==)|(?<=with )columns\b|columns(?= has no role)'
  r'|second(?=, the recording)|activities(?= (?:are|name) )|(?:acc_unit|gyro_unit|time_unit|time_zone|rate_hz'
  r'|second_adapter|unknown_below|refusal_rate|validation_fraction|mean_bout_s|not_worn_min)\b)'
)

_DEFINES: dict[type, Callable[..., flags.FlagHolder[Any]]] = {
  bool: flags.DEFINE_bool,
  int: flags.DEFINE_integer,
  float: flags.DEFINE_float,
  str: flags.DEFINE_string,
  list: flags.DEFINE_list,
  tuple: flags.DEFINE_list,
}

# Help of flags that several commands have: one name, one meaning.
HELP = {
  'windows': 'folder or bucket (gs://, s3://) of `har-jax prepare`, with windows of one or more datasets',
  'targets': 'target datasets, one fold each (default: all under --windows)',
  'sources': 'datasets to pretrain on',
  'seeds': 'random seeds; each draws its own split, head, adapters and batch order',
  'labels_per_activity': "each person's labeled windows per activity, the first ones; 0: the first half",
  'adapter': "folder of `har-jax adapt`, or a run's seed<k>.json "
  "(default: the bundled base's head, which recognizes common activities)",
  'base': 'folder of a base, a pretraining (<out>/<target>/pretrain), or an adapter saved with its base',
  'not_worn_min': 'a device at rest for so many minutes is not worn; 0: never',
  'progress': 'show progress bars',
  'overwrite': 'replace the files of an earlier run in --out',
}


def new_flags(*, with_json: bool = False) -> tuple[flags.FlagValues, Callable[..., flags.FlagHolder[Any]]]:
  """A command's flags, with --quiet, and their `definer`. with_json: also --json, what `main` returns."""
  values = flags.FlagValues()
  define = definer(values)
  define('quiet', False, 'print errors and warnings only')
  if with_json:
    define('json', False, 'print one JSON object with the results on stdout, and all else on stderr')
  return values, define


def definer(values: flags.FlagValues) -> Callable[..., flags.FlagHolder[Any]]:
  """Returns a function that defines one flag. Its type is that of its default, or `kind`.

  text: its help; by default, that of `HELP`.
  """

  def define(
    name: str, default: Any = None, text: str | None = None, *, kind: type | None = None, **options: Any
  ) -> flags.FlagHolder[Any]:
    text = HELP[name] if text is None else text
    if 'choices' in options:
      return flags.DEFINE_enum(name, default, options['choices'], text, flag_values=values)
    kind = kind or (str if default is None else type(default))
    holder = _DEFINES[kind](name, default, text, flag_values=values, **options)
    if kind is list:  # a tuple's values, such as widths of layers, may be equal
      flags.register_validator(name, functools.partial(_check_each_once, name), flag_values=values)
    return holder

  return define


def _check_each_once(flag: str, words: Sequence[str] | None) -> bool:
  """Raises UserError where a word of a list flag occurs twice: a file or a source would be there twice."""
  if words and len({*words}) < len(words):
    raise UserError(f'--{flag}={",".join(words)}: give each once')
  return True


def define_table(values: flags.FlagValues, **table: tuple) -> Callable[[], dict[str, Any]]:
  """Defines a flag for each name; returns a function that reads them. table: default, help, type."""
  define, holders = definer(values), {}
  for name, (default, *texts) in table.items():
    text, kind = (*texts, None, None)[:2]
    holders[name] = define(name, default, text, kind=kind)
  return lambda: {name: holder.value for name, holder in holders.items()}


def define_fields(
  values: flags.FlagValues, cls: type, *, prefix: str = '', **names: str
) -> Callable[[], dict[str, Any]]:
  """Defines a flag for each field of a dataclass that has a help text; returns a function that reads them.

  names: field → its flag, where this is not the prefix and the field's name.
  """
  holders = {
    field.name: define_field(
      values, names.get(field.name, f'{prefix}{field.name}'), field, field.metadata['help'], field.default
    )
    for field in dataclasses.fields(cls)
    if 'help' in field.metadata
  }
  return lambda: {name: holder.value for name, holder in holders.items()}


def define_field(
  values: flags.FlagValues,
  name: str,
  field: dataclasses.Field[Any],
  text: str,
  default: Any,
  kind: type | None = None,
) -> flags.FlagHolder[Any]:
  """Defines the flag of a field, by whose rule a value is checked as soon as it is read."""
  kind = kind or (typing.get_args(field.type)[0] if default is None else type(default))
  holder = definer(values)(name, default, text, kind=kind)
  if rule := field.metadata['rule']:
    flags.register_validator(
      holder,
      lambda value: value in (None, AUTO_DTYPE) or config_fields.is_valid(field, entries(value)),
      f'it must be {rule}',
      values,
    )
  return holder


def entries(value: Any) -> Any:
  """The value of a flag; that of a list as a tuple of whole numbers and words."""
  if not isinstance(value, list):
    return value
  return tuple(int(word) if word.isdigit() else word for word in value)


def run(module: types.ModuleType, arguments: Sequence[str]) -> int:
  """Parses `module.FLAGS`, calls `module.main` and returns the exit code.

  A module's POSITIONAL names the flags that may be given by position, COMMON those that --help shows.
  0: done. 1: a mistake in flags or files, a full disk, too little memory. 130: Ctrl-C. 143: SIGTERM.
  Both save the state of `pretrain`, `lodo` and `paper`. docs/scripts.md lists them.
  """
  if {'--help', '-h', '--helpfull'}.intersection(arguments):
    print(help_text(module, full='--helpfull' in arguments))
    return 0
  # XLA prints an alarm about a slow compilation, as an error; what fails is raised, too.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='replace')  # terminals without ±, or without the letters of a file's names
  try:
    _parse(module, arguments)
    if 'out' in module.FLAGS and module.FLAGS.out:  # refused now, not after hours of work
      from har_jax import storage

      storage.check_writable(storage.place(module.FLAGS.out))
    _main(module)
  except flags.UnrecognizedFlagError as error:
    name = module.__name__.rpartition('.')[2]
    return _fail(f'error: {error}; har-jax {name} --helpfull lists all flags', 1)
  except (flags.Error, UserError) as error:
    names_options = 'overwrite' in module.FLAGS  # it calls functions that Python's users call, too
    return _fail(f'error: {with_dashes(str(error)) if names_options else error}', 1)
  except OSError as error:
    if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
      raise
    return _fail(f'error: {error.filename or "a file"}: {error.strerror}; {advice(error)}', 1)
  except (MemoryError, RuntimeError) as error:
    if not isinstance(error, MemoryError) and 'RESOURCE_EXHAUSTED' not in str(error):  # XLA's name for it
      raise
    return _fail(f'error: out of memory ({error or "no size given"})', 1)
  except Stopped as stopped:
    from har_jax.train import mesh  # imports JAX

    message = f'{stopped}; run the same command to resume' if mesh.is_main_process() else ''
    return _fail(message, interrupts.stop_code())
  except KeyboardInterrupt as interrupt:
    # Inputs of commands that keep what is finished.
    return interrupted(interrupt, continues=bool({'archive', 'windows'}.intersection(module.FLAGS)))
  return 0


def interrupted(interrupt: KeyboardInterrupt, *, continues: bool = False) -> int:
  """Says that Ctrl-C or SIGTERM ended a command, and what follows; returns its exit code."""
  outcome = 'continue' if continues else 'start over: no file is half-written'
  code = 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
  return _fail(f'interrupted; run the same command again to {outcome}', code)


def with_dashes(sentence: str) -> str:
  """The sentence with flags of a recording as the command line has them; it names them as Python does."""
  return _OPTION.sub(r'--\g<0>', sentence)


def _main(module: types.ModuleType) -> None:
  """Calls `module.main`, with the standard output that --quiet and --json ask for."""
  values = module.FLAGS.flag_values_dict()
  is_quiet, is_json = values.get('quiet'), values.get('json')
  with contextlib.ExitStack() as stack:
    stack.enter_context(compiled_programs.keep())
    if is_quiet:
      os.environ['TQDM_DISABLE'] = '1'  # bars of commands without --progress
      stack.callback(os.environ.pop, 'TQDM_DISABLE')
      if 'progress' in values:
        module.FLAGS['progress'].value = False
      stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, 'w'))))
    elif is_json:
      stack.enter_context(contextlib.redirect_stdout(sys.stderr))
    results = module.main()
  if is_json:
    # What NumPy holds as numbers, a path as text.
    print(
      json.dumps(results, default=lambda value: value.tolist() if hasattr(value, 'tolist') else str(value))
    )


def _parse(module: types.ModuleType, arguments: Sequence[str]) -> None:
  """Sets `module.FLAGS`. Raises UserError for a word that is no flag and takes no position."""
  module.FLAGS.set_gnu_getopt(True)  # flags may follow words
  _, *words = module.FLAGS(['har-jax', *(resolve_flagfile(argument, module.FLAGS) for argument in arguments)])
  names = getattr(module, 'POSITIONAL', ())
  if names and isinstance(module.FLAGS[names[-1]].parser, flags.ListParser):  # it takes all that follow
    words, last = words[: len(names) - 1], words[len(names) - 1 :]
    words += [','.join(last)] if last else []
  for i, word in enumerate(words):
    if i >= len(names):
      by_position = f'; by position: {", ".join(names)}' if names else ''
      raise UserError(f'{word!r} is not a flag: write --name=value{by_position}')
    if module.FLAGS[names[i]].present:
      raise UserError(f'{word!r} and --{names[i]}={module.FLAGS[names[i]].value}: give one of them')
    module.FLAGS[names[i]].parse(word)
  for flag in map(module.FLAGS.__getitem__, module.FLAGS):
    # Of a variable that is not set; as a path it would be the folder in which the command runs.
    if flag.value == '' and (flag.default is None or flag.name == 'out'):
      raise UserError(f'--{flag.name} is empty: give a value, or leave it out')
    if isinstance(flag.value, str) and flag.value.startswith('~/'):  # a shell leaves --out=~/answers so
      flag.value = os.path.expanduser(flag.value)


def _fail(message: str, code: int) -> int:
  if message:
    print(message, file=sys.stderr)
  return code


def resolve_flagfile(argument: str, values: flags.FlagValues) -> str:
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


def help_text(module: types.ModuleType, *, full: bool = False) -> str:
  """A command's docstring and its common flags, or all in groups, in the order of their definition."""
  common, *others = flag_groups(module).items()
  lines = [(module.__doc__ or '').strip(), '']
  for title, names in [common, *(others if full else [])]:
    texts = [flag_text(module.FLAGS[name], full=full) for name in names]
    wrapped = [flags.text_wrap(text, length=100, indent='      ', firstline_indent='  ') for text in texts]
    lines += [f'{title}:', *wrapped, '']
  if others and not full:
    lines += [f'--helpfull lists {sum(len(names) for _, names in others)} more flags.']
  return '\n'.join(lines).strip()


def flag_text(flag: flags.Flag[Any], *, full: bool = True) -> str:
  """A flag's name, help and default, on one line. full: with the names of all fine-tuning methods."""
  is_shown = flag.default not in (None, []) and '(default:' not in flag.help
  default = f' (default: {str(flag.default_as_str).strip(chr(39))})' if is_shown else ''
  text = flag.help
  if '{methods}' in text and full:
    from har_jax.methods import METHODS  # late: it imports JAX, which takes a second

    float_forms = [name for name in METHODS if name.removeprefix('q') not in METHODS or name[0] != 'q']
    alone = ' and '.join(name for name in float_forms if f'q{name}' not in METHODS)
    over_four_bits = f'over kernels in four bits: the same with a q in front (but {alone})'
    text = text.replace('{methods}', f'{", ".join(float_forms)}; {over_four_bits}')
  text = text.replace('{methods}', 'side, linear, lora, qlora, … (all: --helpfull)')
  return f'--{"[no]" * flag.boolean}{flag.name}: {text}{default}'


def flag_groups(module: types.ModuleType) -> dict[str, list[str]]:
  """Title → names of flags: the common ones, the others, then hyperparameters by their part."""
  names = sorted(module.FLAGS, key=('quiet', 'json').__contains__)  # those of every command come last
  common = getattr(module, 'COMMON', '').split() or names
  is_experiment = 'preset' in module.FLAGS
  parts = {name: part.capitalize() for name, (part, _) in config.HYPERPARAMETERS.items() if is_experiment}
  titles = dict.fromkeys(('Other', *parts.values()))
  groups: dict[str, list[str]] = {title: [] for title in titles}
  for name in names:
    if name not in common:
      groups[parts.get(name, 'Other')].append(name)
  first = 'Flags; --flagfile=<file or name> reads them from a file, one per line'
  return {first: list(common)} | {title: listed for title, listed in groups.items() if listed}


def whole_numbers(flag: str, words: Sequence[str]) -> tuple[int, ...]:
  """The values of a list flag. Raises UserError where one is not a whole number."""
  try:
    return tuple(int(word) for word in words)
  except ValueError as error:
    raise UserError(f'--{flag}={",".join(words)}: give whole numbers, such as 0,1,2') from error


def check_choices(flag: str, words: Sequence[str], choices: Collection[str]) -> None:
  """Raises UserError where a word of a list flag is not among the choices, and where there is none."""
  unknown = [word for word in words if word not in choices]
  if unknown or not words:
    raise UserError(f'--{flag}={",".join(unknown)}: give one or more of {", ".join(choices)}')

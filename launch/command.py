"""What every launch script shares: flags made from the config, and a user's mistake as one clean line."""

import dataclasses
import errno
import sys
from collections.abc import Callable
from typing import Any

from absl import app, flags, logging

from har_jax import config
from har_jax.errors import UserError

flags.disclaim_key_flags()  # flags defined here belong to the script that asks for them, and to its --help

# Each part of an experiment, and what its flags begin with: --model_width, --split, --finetune_epochs.
_PREFIXES = {
  'model': 'model_',
  'lora': 'lora_',
  'precision': '',
  'protocol': '',
  'pretrain': 'pretrain_',
  'finetune': 'finetune_',
}


def run(main: Callable[[], None]) -> None:
  """Parses the flags, calls `main`, exits: 1 after a UserError, 130 after Ctrl-C."""

  def guarded(argv: list[str]) -> None:
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.WARNING)  # at its own default, Orbax tells each file it writes
    try:
      if len(argv) > 1:
        raise UserError(f'{argv[1]!r} is no flag: write --name=value')
      main()
    except UserError as error:
      print(f'error: {error}', file=sys.stderr)
      sys.exit(1)
    except OSError as error:
      if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise
      print(
        f'error: the disk is full ({error.filename or "no file named"}); free some space and run again',
        file=sys.stderr,
      )
      sys.exit(1)
    except KeyboardInterrupt:
      print('interrupted; the same command goes on from the last checkpoint', file=sys.stderr)
      sys.exit(130)

  app.run(guarded)


def define_experiment() -> Callable[[], config.Experiment]:
  """Defines a flag for every knob, and --preset; returns what reads the experiment from them."""
  preset = flags.DEFINE_enum(
    'preset', 'base', list(config.PRESETS), 'where knobs not given by flag come from'
  )
  base = config.Experiment()
  holders = {
    part: {
      field.name: _define(f'{prefix}{field.name}', field, getattr(getattr(base, part), field.name))
      for field in dataclasses.fields(getattr(base, part))
    }
    for part, prefix in _PREFIXES.items()
  }

  def experiment() -> config.Experiment:
    chosen = config.PRESETS[preset.value]()
    parts = {
      part: dataclasses.replace(getattr(chosen, part), **_given(knobs)) for part, knobs in holders.items()
    }
    return dataclasses.replace(chosen, **parts)

  return experiment


def _define(name: str, field: dataclasses.Field, default: Any) -> flags.FlagHolder:
  text = f'{field.metadata["help"]} (base: {",".join(map(str, default)) if isinstance(default, tuple) else default})'
  if isinstance(default, tuple):
    return flags.DEFINE_list(name, None, text)
  kinds: dict[type, Callable[..., flags.FlagHolder]] = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
  }
  return kinds[type(default)](name, None, text)


def _given(knobs: dict[str, flags.FlagHolder]) -> dict[str, Any]:
  given = {name: holder.value for name, holder in knobs.items() if holder.value is not None}
  return {name: _entries(value) if isinstance(value, list) else value for name, value in given.items()}


def _entries(words: list[str]) -> tuple:
  return tuple(int(word) if word.isdigit() else word for word in words)

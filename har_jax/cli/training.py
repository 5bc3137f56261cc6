"""Flags of commands that train on prepared windows."""

import dataclasses
import functools
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from absl import flags

from har_jax import config, config_fields
from har_jax.cli import command, jobs

if TYPE_CHECKING:
  from har_jax.datasets.datasets import Datasets
  from har_jax.experiments import TrainOptions

# Help of flags that say something else than their field, which fine-tuning has, too.
_HELP = {
  'pretrain_epochs': "passes over the sources' windows; fewer than in fine-tuning: the sources have more",
  'pretrain_batch': 'windows per step; more than in fine-tuning: the sources have more',
  'pretrain_learning_rate': 'peak learning rate',
}
# Defaults of hyperparameters that follow from something else.
_FOLLOWING = {
  'dtype': command.AUTO_DTYPE,
  'model_window_samples': 'those of the windows',
  'model_rate_hz': 'that of the windows',
}


def define_training(
  values: flags.FlagValues, *, unused: Collection[str] = ()
) -> 'Callable[[], tuple[Datasets, config.Experiment, TrainOptions]]':
  """Defines flags of windows, hyperparameters, devices and processes; returns a function that reads them.

  unused: as of `define_experiment`. That function joins a distributed run, and opens the windows.
  """
  define = command.definer(values)
  windows, progress = define('windows', 'windows'), define('progress', True)
  # No stage trains a pretrained encoder at a rate of its own. The method decides on a side encoder.
  unused = (*unused, 'pretrain_encoder_learning_rate', 'model_side_width')
  experiment = define_experiment(values, unused=unused)
  set_cpu_devices = jobs.define_cpu_devices(values)
  join = jobs.define_processes(values)

  def start() -> 'tuple[Datasets, config.Experiment, TrainOptions]':
    set_cpu_devices()
    stop = join()
    from har_jax import experiments, storage
    from har_jax.datasets import windows as store
    from har_jax.datasets.datasets import Datasets

    datasets = Datasets.open(store.local(storage.place(windows.value)))
    return datasets, experiment(datasets), experiments.TrainOptions(progress=progress.value, stop=stop)

  return start


def define_experiment(
  values: flags.FlagValues, *, unused: Collection[str] = ()
) -> Callable[..., config.Experiment]:
  """Defines --preset and a flag for each hyperparameter; returns `read_experiment` of these flags.

  unused: flags, or parts of an experiment, that would change nothing in this command: it has no such flag.
  """
  text = 'source of the hyperparameters that no flag sets'
  command.definer(values)('preset', 'base', text, choices=list(config.PRESETS))
  for name, (part, entry) in config.HYPERPARAMETERS.items():
    if not {part, name}.intersection(unused):
      settings = getattr(config.Experiment(), part)
      field, default = type(settings).__dataclass_fields__[entry], getattr(settings, entry)
      text = _HELP.get(name, field.metadata['help'])
      if name == 'dtype':
        text += f', or {command.AUTO_DTYPE}: the faster one on this device'
      text = f'{text} (default: {_FOLLOWING.get(name) or _shown(default)})'
      command.define_field(values, name, field, text, None, type(default))
  return functools.partial(read_experiment, values)


def read_experiment(values: flags.FlagValues, datasets: Any = None) -> config.Experiment:
  """The preset with what the flags set. Without a flag, length and rate of windows are those of the datasets.

  With --dtype=auto it asks JAX for its device: call it after what has to come before JAX is used.
  """
  changes = {
    field: command.entries(values[name].value)
    for name, field in config.HYPERPARAMETERS.items()
    if name in values and values[name].value is not None
  }
  of_windows = ('model', 'window_samples'), ('model', 'rate_hz')
  if datasets is not None and not changes.keys() >= set(of_windows):
    changes = dict(zip(of_windows, dataclasses.astuple(datasets.windowing), strict=True)) | changes
  if changes.get(('precision', 'dtype'), command.AUTO_DTYPE) == command.AUTO_DTYPE:
    from har_jax import runtime

    changes['precision', 'dtype'] = runtime.fastest_dtype()
  return config_fields.replace(config.PRESETS[str(values['preset'].value)](), changes)


def _shown(default: Any) -> str:
  if isinstance(default, tuple):
    return ','.join(map(str, default))
  return str(default).lower() if isinstance(default, bool) else str(default)

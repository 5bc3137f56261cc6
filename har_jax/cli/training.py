"""Flags of commands that train on prepared windows."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from absl import flags

from har_jax import config
from har_jax.cli import command, processes

if TYPE_CHECKING:
  from har_jax.datasets.datasets import Datasets
  from har_jax.experiments import TrainOptions


def define_training(
  values: flags.FlagValues, *, unused: Collection[str] = ()
) -> 'Callable[[], tuple[Datasets, config.Experiment, TrainOptions]]':
  """Defines flags of windows, hyperparameters, devices and processes; returns a function that reads them.

  unused: as of `command.define_experiment`. That function joins a distributed run, and opens the windows.
  """
  define = command.definer(values)
  windows, progress = define('windows', 'windows'), define('progress', True)
  # No stage trains a pretrained encoder at a rate of its own.
  unused = (*unused, 'pretrain_encoder_learning_rate')
  experiment = command.define_experiment(values, unused=unused)
  set_cpu_devices = processes.define_cpu_devices(values)
  join = processes.define_processes(values)

  def start() -> 'tuple[Datasets, config.Experiment, TrainOptions]':
    set_cpu_devices()
    stop = join()
    from har_jax import experiments, storage
    from har_jax.datasets import windows as store
    from har_jax.datasets.datasets import Datasets

    datasets = Datasets.open(store.local(storage.place(windows.value)))
    return datasets, experiment(datasets), experiments.TrainOptions(progress=progress.value, stop=stop)

  return start

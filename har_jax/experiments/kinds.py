"""The kinds of runs: a line of `KINDS` each. A run's method is one of their names."""

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax

from har_jax import config, records
from har_jax.baselines import BASELINES
from har_jax.errors import UserError
from har_jax.experiments.adaptation import adapt_and_test
from har_jax.experiments.fitting import ENCODER_METHOD, combine_and_test, fit_and_test
from har_jax.experiments.run_spec import RunSpec
from har_jax.experiments.stages import TrainOptions
from har_jax.experiments.zero_shot import predict_and_test
from har_jax.methods import METHODS, Method, Settings
from har_jax.train.objective import Classify, initial_shapes
from har_jax.variables import Variables

Bases = Mapping[int, Variables]  # by seed, what `stages.run_stages` returns; empty unless pretrained
Results = dict[int, records.Result]  # by seed


@dataclasses.dataclass(frozen=True)
class Kind:
  """Kind of runs: the functions that make the runs of these names.

  `run` gets runs of one target and name that differ in their seed alone.
  """

  names: Collection[str]
  run: Callable[[Sequence[RunSpec], Bases, TrainOptions], Results]
  is_pretrained: Callable[[str], bool] = lambda name: False  # whether a run starts from the stages' variables
  has_stages: bool = True  # whether `--phase=pretrain` trains the stages
  check: Callable[[str, config.Experiment], Any] = lambda name, experiment: None  # raises UserError, early
  after: tuple[str, ...] = ()  # methods whose runs must be finished first


def one_by_one(run: Callable[[RunSpec, Variables, TrainOptions], records.Result]) -> Callable[..., Results]:
  """Makes `Kind.run` of a function that makes one run."""

  def run_each(specs: Sequence[RunSpec], bases: Bases, options: TrainOptions) -> Results:
    return {spec.seed: run(spec, bases.get(spec.seed, {}), options) for spec in specs}

  return run_each


def _check_method(name: str, experiment: config.Experiment) -> None:
  """Traces the adaptation: what does not fit the model, such as a target, shows before any training."""
  method = METHODS[name]
  _trace(method, method.model(experiment.model), Settings.from_experiment(experiment))


@functools.lru_cache(maxsize=32)  # a trace takes a third of a second
def _trace(method: Method, model: config.Model, settings: Settings) -> None:
  shapes = initial_shapes(Classify(model, classes=2))
  jax.eval_shape(lambda drawn: method.adapt(drawn, settings, jax.random.key(0)), shapes)


def _check_packages(names: Collection[str]) -> None:
  for name in names:
    BASELINES[name](0)  # a missing package shows now, not after hours of other runs


def _check_head(name: str, experiment: config.Experiment) -> None:
  if not experiment.protocol.supervised_pretraining_steps:
    raise UserError(
      f'{name} needs the head of supervised pretraining; add --supervised_pretraining_steps=3000'
    )


_ZERO_SHOT = functools.partial(Kind, is_pretrained=lambda name: True, check=_check_head)

KINDS: dict[str, Kind] = {
  'method': Kind(METHODS, adapt_and_test, lambda name: METHODS[name].pretrained, check=_check_method),
  'baseline': Kind(
    BASELINES,
    one_by_one(lambda spec, base, options: fit_and_test(spec, options)),
    has_stages=False,
    check=lambda name, experiment: _check_packages([name]),
  ),
  'ensemble': Kind(
    ('ensemble',),
    one_by_one(lambda spec, base, options: combine_and_test(spec, options)),
    check=lambda name, experiment: _check_packages(BASELINES),
    after=(ENCODER_METHOD,),
  ),
  'zero_shot': _ZERO_SHOT(
    ('zero_shot',), one_by_one(lambda spec, base, options: predict_and_test(spec, base))
  ),
  'zero_shot_recording': _ZERO_SHOT(
    ('zero_shot_recording',),
    one_by_one(lambda spec, base, options: predict_and_test(spec, base, by_recording=True)),
  ),
}


def list_methods() -> list[str]:
  """Lists every method that a run may have."""
  return [name for kind in KINDS.values() for name in kind.names]


def find(method: str) -> Kind:
  """Finds the kind of runs with this method. Raises UserError if there is none."""
  for kind in KINDS.values():
    if method in kind.names:
      return kind
  raise UserError(f'unknown method {method!r}; one of {", ".join(list_methods())}')

"""Hyperparameters of a run. Flags of `har-jax continual` follow from them: nothing slow is imported."""

import dataclasses
from typing import TYPE_CHECKING

from har_jax import config_fields
from har_jax.recognizer.parameters import from_settings

if TYPE_CHECKING:
  from har_jax import files
  from har_jax.continual.domains import Stream
  from har_jax.continual.learner import Learner


@dataclasses.dataclass(frozen=True)
class Settings(config_fields.Checked):
  """The hyperparameters of a run."""

  strategy: str = config_fields.choice(
    'replay',
    {
      'sequential': 'the same adapter on and on',
      'replay': 'also stored windows',
      'router': 'an adapter for each domain; the nearest one answers',
      'joint': 'all windows at once',
    },
    'training on one domain after another',
  )
  method: str = config_fields.field('lora', 'fine-tuning method: {methods}')
  rank: int = config_fields.count(32, 'rank of LoRA and QLoRA; alpha is twice the rank')
  steps: int = config_fields.count(100, 'training steps on each domain')
  batch: int = config_fields.count(32, 'windows per step')
  learning_rate: float = config_fields.positive(1e-3, 'peak learning rate')
  memory_kb: int = config_fields.count(500, 'for replay: kilobytes of stored windows of all domains')
  seed: int = config_fields.seed('seed of the split, head, adapters and all orders')

  def __post_init__(self) -> None:
    from har_jax import methods

    super().__post_init__()
    methods.find(self.method)  # raises UserError

  def learner(self, base: 'files.Base', stream: 'Stream') -> 'Learner':
    from har_jax.continual.learner import Learner

    return Learner(stream, from_settings(self, base, self.steps))

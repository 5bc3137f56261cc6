"""Hyperparameters of a federation. Flags of `har-jax federate` follow from them: nothing slow is imported."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from har_jax import config_fields, records
from har_jax.errors import UserError
from har_jax.recognizer.parameters import Parameters, from_settings

_MOST_CLASSES = 1000


@dataclasses.dataclass(frozen=True)
class Federation(config_fields.Checked):
  """The hyperparameters that the server sends with every message. classes: what the head predicts."""

  classes: tuple[str, ...]
  method: str = config_fields.field('lora', 'fine-tuning method: {methods}')
  rank: int = config_fields.count(32, 'rank of LoRA and QLoRA; alpha is twice the rank', most=4096)
  rounds: int = config_fields.count(20, 'rounds of training and aggregation', most=100_000)
  local_steps: int = config_fields.count(10, 'steps of a client in each round', most=10_000)
  # A client pads its batch to this many windows, so a server asks for at most two gigabytes.
  batch: int = config_fields.count(32, 'windows per step', most=1000)
  # The best of 1e-3, 2e-3 and 3e-3 for an average of HAPT's clients, on its validation people.
  learning_rate: float = config_fields.positive(
    3e-3, 'peak learning rate; higher than elsewhere, since an average moves less than each client'
  )
  participation: float = config_fields.field(
    1.0,
    'fraction of the clients that each round asks',
    lambda value: 0 < value <= 1,
    'a fraction over 0 and up to 1',
  )
  equal_weights: bool = config_fields.flag(
    False, 'clients count equally, not by their windows, which count up to the median of the clients'
  )
  most_norm: float = config_fields.not_negative(
    1.5, "largest change of a client, as a multiple of the round's median change; 0: any"
  )
  robust: str = config_fields.choice(
    'none',
    {
      'none': 'the mean',
      'median': 'the median of each number',
      'trimmed_mean': 'the mean without the largest and smallest fifth of each number',
      'multi_krum': 'the mean of the updates with the nearest neighbors',
    },
    'what one update is made with; all but none are for clients that may be malicious, and count equally',
  )
  clip_norm: float = config_fields.not_negative(
    0.0, 'differential privacy: largest norm of an update; 0: none'
  )
  noise_multiplier: float = config_fields.not_negative(
    0.0, 'differential privacy: noise over --clip_norm; 0: none'
  )
  seed: int = config_fields.seed('seed of the split, head, adapters and all orders')

  def __post_init__(self) -> None:
    from har_jax import methods

    super().__post_init__()
    methods.find(self.method)  # raises UserError
    if not 2 <= len(set(self.classes)) == len(self.classes) <= _MOST_CLASSES:
      raise UserError(f'{len(self.classes)} classes: give 2 to {_MOST_CLASSES:,}, each once')
    if self.robust != 'none' and self.clip_norm:
      raise UserError(f'robust {self.robust} is without differential privacy: give one of both')
    if bool(self.clip_norm) != bool(self.noise_multiplier):
      raise UserError(
        'differential privacy needs both clip_norm and noise_multiplier over 0; they are '
        f'{self.clip_norm} and {self.noise_multiplier}'
      )
    if self.clip_norm and not self.equal_weights:
      raise UserError('differential privacy needs equal weights')

  def epsilon(self, clients: int) -> tuple[float, float]:
    """Epsilon and delta that all rounds promise each client, by Rényi accounting, whomever a round asks.

    It covers the variables that clients get and the adapter, not the losses and numbers of windows.
    """
    from dp_accounting import dp_event, rdp

    accountant, delta = rdp.RdpAccountant(), 0.1 / clients
    accountant.compose(dp_event.GaussianDpEvent(self.noise_multiplier), self.rounds)
    return accountant.get_epsilon(delta), delta

  def entries(self) -> dict[str, Any]:
    """The fields as Flower's ConfigRecord takes them."""
    return dataclasses.asdict(self) | {'classes': list(self.classes)}

  @classmethod
  def from_entries(cls, entries: Mapping[str, Any]) -> 'Federation':
    """Reads what `entries` gave, or Flower's run_config, where the classes are one text with commas."""
    fields = {field.name: entries[field.name] for field in dataclasses.fields(cls) if field.name in entries}
    classes = fields.get('classes', ())
    fields['classes'] = classes.split(',') if isinstance(classes, str) else classes
    return records.check(
      fields, cls, 'the settings of the federation', to_do='take the same version of har_jax'
    )

  def parameters(self, base: Any) -> Parameters:
    """Parameters of the training by clients."""
    return from_settings(self, base, self.rounds * self.local_steps)

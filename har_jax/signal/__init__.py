"""Recordings as arrays, in m/s² and rad/s. No file of this room imports JAX."""

import dataclasses

from har_jax.config_fields import MOST_RATE_HZ, MOST_WINDOW_SAMPLES, count


@dataclasses.dataclass(frozen=True)
class Windowing:
  """Length and rate of windows, which overlap by half. By default those of UCI HAR: 2.56 s at 50 Hz."""

  samples: int = count(128, 'samples per window; windows overlap by half', least=2, most=MOST_WINDOW_SAMPLES)
  rate_hz: int = count(
    50, 'sampling rate of the windows, in Hz; recordings of other rates are resampled', most=MOST_RATE_HZ
  )

  @property
  def seconds(self) -> float:
    return self.samples / self.rate_hz

  @property
  def step_samples(self) -> int:
    """Samples from the start of a window to that of the next."""
    return self.samples // 2

  @property
  def step_s(self) -> float:
    return self.step_samples / self.rate_hz

  def __str__(self) -> str:
    return f'{self.samples} samples at {self.rate_hz} Hz'


DEFAULT_WINDOWING = Windowing()

"""Flax modules. They know no fine-tuning method and no file: their variables determine what they compute."""

from har_jax.model.masking import draw_mask
from har_jax.model.tokens import reconstruction_target
from har_jax.model.transformer import (
  Autoencoder,
  Classifier,
  Standardize,
  head_input_limits,
  head_input_weights,
  head_input_widths,
  reconstruction_error,
)

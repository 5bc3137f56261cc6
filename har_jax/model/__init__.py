"""Flax modules. They know no method and no file: what they do follows from the variables they are given."""

from har_jax.model.masking import draw_mask
from har_jax.model.tokens import reconstruction_target
from har_jax.model.transformer import Autoencoder, Classifier, ProjectionModel, reconstruction_error

__all__ = [
  'Autoencoder',
  'Classifier',
  'ProjectionModel',
  'draw_mask',
  'reconstruction_error',
  'reconstruction_target',
]

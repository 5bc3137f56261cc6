"""Records of what a report draws of finished runs."""

from msgspec import Struct

from har_jax.records.cards import Card


class Embedding(Card, kw_only=True, tag='har_jax embedding 3'):
  """embeddings.json: test windows in the plane, before and after adaptation. label: index of the class."""

  target: str
  method: str
  seed: int
  split: str
  classes: list[str]
  label: list[int]
  before: list[list[float]]
  after: list[list[float]]


class ReconstructedWindow(Struct, kw_only=True):
  """A window and its reconstruction, a row per sample. hidden: of each token."""

  dataset: str
  activity: str
  hidden: list[bool]
  signal: list[list[float]]
  reconstructed: list[list[float]]


class Reconstruction(Card, kw_only=True, tag='har_jax reconstruction 3'):
  """reconstructions.json of a pretraining."""

  target: str
  patch_size: int
  windows: list[ReconstructedWindow]

"""Data for a report's pictures of finished runs: embeddings before and after adaptation, reconstructed
windows.

b windows, d width, n samples, c channels, t tokens.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Float

from har_jax import config, records, storage
from har_jax.experiments.adaptation import PreparedRun, load_trained, prepare_run
from har_jax.experiments.run_spec import RunSpec
from har_jax.experiments.stages import TrainOptions, run_stages, stages_of
from har_jax.model import Autoencoder, draw_mask
from har_jax.variables import Variables, nest

_WINDOWS = 600  # of an embedding: a picture shows no more, and t-SNE takes seconds
_RECONSTRUCTED = 4
_LOAD = TrainOptions(may_train=False)


def write(spec: RunSpec) -> None:
  """Writes <run's folder>/embeddings.json, and reconstructions.json in the pretraining's folder, where
  missing.

  Raises UserError where the run or its pretraining is not finished.
  """
  embeddings = spec.folder / 'embeddings.json'
  if not embeddings.exists():
    storage.write(embeddings, msgspec.to_builtins(_embedding(spec)))
  reconstructions = spec.pretraining / 'reconstructions.json'
  if not reconstructions.exists():
    storage.write(reconstructions, msgspec.to_builtins(_reconstruction(spec)))


def _embedding(spec: RunSpec) -> records.Embedding:
  """A random sample of test windows in two dimensions, by the pretrained encoder and by the adapted one."""
  base = run_stages(stages_of(spec), _LOAD)
  prepared = prepare_run(spec, base)
  step = storage.read_record(spec.result, records.Result).step
  test = prepared.data.test
  shown = np.sort(np.random.default_rng(0).permutation(len(test['label']))[:_WINDOWS])
  signal = test['signal'][shown]
  encoder = {path: leaf for path, leaf in base.items() if path.startswith('params/encoder/')}
  return records.Embedding(
    target=spec.target,
    method=spec.method,
    seed=spec.seed,
    split=spec.experiment.protocol.split,
    classes=list(prepared.data.classes),
    label=test['label'][shown].tolist(),
    before=_project(_features(prepared, prepared.objective.init(jax.random.key(0)) | encoder, signal)),
    after=_project(_features(prepared, load_trained(prepared, step), signal)),
  )


def _features(prepared: PreparedRun, adapted: Variables, signal: np.ndarray) -> Float[np.ndarray, 'b d']:
  return np.asarray(jax.jit(prepared.objective.features)(adapted, signal))


def _project(features: Float[np.ndarray, 'b d']) -> list[list[float]]:
  """t-SNE. Source: van der Maaten and Hinton, JMLR 9, 2008."""
  from sklearn.manifold import TSNE  # late: importing it takes a second

  perplexity = min(30.0, (len(features) - 1) / 3)
  points = TSNE(init='pca', perplexity=perplexity, random_state=0).fit_transform(features)
  return np.round(points.astype(float), 2).tolist()


def _reconstruction(spec: RunSpec) -> records.Reconstruction:
  """Windows of the target, which pretraining never saw, with their hidden tokens filled in by the decoder."""
  model, precision = spec.experiment.model, spec.experiment.precision
  pretrained = run_stages(stages_of(spec)[:1], _LOAD)
  data = dataclasses.replace(spec.fold, seed=0).target_windows()
  # The first window of each of the first activities.
  _, first = np.unique(data.test['label'], return_index=True)
  indices = first[:_RECONSTRUCTED]
  signal = data.test['signal'][indices]
  visible, mask = draw_mask(jax.random.key(0), len(signal), model.tokens, model.hidden)
  fill: Any = jax.jit(Autoencoder(model, precision).apply)  # op by op, each of 140 operations is compiled
  filled = fill(nest(pretrained), jnp.asarray(signal), visible)
  samples = model.patch_size * config.CHANNELS  # the samples come first, then the spectrum
  filled = np.asarray(filled)[..., :samples].reshape(signal.shape)
  windows = [
    records.ReconstructedWindow(
      dataset=spec.target,
      activity=data.classes[data.test['label'][indices[number]]],
      hidden=np.asarray(mask[number]).tolist(),
      signal=np.round(signal[number].astype(float), 3).tolist(),
      reconstructed=np.round(filled[number].astype(float), 3).tolist(),
    )
    for number in range(len(signal))
  ]
  return records.Reconstruction(target=spec.target, patch_size=model.patch_size, windows=windows)

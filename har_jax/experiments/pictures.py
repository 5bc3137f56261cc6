"""What a report shows of runs that are done: embeddings before and after adaptation, reconstructed windows.

b windows, d width, n samples, c channels, t tokens.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from har_jax import config, storage
from har_jax.data import folds
from har_jax.experiments.adaptation import PreparedRun, prepare_run
from har_jax.experiments.pretraining import pretrained_autoencoder, pretrained_encoder
from har_jax.experiments.study import Study, pretrained_path, result_path
from har_jax.methods import METHODS
from har_jax.model import Autoencoder, draw_mask
from har_jax.train.checkpoint import Checkpoints
from har_jax.variables import Variables, nest

_WINDOWS = 600  # of an embedding: as many as a picture tells apart, and t-SNE places within seconds
_RECONSTRUCTED = 4


def write(study: Study, target: str, method: str, seed: int) -> None:
  """<run's folder>/embeddings.json, and reconstructions.json beside the pretraining; those that are there stay.

  Raises UserError where the run or its pretraining is not done.
  """
  result = result_path(study, target, method, seed)
  embeddings = result.with_suffix('') / 'embeddings.json'
  if not embeddings.exists():
    storage.write(embeddings, _embedding(study, target, method, seed))
  reconstructions = pretrained_path(study, target).parent / 'reconstructions.json'
  if not reconstructions.exists():
    storage.write(reconstructions, _reconstruction(study, target))


def _embedding(study: Study, target: str, method: str, seed: int) -> dict[str, Any]:
  """Test windows, drawn at random, as the pretrained encoder and as the adapted one see them, each in two dimensions."""
  base = pretrained_encoder(study, target, seed, may_train=False)
  prepared = prepare_run(study, target, METHODS[method], base, seed)
  step = storage.read(result_path(study, target, method, seed))['step']
  run, objective, test = prepared.run, prepared.objective, prepared.data.test
  trained = Checkpoints(run.folder / 'checkpoints').variables(step, run.trainable | run.statistics)
  size = len(test['label'])
  shown = np.sort(np.random.default_rng(0).permutation(size)[:_WINDOWS])
  signal = test['signal'][shown]
  return {
    'format': 'har_jax embedding 1',
    'target': target,
    'method': method,
    'seed': seed,
    'split': study.experiment.protocol.split,
    'classes': list(prepared.data.classes),
    'label': test['label'][shown].tolist(),
    'before': _placed(_features(prepared, objective.init(jax.random.key(0)) | base, signal)),
    'after': _placed(_features(prepared, trained | run.frozen, signal)),
  }


def _features(prepared: PreparedRun, held: Variables, signal: np.ndarray) -> Float[np.ndarray, 'b d']:
  return np.asarray(jax.jit(prepared.objective.features)(held, signal))


def _placed(features: Float[np.ndarray, 'b d']) -> list[list[float]]:
  """By t-SNE. Source: van der Maaten and Hinton, JMLR 9, 2008."""
  from sklearn.manifold import TSNE  # late: a second of import

  perplexity = min(30.0, (len(features) - 1) / 3)
  placed = TSNE(init='pca', perplexity=perplexity, random_state=0).fit_transform(features)
  return np.round(placed.astype(float), 2).tolist()


def _reconstruction(study: Study, target: str) -> dict[str, Any]:
  """Windows of the target, which pretraining never saw, with the tokens that were hidden filled in by the decoder."""
  experiment = study.experiment
  held = pretrained_autoencoder(study, target, may_train=False)
  test = folds.target_windows(study.windows, target, experiment.protocol, 0)
  # Of each activity its first window, and of these the first few.
  _, first = np.unique(test.test['label'], return_index=True)
  chosen = first[:_RECONSTRUCTED]
  signal = test.test['signal'][chosen]
  model = experiment.model
  visible, mask = draw_mask(jax.random.key(0), len(signal), model.tokens, model.hidden)
  filled: Any = Autoencoder(model, experiment.precision).apply(nest(held), jnp.asarray(signal), visible)
  samples = model.patch_size * config.CHANNELS  # come first, before the spectrum
  filled = np.asarray(filled)[..., :samples].reshape(signal.shape)
  return {
    'format': 'har_jax reconstruction 1',
    'target': target,
    'patch': model.patch_size,
    'windows': [
      {
        'dataset': target,
        'activity': test.classes[test.test['label'][chosen[number]]],
        'hidden': np.asarray(mask[number]).tolist(),
        'signal': np.round(signal[number].astype(float), 3).tolist(),
        'reconstructed': np.round(filled[number].astype(float), 3).tolist(),
      }
      for number in range(len(signal))
    ],
  }

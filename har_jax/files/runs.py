"""The adapter of a run of `har_jax.experiments` that is done."""

import jax

from har_jax import config, config_fields, results, storage
from har_jax.errors import UserError
from har_jax.files.adapter import Adapter, make_adapter
from har_jax.files.base import Base, load_base
from har_jax.methods import METHODS
from har_jax.storage import Place
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.objective import Classify


def load_run(result: str | Place, base: Base | None = None) -> tuple[Base | None, Adapter]:
  """The base and adapter of a result file, <out>/<target>/<method>/<split>/labels-<budget>/seed<k>.json.

  The base is what it started from, of <out>/<target>, unless given; a method without pretraining has none. The windows are not needed.
  Raises UserError where the file is no result, or where base or checkpoint are missing.
  """
  path = storage.place(str(result))
  told = storage.read(path)
  if told.get('format') != results.FORMAT:
    raise UserError(f"{path} is no result of a run; give a run's seed<k>.json")
  identity, data, seed = told['identity'], told['data'], told['identity']['seed']
  experiment = config_fields.from_json(config.Experiment, identity['experiment'])
  method = METHODS[identity['method']]
  if not method.pretrained:
    base = None
  elif base is None:
    base = load_base(_started_from(path, experiment.protocol, seed))
  objective = Classify(experiment.model, len(data['classes']), experiment.precision)
  # As the run began: a head that is itself adapted keeps the kernels that were drawn, and no checkpoint holds them.
  head_key, adapter_key = jax.random.split(jax.random.key(seed))
  started = objective.init(head_key) | ({} if base is None else base.variables)
  adapted = method.adapt(started, experiment, adapter_key)
  moved = {
    name: leaf
    for name, leaf in adapted.items()
    if name.startswith('batch_stats/') or method.trains(name, experiment)
  }
  trained = Checkpoints(path.with_suffix('') / 'checkpoints').variables(told['step'], moved)
  (chosen,) = (entry for entry in told['validation'] if entry['step'] == told['step'])
  card = {
    'method': method.name,
    'rank': experiment.lora.rank,
    'alpha': experiment.lora.alpha,
    'targets': list(experiment.lora.targets),
    'model': identity['experiment']['model'],
    'precision': identity['experiment']['precision'],
    'classes': data['classes'],
    'normalizer': data['normalizer'],
    'metrics': {
      'validation': {name: chosen[name] for name in ('macro_f1', 'accuracy')},
      'test': {name: told['test'][name] for name in ('macro_f1', 'accuracy')},
    },
    'split': {'by': data['split'], 'windows': data['windows']},
    'training': {
      'random_state': seed,
      'step': told['step'],
      'target': identity['target'],
      'tta_shifts': experiment.protocol.tta_shifts,
    },
  }
  return base, make_adapter(base, adapted | trained, card)


def _started_from(result: Place, protocol: config.Protocol, seed: int) -> Place:
  """The folder of the last stage of pretraining, as `har_jax.experiments` lays them out."""
  of_target = result.parents[3]
  if protocol.stages:
    return of_target / protocol.stages[-1] / protocol.split / f'seed{seed}'
  return of_target / 'pretrain'

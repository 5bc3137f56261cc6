"""The adapter of a finished run of `har_jax.experiments`."""

import msgspec

from har_jax import records, storage
from har_jax.errors import UserError
from har_jax.files.adapter import Adapter, make_adapter, method_entries
from har_jax.files.base import Base, load_base, prepare
from har_jax.methods import METHODS, Settings
from har_jax.storage import Place
from har_jax.train.objective import Classify

_TO_DO = "give a run's seed<k>.json, or the folder of an adapter"


def load_run(result: str | Place, base: Base | None = None) -> tuple[Base | None, Adapter]:
  """The base and adapter of a result file, .../seed<k>.json. The windows are not needed.

  base: replaces the base that the run started from. A method that starts from scratch has none.
  Raises UserError where the file is no result, or that of a baseline or an ensemble, or where base or
  checkpoint are missing.
  """
  from har_jax.train.checkpoint import Checkpoints  # late: it imports Orbax

  path = storage.place(result)
  run = storage.read_record(path, records.Result, to_do=_TO_DO)
  identity, data, seed = run.identity, run.data, run.identity.seed
  experiment = identity.experiment
  if (name := identity.method) not in METHODS:
    raise UserError(f'{path} is of {name}, which has no adapter and no checkpoint of its own')
  method = METHODS[name]
  if not method.pretrained:
    base = None
  elif base is None:
    if run.starts_from is None:
      raise UserError(f'{path} does not say what it starts from; {storage.RUN_AGAIN}')
    is_place = '://' in run.starts_from
    base = load_base(storage.place(run.starts_from) if is_place else path.parent / run.starts_from)
  model = method.model(experiment.model)
  objective = Classify(model, len(data.classes), experiment.precision)
  # As the run started: a head that is itself adapted keeps the kernels that were drawn, and no checkpoint
  # holds them.
  settings = Settings.from_experiment(experiment)
  prepared = prepare(base, objective, method, settings, seed)
  checkpoints = Checkpoints(path.with_suffix('') / 'checkpoints')
  trained = checkpoints.variables(run.step, prepared.trainable | prepared.statistics)
  card = {
    **method_entries(method.name, settings, model),
    'classes': data.classes,
    'normalizer': data.normalizer,
    'signals': run.signals,
    'metrics': {
      'validation': {'macro_f1': run.validated.macro_f1, 'accuracy': run.validated.accuracy},
      'test': {'macro_f1': run.test.macro_f1, 'accuracy': run.test.accuracy},
    },
    'split': {'by': data.split, 'windows': msgspec.to_builtins(data.windows)},
    'training': {
      'random_state': seed,
      'step': run.step,
      'target': identity.target,
      'tta_shifts': experiment.protocol.tta_shifts,
    },
  }
  return base, make_adapter(base, prepared.variables | trained, card)

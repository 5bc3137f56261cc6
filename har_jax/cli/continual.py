"""Adapt to people, datasets or positions that arrive one after another, in bounded memory.

har-jax continual --windows=windows --target=hapt
har-jax continual --windows=windows --targets=hapt,dsads/left_leg --strategy=router
"""

import pathlib
from typing import Any

from har_jax import config
from har_jax.cli import command, outputs
from har_jax.cli.command import HELP
from har_jax.errors import UserError

COMMON = (
  'windows',
  'target',
  'targets',
  'base',
  'strategy',
  'rank',
  'memory_kb',
  'labels_per_activity',
  'steps_per_domain',
  'out',
)
FLAGS = command.new_flags(with_json=True)
_define = command.definer(FLAGS)
_WINDOWS = _define('windows', 'windows')
_TARGET = _define('target')
_TARGETS = _define('targets', [])
_BASE = _define('base', None, f'{HELP["base"]} (default: the bundled base)')
_STRATEGY = _define(
  'strategy',
  'replay',
  'sequential: the same adapter on and on; replay: also stored windows; ewc: a penalty on changes; '
  'average: of an adapter for each domain; router: chooses one of them; joint: all windows at once',
)
_METHOD = _define('method', 'lora')
_RANK = _define('rank', 32, 'rank of LoRA and QLoRA; alpha is twice the rank', lower_bound=1)
_MEMORY = _define('memory_kb', 500, 'for replay: kilobytes of stored windows of all domains', lower_bound=1)
_PENALTY = _define('penalty', 1e5, 'for ewc: weight of the squared changes of earlier weights')
_LABELS = _define('labels_per_activity', 10, lower_bound=0)
_STEPS = _define('steps_per_domain', 100, 'training steps on each domain', lower_bound=1)
_BATCH = _define('batch', 32, 'windows per step', lower_bound=1)
_RATE = _define('learning_rate', 1e-3, 'peak learning rate')
_CLASSES = _define('classes', 'locomotion', config.Protocol.__dataclass_fields__['classes'].metadata['help'])
_MOST = _define('people', 0, 'so many people of each dataset, drawn; 0: all', lower_bound=0)
_SEED = _define('seed', 0, lower_bound=0, upper_bound=2**32 - 1)
_OUT = _define('out', 'runs/continual', 'folder for the adapter; an unfinished run there goes on')


def main() -> dict[str, Any]:
  if bool(_TARGET.value) == bool(_TARGETS.value):
    raise UserError('give --target= the dataset whose people are the domains, or --targets= several datasets')
  outputs.check_given('base', _BASE.value)
  from har_jax import files, records, storage
  from har_jax.continual import domains, run, strategies
  from har_jax.datasets.datasets import Datasets
  from har_jax.report import curves

  settings = strategies.Settings(
    strategy=_STRATEGY.value,
    method=_METHOD.value,
    rank=_RANK.value,
    steps=_STEPS.value,
    batch=_BATCH.value,
    learning_rate=_RATE.value,
    memory_kb=_MEMORY.value,
    penalty=_PENALTY.value,
    seed=_SEED.value,
  )
  given: dict[str, Any] = {'labels': _LABELS.value, 'seed': _SEED.value, 'classes': _CLASSES.value}
  given['most'] = _MOST.value
  datasets, out = Datasets.open(pathlib.Path(_WINDOWS.value)), pathlib.Path(_OUT.value)
  flag, targets = ('target', [_TARGET.value]) if _TARGET.value else ('targets', _TARGETS.value)
  names = list(dict.fromkeys(target.partition('/')[0] for target in targets))
  command.check_choices(flag, names, datasets.names)
  base = files.bundled_base() if _BASE.value is None else files.load_base(_BASE.value)
  datasets.check_windowing(names, base.model.windowing)
  if _TARGET.value:
    stream = domains.stream_people(datasets, _TARGET.value, **given)
  else:
    stream = domains.stream_datasets(datasets, _TARGETS.value, **given)
  print(f'{len(stream.domains)} domains, {len(stream.classes)} activities: {", ".join(stream.classes)}.')
  outputs.warn_of_known_people(base.card, [datasets[name] for name in names])
  found = run.run(settings, settings.learner(base, stream), out, _print_domain)
  storage.write_text(out / 'matrix.svg', curves.continual(found))
  _print_summary(found)
  is_routed = not (out / 'adapter.json').exists()
  print(f'{out}/domain<k>: an adapter for each domain' if is_routed else out / 'adapter.json')
  entries = records.to_json(found)
  return {'out': out, **{name: entries[name] for name in entries if name not in ('format', 'identity')}}


def _print_domain(entry) -> None:
  scores = [score for score in entry.macro_f1 if score is not None]
  mean = f'{sum(scores) / len(scores):.3f}' if scores else '–'
  print(
    f'{entry.domain}: macro-F1 {mean} on average over all domains, {entry.bytes / 1e6:.2f} MB kept, '
    f'{entry.seconds:.1f} s',
    flush=True,
  )


def _print_summary(card) -> None:
  texts = [
    f'{name.replace("_", " ")} {value:.3f}' for name, value in card.macro_f1.items() if value is not None
  ]
  print(f'Macro-F1 after the last domain: {", ".join(texts)}; {card.bytes / 1e6:.2f} MB kept.')
  print(f'People who are in no domain: macro-F1 {card.unseen.macro_f1:.3f}.')

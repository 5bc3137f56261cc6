"""Adapt to people, datasets or positions that arrive one after another, in bounded memory.

har-jax continual --windows=windows --target=hapt
har-jax continual --windows=windows --targets=hapt,dsads/left_leg --strategy=router
"""

import pathlib
from typing import Any

from har_jax.cli import command, user_files
from har_jax.cli.command import HELP
from har_jax.continual.settings import Settings
from har_jax.errors import UserError, counted

COMMON = 'windows target targets base strategy rank memory_kb labels_per_activity steps_per_domain out'
FLAGS, _define = command.new_flags(with_json=True)
_WINDOWS = _define('windows', 'windows')
_TARGET = _define('target', None, 'dataset whose people are the domains; some of them are in none')
_TARGETS = _define('targets', [], 'datasets, each of which is a domain; dsads/left_leg: a position of one')
_BASE = _define('base', None, f'{HELP["base"]} (default: the bundled base)')
_settings = command.define_fields(FLAGS, Settings, steps='steps_per_domain')
_LABELS = _define('labels_per_activity', 10, lower_bound=0)
_CLASSES = _define('classes', 'locomotion', 'activities to classify: locomotion or all')
_MOST = _define('people', 0, 'number of people of each dataset, drawn; 0: all', lower_bound=0)
_OUT = _define('out', 'runs/continual', 'folder for the adapter; an unfinished run there goes on')


def main() -> dict[str, object]:
  if bool(_TARGET.value) == bool(_TARGETS.value):
    raise UserError('give --target= the dataset whose people are the domains, or --targets= several datasets')
  user_files.check_given('base', _BASE.value)
  from har_jax import files, records, storage
  from har_jax.continual import domains, run
  from har_jax.datasets.datasets import Datasets
  from har_jax.report import curves

  settings = Settings(**_settings())
  options: dict[str, Any] = {'labels': _LABELS.value, 'seed': settings.seed, 'classes': _CLASSES.value}
  options['most'] = _MOST.value
  datasets, out = Datasets.open(pathlib.Path(_WINDOWS.value)), pathlib.Path(_OUT.value)
  names = list(dict.fromkeys(target.partition('/')[0] for target in _TARGETS.value or [_TARGET.value]))
  base = files.bundled_base() if _BASE.value is None else files.load_base(_BASE.value)
  datasets.check_windowing(names, base.model.windowing)
  if _TARGET.value:
    stream = domains.stream_people(datasets, _TARGET.value, **options)
  else:
    stream = domains.stream_datasets(datasets, _TARGETS.value, **options)
  activities = counted(len(stream.classes), 'activity', 'activities')
  print(f'{len(stream.domains)} domains, {activities}: {", ".join(stream.classes)}.')
  user_files.warn_of_known_people(base.card, [datasets[name] for name in names])
  card = run.run(settings, settings.learner(base, stream), out, _print_domain)
  storage.write_text(out / 'matrix.svg', curves.continual(card))
  assert card.unseen is not None
  texts = [
    f'{name.replace("_", " ")} {value:.3f}' for name, value in card.macro_f1.items() if value is not None
  ]
  print(f'Macro-F1 after the last domain: {", ".join(texts)}; {card.bytes / 1e6:.2f} MB kept.')
  print(f'People who are in no domain: macro-F1 {card.unseen.macro_f1:.3f}.')
  is_routed = not (out / 'adapter.json').exists()
  print(f'{out}/domain<k>: an adapter for each domain' if is_routed else out / 'adapter.json')
  entries = records.to_json(card)
  return {'out': out, **{name: entries[name] for name in entries if name not in ('format', 'identity')}}


def _print_domain(entry) -> None:
  scores = [score for score in entry.macro_f1 if score is not None]
  mean = f'{sum(scores) / len(scores):.3f}' if scores else '–'
  print(
    f'{entry.domain}: macro-F1 {mean} on average over all domains, {entry.bytes / 1e6:.2f} MB kept, '
    f'{entry.seconds:.1f} s',
    flush=True,
  )

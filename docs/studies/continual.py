"""Measure continual adaptation, write results/continual.csv, and fill its page.

python docs/studies/continual.py --windows=<folder of har-jax prepare>
python docs/studies/continual.py --nomeasure

Rows that the table has are not measured again. Needs about an hour.
"""

import functools
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import pandas as pd
import study

from har_jax import files, runtime
from har_jax.cli import report
from har_jax.continual import domains, run
from har_jax.continual.settings import Settings
from har_jax.datasets.datasets import Datasets
from har_jax.report import csv_table, markdown

FLAGS, _define = study.new_flags()
_WINDOWS = _define('windows', 'windows')
TABLE, PAGE = study.places('continual')
_LABELS = 10
# Title → what differs between the streams.
_STREAMS: dict[str, dict[str, Any]] = {
  'datasets': {'targets': 'hapt,pdiot,weda_fall,dsads/left_leg', 'classes': 'all', 'people': 4, 'steps': 64},
  'people of hapt': {'targets': 'hapt', 'classes': 'locomotion', 'people': 6, 'steps': 48},
}
_KEY = ['stream', 'strategy', 'rank', 'memory_kb', 'seed']
_ALL = ('sequential', 'replay', 'router', 'joint')
_RANK_32 = ('replay', 'router')
_MEMORY_KB = 500


def _cases() -> Iterator[dict[str, Any]]:
  """What is measured."""
  plain = {'rank': 2, 'memory_kb': _MEMORY_KB}
  for seed in range(3):
    for stream in _STREAMS:
      for strategy in _ALL:
        yield plain | {'stream': stream, 'seed': seed, 'strategy': strategy}
  other = [{'strategy': 'replay', 'memory_kb': 100}, *({'strategy': name, 'rank': 32} for name in _RANK_32)]
  for seed in range(3):
    yield from (plain | {'stream': 'datasets', 'seed': seed} | changed for changed in other)
    yield plain | {'stream': 'people of hapt', 'seed': seed} | other[0]


def _measured(case: study.Row) -> Iterator[study.Row]:
  entries = _STREAMS[case['stream']]
  options = {name: case[name] for name in ('strategy', 'rank', 'memory_kb', 'seed')}
  settings = Settings(steps=entries['steps'], **options)
  learner = _learner(case['stream'], case['seed'], case['rank'])
  with tempfile.TemporaryDirectory() as out:
    card = run.run(settings, learner, pathlib.Path(out))
  assert card.unseen is not None
  domains, versions = len(learner.stream.domains), runtime.versions()
  scores = {name: card.macro_f1[name] for name in ('average', 'forgetting', 'forward_transfer')}
  row = case | entries | {'labels_per_activity': _LABELS, 'domains': domains} | scores
  row |= {f'accuracy_{name}': card.accuracy[name] for name in ('average', 'forgetting')}
  yield row | {
    'unseen_macro_f1': card.unseen.macro_f1,
    'bytes': card.bytes,
    'seconds': card.seconds / domains,
    'split': 'subject',
    'device': runtime.device().kind,
    'versions': ' '.join(f'{name} {versions[name]}' for name in ('har_jax', 'jax', 'flax')),
    'commit': _commit(),
  }


@functools.lru_cache(maxsize=1)
def _learner(name: str, seed: int, rank: int) -> Any:
  """Learner of a stream and seed, which all strategies share."""
  entries = _STREAMS[name]
  shared = {'labels': _LABELS, 'seed': seed, 'classes': entries['classes'], 'most': entries['people']}
  datasets, targets = Datasets.open(pathlib.Path(_WINDOWS.value)), entries['targets'].split(',')
  if len(targets) == 1:
    stream = domains.stream_people(datasets, targets[0], **shared)
  else:
    stream = domains.stream_datasets(datasets, targets, **shared)
  return Settings(steps=entries['steps'], rank=rank, seed=seed).learner(files.bundled_base(), stream)


_commit = functools.cache(report.commit)  # as it is when the first row is measured


def block() -> str:
  """What was measured, and a table for each stream: means over the seeds, with their standard deviation."""
  rows = csv_table.read(TABLE)
  text = (
    f'{_LABELS} labeled windows per activity and person. In percent, as mean ± standard deviation over '
    'three seeds, each with its own order of the domains, split and draws. Macro-F1, but for the two '
    'columns of accuracy. “Average” is of all domains after the last one. “Forgetting” is the best '
    'score on a domain minus the last one. “Forward transfer” is the score on a domain just before '
    'training on it, minus that of the base. “Unseen” are people who are in no domain. “Below '
    'joint” is in points of the average. One window that is taken for an activity of another domain costs '
    'much macro-F1, since it counts that activity, and little accuracy. MB are those of all arrays that are '
    'kept for the next domain. Seconds are per domain, on a machine that was busy.'
  )
  return '\n\n'.join([text, *(_table(rows[rows['stream'] == name], name) for name in _STREAMS)])


def _table(rows: pd.DataFrame, title: str) -> str:
  group = ['strategy', 'rank', 'memory_kb']
  joint = rows[rows['strategy'] == 'joint'].set_index(['rank', 'seed'])['average']
  below = joint.reindex(pd.MultiIndex.from_frame(rows[['rank', 'seed']])).to_numpy() - rows['average']
  rows = rows.assign(below=below, strategy=pd.Categorical(rows['strategy'], _ALL))
  shown = [_shown(of_group) for _, of_group in rows.groupby(group, observed=True)]
  first = rows.iloc[0]
  head = (
    f'**{title}**: {first["targets"].replace(",", ", ")}; {first["domains"]} domains, {first["classes"]} '
    f'activities, {first["steps"]} steps on each domain.'
  )
  return f'{head}\n\n{markdown.tabulated(pd.DataFrame(shown))}'


def _shown(rows: pd.DataFrame) -> dict[str, str]:
  first = rows.iloc[0]
  name = first['strategy']
  return {
    'strategy': f'{name}, {first["memory_kb"]} kB' if name == 'replay' else name,
    'rank': str(first['rank']),
    'seeds': str(len(rows)),
    'average': _percent(rows['average']),
    'below joint': markdown.NONE if name == 'joint' else _percent(rows['below']),
    'forgetting': _percent(rows['forgetting']),
    'accuracy': _percent(rows['accuracy_average']),
    'accuracy forgotten': _percent(rows['accuracy_forgetting']),
    'forward transfer': _percent(rows['forward_transfer']),
    'unseen': _percent(rows['unseen_macro_f1']),
    'MB': f'{rows["bytes"].mean() / 1e6:.2f}',
    'seconds': f'{rows["seconds"].mean():.0f}',
  }


def _percent(values: pd.Series) -> str:
  if values.isna().any():
    return markdown.NONE
  return f'{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}'


if __name__ == '__main__':
  study.run(__name__, lambda: study.resume(TABLE, _cases(), _measured, _KEY))

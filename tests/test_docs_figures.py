"""The tables in README.md and docs/results.md say what the result files say, cell by cell."""

import json
import pathlib
import statistics
from collections.abc import Sequence

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_SEEDS = (0, 1, 2)
_TARGETS = {'HAPT': 'hapt', 'MotionSense': 'motionsense', 'DSADS': 'dsads', 'WISDM phone': 'wisdm'}
_METHODS = {'full': 'full', 'LoRA': 'lora', 'QLoRA': 'qlora', 'probe': 'probe', 'from scratch': 'scratch'}
_DESCRIBED, _TURNED, _STILL = 'described/turned', 'paper/turned', 'paper/base'

Row = dict[str, str]


def _tables(path: str, column: str) -> list[list[Row]]:
  """Those of a Markdown file that have this column."""
  tables: list[list[list[str]]] = [[]]
  for line in (_ROOT / path).read_text(encoding='utf-8').splitlines():
    if line.startswith('|'):
      tables[-1].append([cell.strip() for cell in line.strip('|').split('|')])
    elif tables[-1]:
      tables.append([])
  found = [table for table in tables if table and column in table[0]]
  assert found, f'{path} has no table with a column {column!r}'
  return [[dict(zip(table[0], cells, strict=True)) for cells in table[2:]] for table in found]


def _carried(rows: Sequence[Row], column: str) -> list[Row]:
  """An empty cell stands for the one above it."""
  last = ''
  carried = []
  for row in rows:
    last = row[column] or last
    carried.append(row | {column: last})
  return carried


def _scores(
  folder: str, target: str, method: str, split: str, labels: str = '0.7', key: str = 'macro_f1'
) -> list[float]:
  place = _ROOT / 'results' / folder / target / method / split / f'labels-{labels.replace("/", "-per-")}'
  files = [place / f'seed{seed}.json' for seed in _SEEDS]
  return [json.loads(path.read_text(encoding='utf-8'))['test'][key] for path in files]


def _short(number: float, form: str) -> str:
  return format(number, form).replace('0.', '.')


def _share(values: Sequence[float]) -> str:
  return f'{_short(statistics.mean(values), ".3f")} ± {_short(statistics.stdev(values), ".3f")}'


def _points(own: Sequence[float], other: Sequence[float]) -> list[float]:
  return [100 * (a - b) for a, b in zip(own, other, strict=True)]


def _signed(points: Sequence[float]) -> str:
  return f'{statistics.mean(points):+.1f} ± {statistics.stdev(points):.1f}'.replace('-', '−')


def _mean_signed(of_targets: Sequence[Sequence[float]]) -> str:
  return f'{statistics.mean(map(statistics.mean, of_targets)):+.1f}'.replace('-', '−')


def test_the_headline_table():
  (rows,) = _tables('README.md', 'gained by descriptors, points')
  wanted = {
    'by subject: turned, with descriptors': (_DESCRIBED, 'subject'),
    'by subject, as they are': (_STILL, 'subject'),
    'by window (optimistic)': (_STILL, 'window'),
  }
  rows = _carried(rows, 'target')
  assert len(rows) == (len(_TARGETS) + 1) * len(_METHODS)
  for row in rows:
    name, method = row['target'].partition(',')[0], _METHODS[row['method']]
    targets = [_TARGETS[name]] if name in _TARGETS else list(_TARGETS.values())
    found = {
      column: [_scores(folder, target, method, split) for target in targets]
      for column, (folder, split) in wanted.items()
    }
    described, *_ = found.values()
    turned, full = (
      [_scores(*other, 'subject') for other in others]
      for others in (
        [(_TURNED, target, method) for target in targets],
        [(_DESCRIBED, target, 'full') for target in targets],
      )
    )
    gained, less = (
      [_points(*pair) for pair in zip(described, other, strict=True)] for other in (turned, full)
    )
    if name in _TARGETS:
      expected = {column: _share(of[0]) for column, of in found.items()}
      expected |= {'gained by descriptors, points': _signed(gained[0]), '− full, points': _signed(less[0])}
    else:
      expected = {
        column: _short(statistics.mean(map(statistics.mean, of)), '.3f') for column, of in found.items()
      }
      expected |= {
        'gained by descriptors, points': _mean_signed(gained),
        '− full, points': _mean_signed(less),
      }
    if method == 'full':
      expected['− full, points'] = ''
    assert {column: row[column] for column in expected} == expected, row


def test_the_table_of_how_near_adapters_come():
  (rows,) = _tables('docs/results.md', 'and four looks')
  folders = dict(zip(list(rows[0])[2:], (_STILL, _TURNED, _DESCRIBED, 'shifted'), strict=True))
  for row in _carried(rows, 'difference'):
    pair = {'LoRA − full': ('lora', 'full'), 'QLoRA − LoRA': ('qlora', 'lora')}[row['difference']]
    targets = [_TARGETS[row['target']]] if row['target'] in _TARGETS else list(_TARGETS.values())
    for column, folder in folders.items():
      less = [_points(*(_scores(folder, target, method, 'subject') for method in pair)) for target in targets]
      assert row[column] == (_signed(less[0]) if len(less) == 1 else _mean_signed(less)), (row, column)


def test_the_table_of_what_descriptors_gain():
  (rows,) = _tables('docs/results.md', 'gained, full')
  names = ('full', 'LoRA', 'QLoRA', 'from scratch')
  for row in rows:
    labels = {'70 %': '0.7', '10 %': '0.1', '10 a class': '10/class'}[row['labels']]
    gained, reached = [], []
    for name in names:
      described, turned = (
        [_scores(folder, target, _METHODS[name], 'subject', labels) for target in _TARGETS.values()]
        for folder in (_DESCRIBED, _TURNED)
      )
      gained.append(_mean_signed([_points(*pair) for pair in zip(described, turned, strict=True)]))
      reached.append(_short(statistics.mean(map(statistics.mean, described)), '.3f'))
    assert list(row.values())[1:] == [*gained, *reached], row


def test_the_table_of_labels():
  (rows,) = _tables('docs/results.md', 'by subject: full')
  columns = list(rows[0])
  for row in rows:
    number, unit, *_ = row['labels'].split()
    labels = f'{float(number) / 100:g}' if unit == '%' else f'{number}/class'
    for split, place in (('subject', 1), ('window', 5)):
      full, lora, scratch = (
        _scores(_STILL, 'hapt', method, split, labels) for method in ('full', 'lora', 'scratch')
      )
      accuracies = [_scores(_STILL, 'hapt', method, split, labels, 'accuracy') for method in ('lora', 'full')]
      ratio = _share([a / b for a, b in zip(*accuracies, strict=True)])
      told = [row[column] for column in columns[place : place + 4]]
      assert told == [_share(full), _share(lora), ratio, _share(scratch)], row


@pytest.mark.parametrize(
  ('number', 'folder', 'gone_on', 'not_run', 'labeled'),
  [
    (0, _DESCRIBED, 'unlabeled-described', '0.1', 'labeled-described'),
    (1, _TURNED, 'unlabeled-turned', '', ''),
    (2, _STILL, 'unlabeled', '', 'labeled'),
  ],
)
def test_the_tables_of_what_pretraining_is_worth(
  number: int, folder: str, gone_on: str, not_run: str, labeled: str
):
  tables = _tables('docs/results.md', 'full, gone on')
  assert len(tables) == 3
  compared = {
    'full': (folder, 'full'),
    'LoRA': (folder, 'lora'),
    'QLoRA': (folder, 'qlora'),
    'full, gone on': (gone_on, 'full'),
    'LoRA, gone on': (gone_on, 'lora'),
  }
  if labeled:
    compared |= {'full, and labels': (labeled, 'full'), 'LoRA, and labels': (labeled, 'lora')}
  for row in _carried(tables[number], 'labels'):
    labels = {'10 %': '0.1', '10 a class': '10/class'}[row['labels']]
    targets = [_TARGETS[row['target']]] if row['target'] in _TARGETS else list(_TARGETS.values())
    scratch = [_scores(folder, target, 'scratch', 'subject', labels) for target in targets]
    worth = {
      column: [
        _points(_scores(place, target, method, 'subject', labels), nothing)
        for target, nothing in zip(targets, scratch, strict=True)
      ]
      for column, (place, method) in compared.items()
      if not (labels == not_run and place == gone_on)
    }
    one = len(targets) == 1
    expected = dict.fromkeys(compared, '–')
    expected |= {column: _signed(of[0]) if one else _mean_signed(of) for column, of in worth.items()}
    expected['scratch'] = _share(scratch[0]) if one else ''
    assert {column: row[column] for column in expected} == expected, row


def test_the_table_of_contrast():
  (rows,) = _tables('docs/results.md', 'full, contrasted')
  for row in _carried(rows, 'labels'):
    labels = {'10 %': '0.1', '10 a class': '10/class'}[row['labels']]
    targets = [_TARGETS[row['target']]] if row['target'] in _TARGETS else list(_TARGETS.values())
    one = len(targets) == 1

    def reached(method: str, targets: Sequence[str] = targets, labels: str = labels) -> list[list[float]]:
      return [_scores('contrasted', target, method, 'subject', labels) for target in targets]

    def told(of: list[list[float]], one: bool = one) -> str:
      return _share(of[0]) if one else _short(statistics.mean(map(statistics.mean, of)), '.3f')

    scratch = reached('scratch')
    expected = {'scratch, float32': told(scratch)}
    for name in ('full', 'LoRA', 'QLoRA'):
      if (name, labels) == ('QLoRA', '0.1'):  # which was not run
        expected |= {f'{name}, contrasted': '–', f'{name} over it': '–'}
        continue
      of = reached(_METHODS[name])
      worth = [_points(*pair) for pair in zip(of, scratch, strict=True)]
      expected |= {
        f'{name}, contrasted': told(of),
        f'{name} over it': _signed(worth[0]) if one else _mean_signed(worth),
      }
    assert {column: row[column] for column in expected} == expected, row


def test_the_table_of_self_training():
  (rows,) = _tables('docs/results.md', 'gained by it, full')
  assert [row['target'] for row in rows] == [*_TARGETS, 'mean of targets']
  once = {'full': 'labeled-described', 'LoRA': 'labeled-described', 'scratch': _DESCRIBED}
  method = {'full': 'full', 'LoRA': 'lora', 'scratch': 'scratch'}
  for row in rows:
    targets = [_TARGETS[row['target']]] if row['target'] in _TARGETS else list(_TARGETS.values())
    reached, before = (
      {
        name: [_scores(folder(name), target, method[name], 'subject', '10/class') for target in targets]
        for name in once
      }
      for folder in (lambda name: 'taught-described', once.__getitem__)
    )
    worth = {
      f'{name} − scratch': [_points(*pair) for pair in zip(reached[name], reached['scratch'], strict=True)]
      for name in ('full', 'LoRA')
    }
    worth |= {
      column: [_points(*pair) for pair in zip(reached[name], before[name], strict=True)]
      for column, name in zip(('gained by it, full', 'LoRA, gained', 'scratch, gained'), once, strict=True)
    }
    if len(targets) == 1:
      expected = {name: _share(of[0]) for name, of in reached.items()}
      expected |= {name: _signed(of[0]) for name, of in worth.items()}
    else:
      expected = {
        name: _short(statistics.mean(map(statistics.mean, of)), '.3f') for name, of in reached.items()
      }
      expected |= {name: _mean_signed(of) for name, of in worth.items()}
    assert {column: row[column] for column in expected} == expected, row


def test_the_table_of_shifts():
  (rows,) = _tables('docs/results.md', 'full, four looks')
  assert [row['target'] for row in rows] == [*_TARGETS, 'mean of targets']
  methods = {'full': 'full', 'LoRA': 'lora', 'QLoRA': 'qlora', 'scratch': 'scratch'}
  for row in rows:
    targets = [_TARGETS[row['target']]] if row['target'] in _TARGETS else list(_TARGETS.values())
    often, once = (
      {
        name: [_scores(folder, target, method, 'subject') for target in targets]
        for name, method in methods.items()
      }
      for folder in ('shifted', _DESCRIBED)
    )
    gained = {
      f'{name}, more': [_points(*pair) for pair in zip(often[name], once[name], strict=True)]
      for name in methods
    }
    gained |= {
      column: [_points(*pair) for pair in zip(often[one], often[other], strict=True)]
      for column, one, other in (('LoRA − full', 'LoRA', 'full'), ('QLoRA − LoRA', 'QLoRA', 'LoRA'))
    }
    if len(targets) == 1:
      expected = {f'{name}, four looks': _share(of[0]) for name, of in often.items()}
      expected |= {column: _signed(of[0]) for column, of in gained.items()}
    else:
      expected = {
        f'{name}, four looks': _short(statistics.mean(map(statistics.mean, of)), '.3f')
        for name, of in often.items()
      }
      expected |= {column: _mean_signed(of) for column, of in gained.items()}
    assert {column: row[column] for column in expected} == expected, row


def test_the_table_of_hapts_own_split():
  (rows,) = [table for table in _tables('docs/results.md', 'QLoRA') if 'what' in table[0]]
  folders = (
    'official-described',
    'official-described-long',
    'official-shifted',
    'official-turned',
    'official-long',
    'official',
    'unlabeled',
  )
  for row, folder in zip(rows, folders, strict=True):
    for name in ('full', 'LoRA', 'QLoRA'):
      assert row[name] == _share(_scores(folder, 'hapt', _METHODS[name], 'official')), (folder, name)


def test_the_table_of_longer_runs_by_window():
  (rows,) = _tables('docs/results.md', 'length')
  folders = {
    '50 epochs, tested on four shifts': 'long-shifted',
    '50 epochs': 'long-described',
    '2,400 steps': 'long',
  }
  for row in _carried(rows, 'length'):
    for name in ('full', 'LoRA', 'QLoRA'):
      folder, target = folders[row['length']], _TARGETS[row['target']]
      runs = list(
        (_ROOT / 'results' / folder / target / _METHODS[name] / 'window/labels-0.7').glob('seed?.json')
      )
      whole = len(runs) == len(_SEEDS)
      expected = _share(_scores(folder, target, _METHODS[name], 'window')) if whole else '–'
      assert row[name] == expected, row

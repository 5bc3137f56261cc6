"""The paper's tables out of result files, beside its own figures. Needs no JAX.

Results that differ in what a table does not compare never share a section of it.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from har_jax import config, config_fields
from har_jax.errors import UserError
from har_jax.report import families, provenance, published, section, significance, sweeps, tables
from har_jax.report.groups import Group
from har_jax.report.section import NONE, Footnotes, Row, Section, megabytes, span, spread, spread_of

Result = dict[str, Any]
_ADAPTED = ('lora', 'qlora')
_NOT_OF_SWEEPS = ('2', '5', 'leakage', 'statistics')
_THEIR_MODEL = "the published figures are of the paper's model (preset `paper`) with a head for nine classes"


def markdown(results: Sequence[Result], names: Sequence[str] = ('all',), *, beside: bool = True) -> str:
  """The tables of these names ('2' to '7', 'leakage', 'pretraining', 'rotation', 'statistics'; 'all'), in this order.

  `beside`: with the published figures. Beside Tables VI and VII the others leave a sweep's points to these.
  Raises UserError for another name, and where one run occurs twice.
  """
  if unknown := [name for name in names if name not in (*TABLES, 'all')]:
    raise UserError(f'no table {", ".join(unknown)}; one of {", ".join(TABLES)}, all')
  chosen = list(TABLES) if 'all' in names else list(dict.fromkeys(names))
  if not {'6', '7'} <= set(chosen):
    return '\n'.join(TABLES[name](results, beside) for name in chosen)
  kept = families.without_sweeps(results)
  made = [TABLES[name](kept if name in _NOT_OF_SWEEPS else results, beside) for name in chosen]
  if left := len(results) - len(kept):
    made[0] += f'\n{left} runs more, points of sweeps over rank or labels, are in Tables VI and VII.\n'
  return '\n'.join(made)


# --- Table III


def table3(results: Sequence[Result], *, beside: bool = True) -> list[Section]:
  """Weights that train and all weights, for each model."""
  return [
    _of_methods('Table III. Parameters', _PARAMETERS, of_model, _parameters, _COUNTED if beside else ())
    for of_model in _by_config(results, ('model',))
  ]


_COUNTED = ('published trainable', 'published total')
_PARAMETERS = 'Weights that train and all weights of the encoder, head and adapters. A range is over targets, whose heads differ.'


def _parameters(method: str, runs: Sequence[Result]) -> tuple[Row, tuple[str, ...] | None]:
  counted = [run['parameters'] for run in runs]
  own = {
    'classes': span(len(run['data']['classes']) for run in runs),
    'trainable': span((each['trainable'] for each in counted), '{:,}'),
    'total': span((each['total'] for each in counted), '{:,}'),
    'trainable share': span((100 * each['trainable'] / each['total'] for each in counted), '{:.1f} %'),
  }
  theirs = published.TABLE_III.get(method)
  return own, tuple(f'{figure:,}' for figure in theirs) if theirs else None


# --- Table IV


def table4(results: Sequence[Result], *, beside: bool = True) -> list[Section]:
  """Bytes held, for each model and precision."""
  found = [
    _of_methods('Table IV. Memory', f'{_MEMORY}{_precision(of)}', of, _memory, _HELD if beside else ())
    for of in _by_config(results, ('model', 'precision'))
  ]
  remarks = [_REMARK] if beside else []
  return [dataclasses.replace(own, footnotes=[*own.footnotes, *remarks]) for own in found]


_HELD = ('published frozen', 'published trainable', 'published buffers')
_MEMORY = (
  'Megabytes of 2²⁰ bytes that arrays hold, measured; activations and gradients are not counted. Buffers are the statistics of '
  'BatchNorm. A range is over targets, whose heads differ.'
)
# Worked out from the published counts: 2,636,105 and 428,832 weights of four bytes.
_REMARK = (
  "Of the published figures: the unit is not named, and 2²⁰ bytes are what fits its own counts. LoRA's 10.06 'frozen' are all 2,636,105 "
  'weights of four bytes each, trainable ones included; without those, 8.42 are frozen. QLoRA holds 6.22 and buffers of 4.82, '
  '11.04 beside 10.07 for LoRA: a byte a code and a float copy of the weights, so nothing was packed.'
)


def _precision(results: Sequence[Result]) -> str:
  config_fields = results[0]['identity']['experiment'].get('precision', {})
  return (
    f' Precision: {", ".join(f"{name} {value}" for name, value in config_fields.items())}.'
    if config_fields
    else ''
  )


_PARTS = {'frozen': 'frozen', 'trainable': 'trainable', 'buffers': 'statistics', 'optimizer': 'optimizer'}


def _memory(method: str, runs: Sequence[Result]) -> tuple[Row, tuple[str, ...] | None]:
  held = {
    name: [sum(run['bytes'][part].values()) if part in run['bytes'] else None for run in runs]
    for name, part in _PARTS.items()
  }
  own = {f'{name}, MB': megabytes(sizes) for name, sizes in held.items()}
  theirs = published.TABLE_IV.get(method)
  return own, tuple(f'{figure:.2f}' for figure in theirs) if theirs else None


# --- what Tables III and IV share: a row for each method of a model

Cells = Callable[[str, Sequence[Result]], tuple[Row, tuple[str, ...] | None]]


def _of_methods(
  title: str, said: str, results: Sequence[Result], cells: Cells, columns: Sequence[str]
) -> Section:
  """`columns`: of the published figures; none, and they are left out."""
  model, methods = results[0]['identity']['experiment']['model'], _methods(results)
  notes = Footnotes()
  rows = []
  for method in methods:
    for lora, runs in _by_adapters(method, results):
      own, theirs = cells(method, runs)
      mark = notes.mark(_foreign(model, lora)) if columns and theirs else ''
      shown = [f'{figure}{mark}' for figure in theirs] if theirs else [NONE] * len(columns)
      row = {'method': method, 'adapters': families.adapters(lora) if lora else NONE}
      rows.append(row | own | dict(zip(columns, shown, strict=False)))
  absent = [method for method in published.TABLE_III if method not in methods]
  missing = [f'No results of {", ".join(absent)}.'] if absent else []
  return Section(title, f'{said} Model: {families.model(model)}.', rows, [*notes.texts, *missing])


def _by_config(results: Sequence[Result], parts: Sequence[str]) -> list[list[Result]]:
  """Those of one model (and precision) together, in the order they come in."""
  found: dict[str, list[Result]] = {}
  for result in results:
    experiment = result['identity']['experiment']
    key = json.dumps([experiment.get(part) for part in parts], sort_keys=True)
    found.setdefault(key, []).append(result)
  return list(found.values())


def _by_adapters(
  method: str, results: Sequence[Result]
) -> Iterator[tuple[dict[str, Any] | None, list[Result]]]:
  """The runs of a method, apart by adapters where it has any."""
  own = [result for result in results if result['identity']['method'] == method]
  for runs in _by_config(own, ('lora',)) if method in _ADAPTED else [own]:
    yield (runs[0]['identity']['experiment']['lora'] if method in _ADAPTED else None), runs


def _methods(results: Sequence[Result]) -> list[str]:
  runs: dict[tuple[str, str], dict[int, Result]] = {('', each['identity']['method']): {} for each in results}
  return Group({}, runs, {}, {}).methods


def _foreign(model: dict[str, Any], lora: dict[str, Any] | None) -> str:
  """What to say where published counts are of another model; '' where they are of the same."""
  theirs = config_fields.to_json(config.PRESETS['paper']())
  same = model == theirs['model'] and (lora is None or lora == theirs['lora'])
  return '' if same else f'{_THEIR_MODEL}; these results are of another model or other adapters'


# --- Table V


def table5(results: Sequence[Result], *, beside: bool = True) -> list[Section]:
  """Seconds of training, for each experiment."""
  return [_seconds(family, beside=beside) for family in families.families(results)]


def _seconds(family: families.Family, *, beside: bool) -> Section:
  (group,) = family.members
  notes = Footnotes()
  rows = [
    _seconds_row(group, target, method, notes, beside=beside and group.budget == published.LABELS)
    for target in group.targets
    for method in group.methods
  ]
  unused = ['published s', 'published ÷ full'] if all(row['published s'] == NONE for row in rows) else []
  kept = [{name: cell for name, cell in row.items() if name not in unused} for row in rows]
  caption = ' '.join([_SECONDS, *_length(group), *_devices(group), *family.caption()])
  return Section(
    f'Table V. Seconds of training, {family.title()}', caption, kept, [*notes.texts, *family.missing()]
  )


_SECONDS = (
  'Seconds of fine-tuning, validations included and pretraining not: mean ± sample standard deviation over seeds. A '
  'ratio is paired by seed, of runs on the same device, as many side by side.'
)


def _seconds_row(group: Group, target: str, method: str, notes: Footnotes, *, beside: bool) -> Row:
  runs, full = (group.runs.get((target, name), {}) for name in (method, 'full'))
  ratios = [
    runs[seed]['seconds']['training'] / full[seed]['seconds']['training']
    for seed in runs
    if seed in full and method != 'full' and _conditions(runs[seed]) == _conditions(full[seed])
  ]
  row = {'target': target, 'method': method, 'seeds': f'n={len(runs)}' if runs else 'not run'}
  row['training, s'] = spread([run['seconds']['training'] for run in runs.values()], ',.1f')
  row['÷ full'] = spread_of(ratios, len(runs), '.2f')
  name, difference = published.SAME_RECORDINGS.get(target, (target, ''))
  theirs = published.TABLE_V.get(name, {}) if beside else {}
  if method not in theirs:
    return row | {'published s': NONE, 'published ÷ full': NONE}
  mark = notes.mark('published: 50 epochs on their CPU, by window; only the ratio compares', difference)
  return row | {
    'published s': f'{theirs[method]:,.0f}{mark}',
    'published ÷ full': NONE if method == 'full' else f'{theirs[method] / theirs["full"]:.2f}',
  }


def _conditions(run: Result) -> tuple[str, int]:
  return json.dumps(run['device'], sort_keys=True), run.get('side_by_side', 1)


def _length(group: Group) -> list[str]:
  training = group.experiment['finetune']
  capped = f', {training["max_steps"]:,} steps at most' if training['max_steps'] else ''
  early = '; runs may end early, so seconds are not of equally many steps' if training['patience'] else ''
  return [f'Fine-tuning: {training["epochs"]:g} epochs{capped}{early}.']


def _devices(group: Group) -> list[str]:
  counts = sorted({run.get('side_by_side', 1) for run in group.every_run})
  together = (
    f'Trained side by side in one program: {span(counts)} seeds; a run has the seconds of all of them.'
  )
  return [f'Device: {provenance.machines(group.every_run)}.', *([together] if counts != [1] else [])]


def _rendered(make: Callable[..., list[Section]]) -> Callable[[Sequence[Result], bool], str]:
  return lambda results, beside: section.markdown(make(results, beside=beside))


TABLES: dict[str, Callable[[Sequence[Result], bool], str]] = {
  '2': lambda results, beside: tables.table2(results, beside=beside),
  '3': _rendered(table3),
  '4': _rendered(table4),
  '5': _rendered(table5),
  '6': _rendered(sweeps.table6),
  '7': _rendered(sweeps.table7),
  'leakage': lambda results, beside: section.markdown(sweeps.leakage(results)),
  'pretraining': lambda results, beside: section.markdown(sweeps.pretraining(results)),
  'rotation': lambda results, beside: section.markdown(sweeps.rotation_std_deg(results)),
  'statistics': lambda results, beside: section.markdown(significance.sections(results)),
}

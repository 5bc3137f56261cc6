"""Results made by hand."""

import copy

import msgspec

from har_jax import config, config_fields, records, results

BYTES = {
  'frozen': {'params': 3 * 2**20},
  'trainable': {'lora': 2**20, 'params': 2**19},
  'statistics': {'batch_stats': 64},
  'optimizer': {'state': 3 * 2**20},
}
_BASELINES = ('forest', 'rocket')
DEVICE = {'platform': 'cpu', 'kind': 'cpu', 'count': 1, 'host_cores': 2, 'machine': 'x86_64'}


def result(
  *,
  target='wisdm',
  method='full',
  seed=0,
  macro_f1=0.9,
  subjects=None,
  checksum='sha256:aa',
  seconds=None,
  confusion=None,
  device=None,
  batch_runs=1,
  sources=('dsads', 'hhar'),
  label_budget='0.7',
  selective=None,
  **flags,
):
  """One result file's content: accuracy .01, precision .02 and recall .03 above macro-F1.

  `subjects`: test subject → macro-F1; the accuracy is one less it. `flags`: hyperparameters by their flags.
  """
  experiment = config_fields.to_json(config.Experiment())
  for flag, value in (flags | {'label_budget': label_budget}).items():
    part, name = config.HYPERPARAMETERS[flag]
    experiment[part][name] = value
  # Only signals that are not normalized have a stem.
  if 'normalize' in flags:
    experiment['model']['stem'] = []
  elif not experiment['model']['stem']:
    experiment['protocol']['normalize'] = 'train'
  names = sorted({target, *sources})
  steps = (0,) if method in (*_BASELINES, 'ensemble') else (30, 60)
  return {
    'format': results.FORMAT,
    'identity': {
      'target': target,
      'method': method,
      'seed': seed,
      'experiment': experiment,
      'windows': {
        name: {'checksum': checksum, 'windows': 1000, 'position': 'waist', 'sum': f'{name} {checksum}'}
        for name in names
      },
    },
    'starts_from': '../../../../pretrain',
    'collections': {
      **{'lora': ['lora'], 'ensemble': ['lora'], 'qlora': ['lora', 'nf4']},
      **dict.fromkeys(_BASELINES),
    }.get(method, []),
    'test': {
      'macro_f1': macro_f1,
      'accuracy': macro_f1 + 0.01,
      'precision': macro_f1 + 0.02,
      'recall': macro_f1 + 0.03,
      'confusion': confusion or [[9, 1], [2, 8]],
    },
    'selective': selective,
    'test_by_subject': {
      name: {'accuracy': 1 - f1, 'macro_f1': f1, 'precision': f1, 'recall': f1, 'confusion': [[1, 0], [0, 1]]}
      for name, f1 in (subjects or {}).items()
    },
    'validation': [{'step': step, 'macro_f1': macro_f1, 'seconds': step} for step in steps],
    'step': steps[-1],
    'seconds': {
      'training': 10.0 + seed if seconds is None else seconds,
      'pretraining': 100.0,
      'continued': 5.0,
    },
    'parameters': {'trainable': 1234567, 'total': 2345678},
    'bytes': copy.deepcopy(BYTES),
    'data': {
      'classes': ['walking', 'sitting'],
      'windows': {'train': 600, 'validation': 100, 'test': 300 + seed},
      'by_class': {'train': [300, 300], 'validation': [50, 50], 'test': [150, 150 + seed]},
      'subjects': {'train': ['1'], 'validation': ['2'], 'test': ['3', '4']},
      'position': 'waist',
      'split': 'subject-wise',
      'normalizer': {'mean': [0.0, 0.0], 'deviation': [9.80665, 1.0]},
    },
    'batch_runs': batch_runs,
    'versions': {'har_jax': '0.1.0', 'python': '3.11.7', 'jax': '0.10.2'},
    'device': DEVICE | (device or {}),
  }


def row(made, experiment, commit=''):
  """The row of a result file with this content."""
  return results.row(msgspec.convert(made, records.Result), experiment, commit)

"""Results made by hand."""

import copy

import pytest

LORA_BYTES = {
  'frozen': {'params': 3 * 2**20},
  'trainable': {'lora': 2**20, 'params': 2**19},
  'statistics': {'batch_stats': 64},
}
POSITIONS = {'dsads': 'torso', 'hhar': 'waist', 'hapt': 'waist', 'ucihar': 'waist', 'wisdm': 'pocket'}


@pytest.fixture
def result():
  """Makes one result file's content."""
  return _result


def _result(
  *,
  target='wisdm',
  method='full',
  seed=0,
  macro_f1=0.9,
  split='subject',
  labels='0.7',
  rank=32,
  checksum='sha256:aa',
  normalize='train',
  test_by_subject=None,
  confusion=None,
  validation=None,
):
  """One result file's content: accuracy .01, precision .02 and recall .03 above macro-F1.

  `test_by_subject` is by name the subject's macro-F1 or its whole entry.
  """
  subjects = {
    name: entry if isinstance(entry, dict) else {'accuracy': entry, 'macro_f1': entry}
    for name, entry in (test_by_subject or {}).items()
  }
  optional = {'test_by_subject': subjects, 'validation': validation}
  training = {'epochs': 50.0, 'max_steps': 0, 'patience': 0}
  names = sorted({target, 'dsads', 'hhar'})
  windows = {'code_version': '0.1.0', 'windows': 1000, 'checksum': checksum}
  return {
    'format': 'har_jax result 1',
    'identity': {
      'target': target,
      'method': method,
      'seed': seed,
      'experiment': {
        'model': {'patch': 16, 'width': 192, 'mlp_dim': 576, 'blocks': 6, 'head': [128]},
        'lora': {'rank': rank, 'alpha': 64.0, 'targets': ['query', 'up']},
        'protocol': {'split': split, 'labels': labels, 'normalize': normalize, 'classes': 'locomotion'},
        'pretrain': training,
        'finetune': training,
      },
      'windows': {name: windows | {'position': POSITIONS[name]} for name in names},
    },
    'test': {
      'accuracy': macro_f1 + 0.01,
      'macro_f1': macro_f1,
      'precision': macro_f1 + 0.02,
      'recall': macro_f1 + 0.03,
      **({'confusion': confusion} if confusion else {}),
    },
    **{name: value for name, value in optional.items() if value},
    'seconds': {'training': 10.0 + seed, 'pretraining': 100.0},
    'parameters': {'trainable': 1234567, 'total': 2345678},
    'bytes': copy.deepcopy(LORA_BYTES),
    'data': {
      'classes': ['walking', 'sitting'],
      'windows': {'train': 600, 'validation': 100, 'test': 300 + seed},
      'subjects': {'train': ['1'], 'validation': ['2'], 'test': ['3', '4']},
      'position': POSITIONS[target],
    },
    'versions': {'har_jax': '0.1.0', 'python': '3.11.7', 'jax': '0.10.2'},
    'device': {'platform': 'cpu', 'kind': 'cpu', 'count': 1, 'host_cores': 2, 'machine': 'x86_64'},
  }

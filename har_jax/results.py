"""Result files: their records, the row of each in the table of all runs, what differs between two. No JAX."""

import hashlib
import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

import msgspec

from har_jax import config, escaping, records
from har_jax.errors import UserError, shorten
from har_jax.storage import RUN_AGAIN, Place, files_below, read

FORMAT = records.format_of(records.Result)

# All methods depend on these, baselines too.
SHARED = ('split', 'test_fraction', 'validation_fraction', 'label_budget', 'classes')
# Only methods with adapters depend on these.
ADAPTERS = tuple(flag for flag, (part, _) in config.HYPERPARAMETERS.items() if part == 'lora')

AURC = 'aurc'  # area under the risk-coverage curve; not in rows that are older
MEASURED = (
  *('macro_f1', 'accuracy', 'precision', 'recall', AURC),  # fractions of one, on the test part
  *('seconds', 'pretraining_seconds'),  # of adaptation; of all stages before it
  *('frozen_bytes', 'trainable_bytes', 'statistics_bytes', 'optimizer_bytes'),
  *('trained_parameters', 'total_parameters', 'num_classes'),
  *('train_windows', 'validation_windows', 'test_windows', 'step', 'batch_runs'),
)
KEYS = ('experiment', 'target', 'method', 'split', 'label_budget', 'seed')
_ORIGIN = ('sources', 'windows', 'target_windows', 'device', 'versions', 'commit')
# Columns of results/runs.csv.
RUN_COLUMNS = (
  *KEYS,
  *MEASURED,
  *_ORIGIN,
  *(flag for flag in config.HYPERPARAMETERS if flag not in KEYS),
  'subject_macro_f1',  # '1=0.95 2=0.876', one entry a test subject, as `join_scores` writes them
  'confusion',  # JSON: activity → how often each activity was predicted for its test windows
)


def row(result: records.Result, experiment: str, commit: str = '') -> dict[str, Any]:
  """A result's row: RUN_COLUMNS → value, floats to six significant digits, None where it does not apply.

  `experiment` names the set of runs it belongs to; `commit` the code that made it.
  """
  identity, data, seconds = result.identity, result.data, result.seconds
  values = {
    'experiment': experiment,
    **{name: getattr(identity, name) for name in ('target', 'method', 'seed')},
    **{name: getattr(result.test, name) for name in ('macro_f1', 'accuracy', 'precision', 'recall')},
    AURC: None if result.selective is None else result.selective.aurc,
    'seconds': seconds['training'],
    'pretraining_seconds': sum(value for name, value in seconds.items() if name != 'training'),
    **{f'{part}_bytes': sum(sizes.values()) for part, sizes in msgspec.structs.asdict(result.bytes).items()},
    'trained_parameters': result.parameters.trainable,
    'total_parameters': result.parameters.total,
    'num_classes': len(data.classes),
    **{f'{part}_windows': getattr(data.windows, part) for part in ('train', 'validation', 'test')},
    'step': result.step,
    'batch_runs': result.batch_runs,
    'sources': ' '.join(sorted(set(identity.windows) - {identity.target})),
    'windows': _digest({name: _without_sum(windows) for name, windows in identity.windows.items()}),
    'target_windows': _digest(_identify(identity.windows[identity.target])),
    'device': str(result.device),
    'versions': _versions(result),
    'commit': commit,
    **{
      flag: flat(getattr(getattr(identity.experiment, part), name))
      for flag, (part, name) in config.HYPERPARAMETERS.items()
      # A baseline has no collections, and a method without adapters has none of its own.
      if flag in SHARED or (result.collections is not None and (result.collections or flag not in ADAPTERS))
    },
    'subject_macro_f1': join_scores(
      {subject: measured.macro_f1 for subject, measured in result.test_by_subject.items()}
    ),
    'confusion': json.dumps(
      dict(zip(data.classes, result.test.confusion, strict=True)), separators=(',', ':')
    ),
  }
  return {name: _rounded(values.get(name)) for name in RUN_COLUMNS}


def join_scores(scores: Mapping[str, float]) -> str:
  """Writes scores as 'subject=score', parted by blanks; what parts them is percent-encoded in names."""
  names = {
    subject: re.sub(r'[\s%=\x00-\x1f]', lambda match: urllib.parse.quote(match[0]), subject)
    for subject in scores
  }
  return ' '.join(f'{names[subject]}={score:.6g}' for subject, score in scores.items())


def split_scores(text: str) -> dict[str, float]:
  """Reads what `join_scores` wrote."""
  entries = (entry.rpartition('=') for entry in text.split())
  return {urllib.parse.unquote(subject): float(score) for subject, _, score in entries}


def _rounded(value: Any) -> Any:
  if isinstance(value, str):
    return escaping.xml_text(value)
  return float(f'{value:.6g}') if isinstance(value, float) else value


def flat(value: Any) -> Any:
  """A hyperparameter as its flag takes it."""
  return ','.join(map(str, value)) if isinstance(value, list | tuple) else value


def _digest(windows: Mapping[str, object]) -> str:
  """Names a set of windows folders; the same windows have the same name.

  By their archives' checksums, as in rows that are older than the windows' sums; `find` compares the sums.
  """
  return hashlib.sha256(json.dumps(windows, sort_keys=True).encode()).hexdigest()[:8]


def _identify(windows: records.IdentifiedWindows) -> dict[str, str | int | None]:
  """What identifies a target's windows. Of several positions, a target has the first."""
  entries = msgspec.to_builtins(windows)
  return {
    'checksum': windows.checksum or windows.sum,
    'position': windows.position.split(',')[0],
    'code_version': windows.code_version,
    **{name: value for name, value in entries.items() if name in ('window_samples', 'rate_hz')},
  }


def _without_sum(windows: records.IdentifiedWindows) -> dict[str, str | int]:
  """Omits the windows' checksum where their archive has one."""
  entries = msgspec.to_builtins(windows)
  return {name: value for name, value in entries.items() if name != 'sum' or not windows.checksum}


def _versions(result: records.Result | records.Personalization) -> str:
  return ' '.join(f'{name}={result.versions.get(name)}' for name in ('har_jax', 'jax', 'python'))


def personal_rows(result: records.Personalization, experiment: str, commit: str = '') -> list[dict[str, Any]]:
  """A row of the table of personalizations for each subject of a result."""
  identity, protocol = result.identity, result.identity.experiment.protocol
  return [
    {
      'experiment': experiment,
      'target': identity.target,
      'method': identity.method,
      'split': protocol.split,
      'label_budget': protocol.label_budget,
      'seed': identity.seed,
      'subject': subject,
      'labels_per_class': identity.personal_labels,
      **{f'{part}_windows': getattr(scores.windows, part) for part in ('train', 'test')},
      **{
        f'{name}_{when}': getattr(getattr(scores, when), name)
        for name in ('macro_f1', 'accuracy')
        for when in ('before', 'after')
      },
      'seconds': result.seconds,
      'device': str(result.device),
      'versions': _versions(result),
      'commit': commit,
    }
    for subject, scores in result.by_subject.items()
  ]


def find(folder: Place) -> dict[Place, records.Result]:
  """Path → result, of every result under a folder, by path.

  Raises UserError where there is none, one of another schema version, a damaged one, or where two are of
  different windows of one archive.
  """
  contents = {path: read(path) for path in files_below(folder, 'seed*.json')}
  kind, _, version = FORMAT.rpartition(' ')
  for path, result in contents.items():
    name, _, own_version = str(result.get('format', '')).rpartition(' ')
    if name == kind and own_version != version:
      raise UserError(f'{path} has schema version {own_version}, not {version}; delete it and run it again')
    if name != kind and 'identity' in result:  # a result whose first entry is damaged must not go uncounted
      raise UserError(f'{path} has the format {shorten(repr(result.get("format")))}; {RUN_AGAIN}')
  results = {
    path: records.check(result, records.Result, path, to_do=RUN_AGAIN)
    for path, result in contents.items()
    if result.get('format') == FORMAT
  }
  if not results:
    raise UserError(f'no results under {folder}; har-jax lodo --out={folder} makes them')
  _check_same_windows(results)
  return results


def _check_same_windows(results: Mapping[Place, records.Result]) -> None:
  first: dict[str, tuple[Place, str]] = {}
  for path, result in results.items():
    for name, windows in result.identity.windows.items():
      source = json.dumps([name, _without_sum(windows)])
      other, sum_ = first.setdefault(source, (path, windows.sum))
      if sum_ != windows.sum:
        raise UserError(
          f'{path} and {other} are of different windows of {name} from the same archive; '
          'delete one of them and run it again'
        )

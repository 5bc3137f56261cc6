"""A run over a stream: it goes on after a stop, and leaves an adapter."""

import copy
import dataclasses
import json
import pathlib
import re
import types

import msgspec
import numpy as np
import pytest
from in_process import refuse, succeed
from sklearn import metrics

from har_jax import Recognizer, files, locks, records
from har_jax.cli import continual
from har_jax.continual import domains, run, strategies
from har_jax.continual.learner import part
from har_jax.continual.settings import Settings
from har_jax.datasets.batches import Batch
from har_jax.datasets.datasets import Datasets
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.variables import Variables


class _KilledError(Exception):
  """In place of a signal."""


def _kill(entry: records.LearnedDomain) -> None:
  raise _KilledError


def _without_seconds(card: records.Continual) -> records.Continual:
  history = [msgspec.structs.replace(entry, seconds=0.0) for entry in card.history]
  return msgspec.structs.replace(card, history=history, seconds=0.0)


def _read_state(folder: pathlib.Path) -> dict[str, np.ndarray]:
  path = folder / 'continual.safetensors'
  return safetensors_io.from_bytes(path, path.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize('strategy', strategies.STRATEGIES)
def test_a_stopped_run_ends_with_the_same_numbers(strategy, learner, stream, quick, tmp_path, monkeypatch):
  settings = dataclasses.replace(quick, strategy=strategy)
  monkeypatch.setattr(run, '_start_scores', lambda _, number: records.Scores(number / 8, number / 4))
  whole = run.run(settings, learner, tmp_path / 'whole')
  for _ in stream.domains:
    with pytest.raises(_KilledError):
      run.run(settings, learner, tmp_path / 'stopped', _kill)
  resumed = run.run(settings, learner, tmp_path / 'stopped', _kill)  # nothing is left to do
  assert _without_seconds(resumed) == _without_seconds(whole)
  states = [_read_state(tmp_path / name) for name in ('whole', 'stopped')]
  assert states[0].keys() == states[1].keys()
  for path, leaf in states[0].items():
    np.testing.assert_array_equal(leaf, states[1][path])
  assert whole.bytes == sum(leaf.nbytes for leaf in states[0].values())
  assert np.shape(whole.history[-1].macro_f1) == (3,)
  assert [entry.start for entry in whole.history] == [records.Scores(n / 8, n / 4) for n in range(3)]


@pytest.mark.slow
def test_the_adapter_predicts_as_the_run_did(learner, stream, quick, tmp_path):
  settings = dataclasses.replace(quick, strategy='sequential')
  card = run.run(settings, learner, tmp_path)
  assert card.seconds == sum(entry.seconds for entry in card.history)
  recognizer = Recognizer.load(tmp_path)
  assert list(recognizer.classes_) == list(stream.classes)
  wanted = learner.logits(part(_read_state(tmp_path), 'model'), stream.unseen)
  right = metrics.accuracy_score(stream.unseen['label'], wanted.argmax(axis=1))
  assert card.unseen.accuracy == pytest.approx(right, abs=0.02)
  signals = stream.unseen['signal'] * np.repeat([9.80665, 1.0], 3).astype(np.float32)
  assert (recognizer.predict(signals) == np.array(stream.classes)[wanted.argmax(axis=1)]).mean() > 0.98


def test_the_start_never_answers_activities_that_no_domain_had_before(learner, stream, monkeypatch):
  assert run._start_scores(learner, 0) is None
  test, never = stream.domains[1].test, stream.classes.index('standing')
  bias = learner.output[1]
  monkeypatch.setitem(learner.start, bias, learner.start[bias] + 9.0 * (np.arange(3) == never))
  answers: list[np.ndarray] = []
  logits_of = learner.logits

  def logits(variables: Variables, windows: Batch) -> np.ndarray:
    made = logits_of(variables, windows)
    answers.append(made.argmax(axis=1))
    return made

  monkeypatch.setattr(learner, 'logits', logits)
  scores = run._start_scores(learner, 1)
  assert never in test['label']
  assert never not in answers[0]  # though the base would answer nothing else
  assert scores.accuracy == metrics.accuracy_score(test['label'], answers[0])
  assert scores.macro_f1 == metrics.f1_score(test['label'], answers[0], average='macro', zero_division=0)


def test_an_adapter_of_a_router_has_the_activities_of_its_domain_alone(learner, stream, tmp_path):
  other = copy.copy(learner)
  other.stream = dataclasses.replace(stream, domains=stream.domains[1::-1])  # the second one never stands
  state = {f'adapter_{number}/{path}': leaf for number in (0, 1) for path, leaf in learner.start.items()}
  run._save_adapters(tmp_path, other, state, 2)
  saved = [files.load_adapter(tmp_path / f'domain{number}') for number in (0, 1)]
  own = [stream.classes[label] for label in stream.seen(1)]
  assert [adapter.card.classes for adapter in saved] == [list(stream.classes), own]
  assert files.attach(learner.training.base, saved[1])[learner.output[1]].shape == (2,)


def test_a_folder_of_another_run_or_in_use_is_refused(learner, stream, quick, tmp_path):
  with pytest.raises(_KilledError):
    run.run(quick, learner, tmp_path, _kill)
  with pytest.raises(UserError, match=r'other settings \(strategy\)'):
    run.run(dataclasses.replace(quick, strategy='joint'), learner, tmp_path)
  test, train = (dict(part) for part in (stream.domains[1].test, stream.domains[1].train))
  train['signal'] = train['signal'] + (np.arange(len(train['signal'])) == 3)[:, None, None].astype(np.float32)
  other = copy.copy(learner)
  changed = dataclasses.replace(stream.domains[1], train=train, test=test)
  other.stream = dataclasses.replace(stream, domains=(stream.domains[0], changed, stream.domains[2]))
  with pytest.raises(UserError, match=r'other settings \(domains\)'):
    run.run(quick, other, tmp_path)
  other.stream = dataclasses.replace(stream, classes=stream.classes[::-1])
  with pytest.raises(UserError, match=r'other settings \(classes\)'):
    run.run(quick, other, tmp_path)
  lock = locks.lock(tmp_path)
  assert lock.take()
  with pytest.raises(UserError, match=r'is running in .*; wait for it'):
    run.run(quick, learner, tmp_path)
  lock.release()


def test_the_choices_of_strategy_are_those_of_the_table():
  field = Settings.__dataclass_fields__['strategy']
  assert field.metadata['rule'] == f'one of {", ".join(strategies.STRATEGIES)}'


@pytest.mark.parametrize(
  ('arguments', 'named'),
  [
    ((), 'give --target='),
    (('--target=made', '--targets=made,placed'), 'give --target='),
    (('--target=made', '--base=nowhere'), '--base=nowhere: no such folder'),
    (('--target=made', '--strategy=forget'), 'one of sequential, replay'),
    (('--target=made', '--method=auto'), "unknown method 'auto'; one of full"),
    (('--target=made', '--memory_kb=0'), '--memory_kb=0: it must be at least 1'),
    (('--target=made', '--learning_rate=0'), '--learning_rate=0.0: it must be a number over 0'),
    (('--target=made', '--seed=99999999999'), '--seed'),
    (('--target=mad',), 'there are made, placed'),
    (('--targets=made,placed/waist,made',), '--targets=made,placed/waist,made: give each once'),
    (('--target=made', '--people=1'), 'give fewer --labels_per_activity, more --people'),
  ],
)
def test_flags_that_do_not_fit_are_refused(arguments, named, windows, tmp_path):
  assert named in refuse('continual', *arguments, f'--windows={windows}', f'--out={tmp_path}/out')


def test_the_line_of_a_domain_has_the_mean_of_the_scores_there_are(capsys):
  entry = types.SimpleNamespace(domain='a', macro_f1=[0.5, None, 0.75], bytes=2_500_000, seconds=1.0)
  continual._print_domain(entry)
  expected = 'a: macro-F1 0.625 on average over all domains, 2.50 MB kept, 1.0 s\n'
  assert capsys.readouterr().out == expected


def _export(folder: pathlib.Path, test: Batch) -> pathlib.Path:
  """A domain's test windows one after another, as an app would write them."""
  signal = test['signal'].reshape(-1, 6) * np.repeat([9.80665, 1.0], 3)
  rows = np.column_stack([np.arange(len(signal)) / 50, signal])
  path = folder / 'day.csv'
  np.savetxt(path, rows, '%.5f', delimiter=',', header='time,ax,ay,az,gx,gy,gz', comments='')
  return path


@pytest.mark.slow
def test_predict_takes_the_adapter_of_the_nearest_domain(windows, base, quick, tmp_path):
  stream = domains.stream_datasets(Datasets.open(windows), ['placed/waist', 'placed/wrist'], labels=4, seed=0)
  settings = dataclasses.replace(quick, strategy='router')
  run.run(settings, settings.learner(files.load_base(base), stream), tmp_path / 'run')
  for number, domain in enumerate(stream.domains):
    day, answers = _export(tmp_path, domain.test), tmp_path / f'answers{number}'
    flags = (f'--adapter={tmp_path}/run', f'--out={answers}', '--frame=as_is', '--mean_bout_s=0')
    out, _ = succeed('predict', day, *flags)
    assert f'nearest to those of {domain.name}' in out
    assert f'{tmp_path}/run/domain{number}' in out
    checksum = files.load_adapter(tmp_path / 'run' / f'domain{number}').card.checksum
    assert json.loads((answers / 'summary.json').read_text())['adapter']['checksum'] == checksum


@pytest.mark.slow
def test_predict_refuses_a_router_that_has_not_ended(learner, quick, tmp_path, stream):
  with pytest.raises(_KilledError):
    run.run(dataclasses.replace(quick, strategy='router'), learner, tmp_path / 'run', _kill)
  day = _export(tmp_path, stream.domains[0].test)
  refused = refuse('predict', day, f'--adapter={tmp_path}/run', f'--out={tmp_path}/answers')
  assert 'run the same `har-jax continual` command to its end' in refused
  assert not (tmp_path / 'answers').exists()
  refused = refuse('export', f'{tmp_path}/run', '--format=stablehlo', f'--out={tmp_path}/answers')
  assert f'give one, such as {tmp_path}/run/domain0' in refused


@pytest.mark.slow
def test_the_command_leaves_adapters_and_a_picture(windows, base, tmp_path):
  flags = (f'--windows={windows}', '--target=made', f'--base={base}', f'--out={tmp_path}', '--people=2')
  quick = ('--rank=2', '--steps_per_domain=4', '--batch=8', '--strategy=router', '--labels_per_activity=4')
  out, err = succeed('continual', *flags, *quick, '--json')
  assert re.search(r'p\d: macro-F1 \d\.\d{3} on average over all domains, \d\.\d\d MB kept', err)
  printed = json.loads(out)
  assert len(printed['history']) == 2
  assert not {'format', 'identity'} & {*printed}
  assert '<svg' in (tmp_path / 'matrix.svg').read_text()
  for domain in (tmp_path / 'domain0', tmp_path / 'domain1'):
    assert files.load_adapter(domain).card.classes == list(Recognizer.load(domain).classes_)


def test_a_finished_run_keeps_the_last_bytes_and_took_all_seconds():
  entries = [
    records.LearnedDomain(
      domain=name, start=start, seconds=seconds, bytes=size, macro_f1=macro_f1, accuracy=[1.0, 1.0]
    )
    for name, start, seconds, size, macro_f1 in (
      ('a', None, 2.0, 100, [0.9, 0.3]),
      ('b', records.Scores(0.25, 1.0), 3.5, 300, [0.7, 0.8]),
    )
  ]
  card = records.Continual(identity={}, history=entries)
  run._summarize(card)
  assert (card.bytes, card.seconds) == (300, 5.5)
  assert card.macro_f1 == pytest.approx({'average': 0.75, 'forgetting': 0.2, 'forward_transfer': 0.05})
  assert card.accuracy == {'average': 1.0, 'forgetting': 0.0, 'forward_transfer': 0.0}


_MATRIX = np.array([[0.9, 0.3, 0.2], [0.6, 0.8, 0.5], [0.7, 0.6, 0.9]])
_START = np.array([np.nan, 0.25, 0.6])
_BEST_AT_THE_END = np.array([*_MATRIX[:2], [0.95, 0.95, 0.9]])
_TRAINED_LATE = np.array([np.full(3, np.nan), [0.6, 0.8, 0.5], [0.7, 0.6, 0.9]])
_TRAINED_ONCE = np.array([*np.full((2, 3), np.nan), [0.9, 0.9, 0.9]])  # it forgets and transfers nothing


@pytest.mark.parametrize(
  ('matrix', 'average', 'forgetting', 'transfer'),
  [
    # The last row; the best score less the last one; the score just before a domain less that of the start.
    (_MATRIX, (0.7 + 0.6 + 0.9) / 3, ((0.9 - 0.7) + (0.8 - 0.6)) / 2, ((0.3 - 0.25) + (0.5 - 0.6)) / 2),
    (_BEST_AT_THE_END, (0.95 + 0.95 + 0.9) / 3, 0, ((0.3 - 0.25) + (0.5 - 0.6)) / 2),
    (_TRAINED_LATE, (0.7 + 0.6 + 0.9) / 3, (0 + (0.8 - 0.6)) / 2, np.nan),
    (_TRAINED_ONCE, 0.9, np.nan, np.nan),
  ],
)
def test_scores_of_a_stream_are_those_by_hand(matrix, average, forgetting, transfer):
  measured = run.average(matrix), run.forgetting(matrix), run.forward_transfer(matrix, _START)
  assert measured == pytest.approx((average, forgetting, transfer), nan_ok=True)

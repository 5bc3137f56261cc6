"""The choice of a method within a budget."""

import types

import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS

from har_jax.errors import UserError
from har_jax.recognizer import budget, fitting
from har_jax.recognizer.budget import RANKED, Budget, Plan
from har_jax.recognizer.recognizer import Recognizer


class _Fit(fitting.Fit):
  """Costs of a method, on a clock that only its training moves."""

  def __init__(self, clock, path='lora/encoder/up/a', memory_mb=10.0, file_kb=100.0, step_s=1.0, rank=1):
    vars(self).update(clock=clock, memory_mb=memory_mb, file_kb=file_kb, step_s=step_s)
    vars(self)['prepared'] = types.SimpleNamespace(trainable={path: None})
    vars(self)['method'] = types.SimpleNamespace(pairs='lora' if path.startswith('lora/') else '')
    vars(self)['settings'] = types.SimpleNamespace(lora=types.SimpleNamespace(rank=rank))

  def replace_steps(self, steps):
    vars(self)['steps'] = steps
    return self

  def memory_bytes(self) -> int:
    return round(1e6 * self.memory_mb)

  def file_bytes(self) -> int:
    return round(1e3 * self.file_kb)

  def seconds(self, steps: int) -> float:
    taken = 3.0 + steps * self.step_s  # three to start
    self.clock[0] += taken
    return taken


def _choose(fit_of, *, max_steps: int = 60, labels: float = 100, **limits: float) -> Plan:
  fit, plan = budget.choose(fit_of, Budget(**limits), max_steps=max_steps, labels=labels)
  assert vars(fit)['steps'] == plan.max_steps
  return plan


@pytest.mark.parametrize(('labels', 'second', 'steps'), [(24.5, 'linear', 1), (25, 'lora', 60)])
def test_with_few_labels_the_head_alone_comes_before_lora(clock, labels, second, steps):
  assert _choose(lambda name: _Fit(clock), labels=labels).method == 'side'
  plan = _choose(
    lambda name: _Fit(clock, memory_mb=99 if 'side' in name else 10), labels=labels, max_memory_mb=50.0
  )
  assert (plan.method, plan.max_steps) == (second, steps)


def test_with_few_labels_and_a_small_file_the_head_comes_alone(clock):
  plan = _choose(
    lambda name: _Fit(clock, file_kb=400 if 'side' in name else 30), labels=10, max_adapter_kb=99.0
  )
  assert (plan.method, plan.max_steps) == ('linear', 1)
  assert [each.method for each in plan.passed_over] == ['side', 'qside']


def test_the_order_is_from_the_best_on():
  assert RANKED == ('side', 'qside', 'lora', 'qlora', 'linear', 'qlinear')


@pytest.fixture
def clock(monkeypatch) -> list[float]:
  now = [0.0]
  monkeypatch.setattr(budget.time, 'monotonic', lambda: now[0])
  return now


@pytest.mark.parametrize(
  ('limits', 'chosen'),
  [({}, 0), ({'max_memory_mb': 101.0}, 0), ({'max_memory_mb': 98.0}, 1), ({'max_adapter_kb': 101.0}, 1)],
)
def test_the_next_method_is_taken_where_the_first_is_too_large(clock, limits, chosen):
  fits = {RANKED[0]: _Fit(clock, memory_mb=99, file_kb=999), RANKED[1]: _Fit(clock)}
  plan = _choose(fits.__getitem__, **limits)
  assert (plan.method, plan.max_steps) == (RANKED[chosen], 60)
  assert plan.predicted.minutes == 0  # no limit asks for it
  assert tuple(each.method for each in plan.passed_over) == RANKED[:chosen]


@pytest.mark.parametrize(
  ('limit_kb', 'expected'),
  [(420.0, ('lora', 8)), (419.0, ('lora', 4)), (259.0, ('lora', 2)), (139.0, ('linear', None))],
)
def test_the_rank_is_halved_until_the_file_fits(clock, limit_kb, expected):
  def fit_of(name: str, rank: int = 8) -> _Fit:
    if name == 'linear':
      return _Fit(clock, path='params/head/dense_0/kernel', file_kb=120.0)
    if name in ('side', 'qside'):
      return _Fit(clock, path='params/side_encoder/norm/scale', file_kb=520.0)
    return _Fit(clock, rank=rank, file_kb=100.0 + 40 * rank)

  plan = _choose(fit_of, max_adapter_kb=limit_kb)
  assert (plan.method, plan.rank) == expected
  named = {each.method: each.rank for each in plan.passed_over}
  sides = {'side': None, 'qside': None}
  assert named == (sides if plan.method == 'lora' else sides | {'lora': 1, 'qlora': 1})


def test_memory_alone_does_not_lower_the_rank(clock):
  def fit_of(name: str, rank: int = 8) -> _Fit:
    return _Fit(clock, rank=rank, memory_mb=10.0 if name == 'qlora' else 99.0)

  plan = _choose(fit_of, max_memory_mb=50.0)
  assert (plan.method, plan.rank) == ('qlora', 8)
  assert f'{plan}'.startswith('qlora of rank 8 with 60 steps: 10.0 MB in training')


def test_the_steps_are_those_that_the_minutes_allow(clock):
  plan = _choose(lambda name: _Fit(clock, step_s=0.5), max_minutes=5.0, max_steps=1000)
  spent_s = 3 * 3 + 80 * 0.5
  assert plan.max_steps == int((300 - spent_s - 3) / 0.5)
  assert 4.9 < plan.predicted.minutes <= 5


@pytest.mark.parametrize('labels', [100, 10])
def test_a_slow_training_is_not_tried_twice(clock, labels):
  tried = []

  def fit_of(name: str) -> _Fit:
    memory_mb = 99 if name == 'linear' else 10
    fit = _Fit(clock, memory_mb=memory_mb, step_s=0.01 if name == 'qlinear' else 1.0)
    seconds = fit.seconds
    vars(fit)['seconds'] = lambda steps: tried.append(name) or seconds(steps)
    return fit

  plan = _choose(fit_of, max_minutes=2.0, max_memory_mb=50.0, max_steps=200, labels=labels)
  assert plan.method == 'qlinear'
  assert tried == ['side'] * 3 + ['qlinear']  # no other that takes steps


def test_a_head_that_fits_is_not_refused_for_the_trials_before_it(clock):
  tried = []

  def fit_of(name: str) -> _Fit:
    fit = _Fit(clock, step_s=0.01 if name == 'linear' else 10.0)
    seconds = fit.seconds
    vars(fit)['seconds'] = lambda steps: tried.append(name) or seconds(steps)
    return fit

  plan = _choose(fit_of, max_minutes=1.0)
  assert (plan.method, [each.method for each in plan.passed_over]) == ('linear', ['side'])
  assert plan.predicted.minutes < 0.1
  assert tried == ['side', 'linear']  # the first trial took longer than all may


def test_a_budget_that_nothing_fits_names_the_nearest(clock):
  def fit_of(name: str) -> _Fit:
    return _Fit(clock, file_kb=20 if name == 'linear' else 30)

  with pytest.raises(UserError, match=r'max_adapter_kb=10; the nearest is linear .*20 kB'):
    _choose(fit_of, max_adapter_kb=10.0)


def test_limits_are_positive_numbers():
  with pytest.raises(UserError, match='max_minutes is'):
    Budget(max_minutes=0.0)


def test_limits_need_the_automatic_method_which_has_them_all(base, monkeypatch):
  with pytest.raises(
    UserError, match='method=lora has no limits, and max_minutes is given: give method=auto'
  ):
    Recognizer(base, method='lora', max_minutes=1).fit(SIGNALS, LABELS)

  def choose(fit_of: fitting.FitOf, limits: Budget, **numbers: float) -> None:
    halved = fit_of('lora', 2).settings.lora  # of 8, with an alpha of 16
    raise UserError(f'{limits} {numbers} {halved.rank} {halved.alpha}')

  monkeypatch.setattr(budget, 'choose', choose)
  limits = {'max_memory_mb': 3, 'max_minutes': 1, 'max_adapter_kb': 2}
  some = np.flatnonzero((LABELS != 'still') | (np.arange(len(LABELS)) < 30))  # 24, 10 and 24
  with pytest.raises(UserError) as error:
    Recognizer(base, max_steps=7, **limits).fit(SIGNALS[some], LABELS[some])
  numbers = {'max_steps': 7, 'labels': 24.0}
  assert str(error.value) == f'max_memory_mb=3, max_minutes=1, max_adapter_kb=2 {numbers} 2 4.0'


@pytest.mark.slow
def test_an_automatic_recognizer_says_what_it_chose_and_what_that_took(base):
  largest = Recognizer(base, method='auto', max_steps=4, max_adapter_kb=1e6)
  X, y = np.concatenate([SIGNALS, SIGNALS]), np.concatenate([LABELS, LABELS])
  plan = largest.fit(X, y).plan_
  assert plan is not None
  assert (plan.method, largest.adapter_.card.method, plan.max_steps) == (RANKED[0], RANKED[0], 4)
  assert plan.actual is not None
  assert plan.actual.adapter_kb == plan.predicted.adapter_kb
  stored = sum(leaf.nbytes for leaf in largest.adapter_.variables.values())
  assert plan.actual.adapter_kb == pytest.approx(stored / 1e3)
  assert plan.predicted.memory_mb > plan.predicted.adapter_kb / 1e3
  assert 0 < plan.actual.minutes < 5

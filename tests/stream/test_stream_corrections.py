"""A user's corrections change a stream's answers, spare the others, and can be taken back."""

import copy
import dataclasses
from unittest import mock

import jax
import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS
from scipy import special

from har_jax.config import Windowing
from har_jax.errors import UserError
from har_jax.recognizer.recognizer import Recognizer
from har_jax.stream import corrections, head_update
from har_jax.stream.corrections import CorrectedFilter, Correction
from har_jax.stream.stream import Prediction, Stream
from har_jax.timeline.bouts import Chain
from har_jax.train.objective import Classify

_HOP_S = 2.56  # windows side by side, as the labeled ones are


def _of(*activities: str) -> np.ndarray:
  """The samples of windows of these activities, one after another."""
  numbers = {name: iter(np.flatnonzero(name == LABELS)) for name in set(activities)}
  return np.concatenate([SIGNALS[next(numbers[name])] for name in activities])


_DAY = ('lying', 'still', 'walking') * 6


def _streams(recognizer: Recognizer, *, mean_bout_s: float = 0) -> tuple[Stream, Stream]:
  first, second = (Stream(recognizer, hop_s=_HOP_S, mean_bout_s=mean_bout_s) for _ in range(2))
  return first, second


def _answers(predictions: list[Prediction]) -> list[str]:
  return [each.activity for each in predictions]


def test_a_correction_changes_the_answer_for_such_windows_and_no_other(fitted):
  day, (plain, corrected) = _of(*_DAY), _streams(fitted)
  assert _answers(plain.push(day)) == [*_DAY]  # as fitted
  corrected.push(_of(*['lying', 'still'] * 12))  # longer than the half minute that is not replayed
  corrected.push(_of('walking', 'walking', 'walking'))
  corrected.correct('still', seconds=7.68)
  assert _answers(corrected.push(day)) == [*('lying', 'still', 'still') * 6]


@pytest.mark.parametrize(('seconds', 'windows'), [(2.56, 1), (5.11, 1), (5.12, 2), (7.7, 3), (100.0, 24)])
def test_a_correction_is_of_windows_that_lie_within_its_seconds(seconds, windows):
  chain = Chain(5.0, _HOP_S, _HOP_S)
  filtered = CorrectedFilter(chain, 3, 2)
  for number in range(40):
    filtered.update(number * _HOP_S, np.ones(3), np.zeros(2), 1.0)
  filtered.correct(1, 'walking', seconds)
  stops_s = sorted(window.stop_s for window in filtered._layers[-1].corrected)
  np.testing.assert_allclose(stops_s, (40 - np.arange(windows)[::-1]) * _HOP_S)


def test_without_seconds_a_correction_holds_a_whole_window_of_any_length(fitted, monkeypatch):
  (stream, _), spied = _streams(fitted), mock.Mock(new=())
  monkeypatch.setattr(stream, '_filter', spied)
  for windowing, seconds in ((Windowing(128, 50), 5), (Windowing(128, 25), 8)):  # windows of 2.56 and 5.12 s
    monkeypatch.setattr(stream, '_windowing', windowing)
    stream.correct(fitted.classes_[0])
    spied.correct.assert_called_with(0, fitted.classes_[0], seconds)


def test_the_next_prediction_starts_from_the_corrected_activity(fitted):
  plain, corrected = _streams(fitted, mean_bout_s=1000.0)
  for each in (plain, corrected):
    each.push(_of('still', 'still'))
  corrected.correct('lying')
  assert _answers(plain.push(_of('still'))) == ['still']
  assert corrected._filter.added.any()
  (next_one,) = corrected.push(_of('lying'))
  assert next_one.activity == 'lying'
  assert next_one.confidence > 0.99


def test_a_correction_that_was_taken_back_leaves_no_trace(fitted):
  plain, corrected = _streams(fitted, mean_bout_s=5.0)
  parts = [_of(*_DAY), _of(*_DAY[::-1]), _of('still', *_DAY), _of(*_DAY)]
  assert plain.push(parts[0]) == corrected.push(parts[0])
  corrected.correct('lying', seconds=10)
  corrected.correct('walking')
  assert plain.push(parts[1]) != corrected.push(parts[1])
  assert [each.activity for each in corrected.corrections] == ['lying', 'walking']
  assert corrected.undo() == Correction(pytest.approx(46.08), 5.0, 'walking')
  assert corrected.undo() == Correction(pytest.approx(46.08), 10.0, 'lying')
  assert plain.push(parts[2]) == corrected.push(parts[2])
  # A later correction does not know of them either.
  for each in (plain, corrected):
    each.correct('still')
  assert plain.push(parts[3]) == corrected.push(parts[3])


@pytest.mark.parametrize('is_undone', [False, True])
def test_a_gap_ends_the_chains_of_all_corrections(is_undone):
  corrected = CorrectedFilter(Chain(1000.0, 2.0, 2.0), 2, 2)
  corrected.update(0.0, np.ones(2), np.array([5.0, 0.0]), 1.0)
  corrected.correct(1, 'x', 2.0)
  corrected.restart()
  if is_undone:
    corrected.undo()
  assert corrected.update(9.0, np.zeros(2), np.zeros(2), 1.0).tolist() == [0.5, 0.5]


def test_a_window_that_was_corrected_twice_has_the_later_label(fitted):
  twice, once = _streams(fitted)
  for each in (twice, once):
    each.push(_of('walking', 'walking'))
  twice.correct('lying')
  for each in (twice, once):
    each.correct('still')
  assert np.array_equal(twice._filter.added, once._filter.added)


@pytest.mark.parametrize('method', ['lora', pytest.param('qlora', marks=pytest.mark.slow)])
def test_the_saved_recognizer_predicts_as_the_stream(unfitted, fitted, tmp_path, method):
  adapted = fitted if method == 'lora' else unfitted.adapt(SIGNALS, LABELS, method=method, max_steps=1)
  stream, _ = _streams(adapted)
  day = _of(*_DAY)
  stream.push(day)
  stream.correct('still')
  stream.correct('lying', seconds=20)
  stream.undo()
  stream.to_recognizer().save(tmp_path)
  loaded = Recognizer.load(tmp_path)
  assert (loaded.adapter_.card.corrections, loaded.adapter_.card.metrics) == (1, {'validation': None})
  assert loaded.adapter_.card.checksum != adapted.adapter_.card.checksum
  predictions, windows = stream.push(day), day.reshape(-1, 128, 6)
  probabilities = loaded.predict_proba(windows)
  assert [each.confidence for each in predictions] == pytest.approx(probabilities.max(axis=1), abs=1e-4)
  assert _answers(predictions) == loaded.classes_[probabilities.argmax(axis=1)].tolist()
  assert np.abs(probabilities - adapted.predict_proba(windows)).max() > 0.01
  later = Stream(loaded, hop_s=_HOP_S)
  later.push(_of('still'))
  later.correct('lying', seconds=2.56)
  assert later.to_recognizer().adapter_.card.corrections == 2


def test_what_is_kept_is_bounded(monkeypatch):
  monkeypatch.setattr(corrections, 'MOST_CORRECTIONS', 3)
  corrected, rng = CorrectedFilter(Chain(5.0, 0.5, 2.56), 4, 3, replayed=5), np.random.default_rng(0)
  for number in range(300):
    corrected.update(number / 2, rng.standard_normal(4), rng.standard_normal(3), 1.0)
    if number % 10 == 9:
      corrected.correct(number % 3, 'x', 600.0)
  assert len(corrected.corrections) == 3
  assert len(corrected._layers) == 4
  assert len(corrected._recent) == 121
  assert [len(each) for each in corrected._samples.values()] == [5, 5, 5]
  # Of a minute at a hop of 0.5 s, windows that overlap by half at most.
  assert max(len(layer.corrected) for layer in corrected._layers) == 41
  few, sizes, fit = CorrectedFilter(Chain(5.0, 2.56, 2.56), 4, 3, replayed=0), [], head_update.fit

  def spied(hidden: np.ndarray, *arguments: np.ndarray, penalty: float) -> np.ndarray:
    sizes.append(len(hidden))
    return fit(hidden, *arguments, penalty=penalty)

  monkeypatch.setattr(head_update, 'fit', spied)
  for number in range(5):
    few.update(3.0 * number, rng.standard_normal(4), rng.standard_normal(3), 1.0)
    few.correct(0, 'x', 2.56)
  assert sizes == [1, 2, 3, 3, 3]  # windows that were corrected: the last three corrections count


def test_windows_to_replay_are_of_the_whole_stream_alike():
  corrected = CorrectedFilter(Chain(0, 2.0, 2.0), 1, 2, replayed=30)
  for number in range(900):
    corrected.update(2.0 * number, np.ones(1), np.array([1.0, 0.0]), 1.0)
  thirds = np.bincount([int(window.stop_s / 602) for window in corrected._samples[0]])
  assert thirds.sum() == 30
  assert thirds.min() >= 5


def test_a_larger_penalty_changes_the_layer_less():
  sizes = []
  for penalty in (0.1, 1.0):
    corrected = CorrectedFilter(Chain(0, 2.0, 2.0), 2, 2, penalty=penalty)
    corrected.update(0.0, np.ones(2), np.array([1.0, 0.0]), 1.0)
    corrected.correct(1, 'x', 2.0)
    sizes.append(np.abs(corrected.added).max())
    # The penalized loss is flat, and the addition is along the window's input.
    error = special.softmax(np.array([1.0, 0.0]) + np.ones(2) @ corrected.added) - [0, 1]
    np.testing.assert_allclose(penalty * corrected.added, -np.ones((2, 1)) * error, atol=1e-3)
  assert sizes[0] > 1.5 * sizes[1]


def test_new_activities_are_in_the_order_of_their_corrections(fitted):
  stream, _ = _streams(fitted)
  stream.push(_of('still', 'walking'))
  for activity in ('zigzag', 'crawling'):
    stream.correct(activity, new=True)
  assert stream.activities == ['lying', 'still', 'walking', 'zigzag', 'crawling']
  recognizer = stream.to_recognizer()
  assert recognizer.classes_.tolist() == stream.activities
  assert [*recognizer.adapter_.card.classes] == stream.activities


def test_other_windows_hold_a_correction_back():
  """Two activities whose windows point in nearly the same direction, and the first is corrected."""
  kept, corrected = np.array([1.0, 0.9, 1.0]), np.array([1.0, 1.1, 1.0])
  moved = {}
  for replayed in (0, 32):
    of_user = CorrectedFilter(Chain(0, 2.56, 2.56), 3, 2, penalty=0.1, replayed=replayed)
    for number in range(60):
      of_user.update(2.56 * number, kept, np.array([2.0, 0.0]), 1.0)
    of_user.update(2.56 * 60, corrected, np.array([2.0, 0.0]), 1.0)
    of_user.correct(1, 'x', 2.56)
    moved[replayed] = [
      of_user.update(160.0 + 3 * n, each, np.array([2.0, 0.0]), 1.0)[1]
      for n, each in enumerate((kept, corrected))
    ]
  assert moved[0][0] > 0.5 > moved[32][0]
  assert moved[32][1] > moved[32][0]


def test_windows_shortly_before_a_correction_are_not_replayed():
  corrected = CorrectedFilter(Chain(0, 2.0, 2.0), 2, 2)
  for number in range(30):
    corrected.update(2.0 * number, np.ones(2), np.array([1.0, 0.0]), 1.0)
  for seconds, last_s in ((4.0, 30.0), (50.0, 10.0)):  # half a minute, or all that is corrected
    stops_s = [window.stop_s for window in corrected._replay([Correction(60.0, seconds, 'x')])]
    assert stops_s == list(np.arange(2.0, last_s + 1, 2.0))


def test_a_replayed_window_keeps_the_answer_of_its_time():
  corrected = CorrectedFilter(Chain(0, 2.0, 2.0), 2, 2)
  answers = []  # of one window in each half minute
  for number in range(90):
    answers.append(corrected.update(2.0 * number, np.array([1.0, 1.0]), np.array([1.0, 0.0]), 1.0))
    if number in (29, 59):
      corrected.correct(number // 30 % 2, 'x', 4.0)
  windows = sorted(corrected._samples[0], key=lambda window: window.stop_s)
  assert {window.stop_s // 60 for window in windows} == {0.0, 1.0, 2.0}
  for window in windows:
    np.testing.assert_allclose(corrected._answer(window), answers[int(window.stop_s / 2) - 1])
  assert len({tuple(answer.round(6)) for answer in answers}) == 3


@pytest.mark.parametrize(
  ('activity', 'arguments', 'message'),
  [
    ('rowing', {}, "'rowing' is not a class of the recognizer; it has lying, still, walking"),
    (float('nan'), {}, 'nan is not a class'),
    ('still', {'seconds': 1.0}, r'seconds is 1\.0; give 2\.56'),
  ],
)
def test_corrections_that_make_no_sense_are_refused(fitted, activity, arguments, message):
  stream, _ = _streams(fitted)
  with pytest.raises(UserError, match='no window to correct yet'):
    stream.correct('still')
  stream.push(_of('still'))
  with pytest.raises(UserError, match=message):
    stream.correct(activity, **arguments)
  assert stream.corrections == []
  with pytest.raises(UserError, match='no correction is left'):
    stream.undo()


def test_numbers_get_no_name_beside_them(fitted):
  _, numbers = np.unique(LABELS, return_inverse=True)
  stream = Stream(fitted.adapt(SIGNALS, numbers, max_steps=1), hop_s=_HOP_S)
  stream.push(_of('lying', 'still'))
  with pytest.raises(UserError, match="'running' cannot be a new class: the others are numbers, 0, 1, 2"):
    stream.correct('running', new=True)


@pytest.mark.slow
def test_a_correction_can_add_an_activity_and_be_taken_back(fitted, tmp_path):
  known = np.isin(LABELS, ['lying', 'still'])
  two = fitted.adapt(SIGNALS[known], LABELS[known])
  plain, stream = _streams(two)
  for each in (plain, stream):
    each.push(_of(*['lying', 'still'] * 12, 'walking', 'walking'))
  with pytest.raises(UserError, match=r"'walking' is not a class .* it has lying, still\. Pass new=True"):
    stream.correct('walking')
  with pytest.raises(UserError, match="' ' cannot be a new class"):
    stream.correct(' ', new=True)
  stream.correct('walking', new=True)
  assert stream.activities == ['lying', 'still', 'walking']
  day = ('lying', 'still', 'walking') * 3
  assert _answers(stream.push(_of(*day))) == [*day]
  stream.correct('still')  # its layer has the new activity, too
  stream.to_recognizer().save(tmp_path)
  loaded = Recognizer.load(tmp_path)
  assert loaded.classes_.tolist() == stream.activities
  predictions = stream.push(_of(*day))
  probabilities = loaded.predict_proba(_of(*day).reshape(-1, 128, 6))
  assert [each.confidence for each in predictions] == pytest.approx(probabilities.max(axis=1), abs=1e-4)
  stream.undo()
  stream.undo()
  assert stream.activities == ['lying', 'still']
  for _ in range(2):
    plain.push(_of(*day))
  assert stream.push(_of(*day)) == plain.push(_of(*day))


# --- the addition to an output layer


def test_the_last_hidden_layer_gives_the_logits(drawn, tiny):
  objective = Classify(dataclasses.replace(tiny, head=(16, 8)), 3)
  variables = drawn(objective.init)
  batch = {'signal': np.random.default_rng(0).standard_normal((4, 128, 6), np.float32)}
  layer = 'params/head/dense_2'
  outputs = np.asarray(jax.jit(objective.with_hidden.predict)(variables, batch, jax.random.key(0)))
  weights = np.concatenate([variables[f'{layer}/kernel'], variables[f'{layer}/bias'][None]])
  logits = np.asarray(jax.jit(objective.predict)(variables, batch, jax.random.key(0)))
  assert outputs[:, -3:] == pytest.approx(logits)
  assert outputs[:, :-3] @ weights == pytest.approx(logits, abs=1e-5)


def test_the_fitted_layer_is_where_the_penalized_loss_is_flat(monkeypatch):
  rng = np.random.default_rng(0)
  hidden, logits = rng.standard_normal((8, 5)), rng.standard_normal((8, 3))
  targets = special.softmax(rng.standard_normal((8, 3)), axis=1)
  added = head_update.fit(hidden, logits, targets, penalty=10.0)
  errors = special.softmax(logits + hidden @ added, axis=1) - targets
  assert hidden.T @ errors + 10.0 * added == pytest.approx(np.zeros((5, 3)), abs=1e-3)
  assert np.abs(added).max() > 0.01
  monkeypatch.setattr(head_update, '_MAX_ITERATIONS', 1)  # which bounds the time of a correction
  assert np.abs(head_update.fit(hidden, logits, targets, penalty=10.0) - added).max() > 1e-3


def test_an_output_layer_that_is_no_plain_sum_is_refused(fitted):
  packed = copy.copy(fitted)
  packed.variables_ = fitted.variables_ | {'nf4/head/dense_1/codes': np.zeros(3)}
  with pytest.raises(UserError, match='the output layer has nf4; adapt without `head`'):
    head_update.add(packed, np.zeros((17, 3)))

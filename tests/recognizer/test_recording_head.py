"""The head for a whole recording, without labels."""

import dataclasses
import tracemalloc

import jax
import made_people
import numpy as np
import pytest
import worn_device
from made_gait import LYING, STANDING, WALKING, random_rotation, recording, rotated
from made_people import SMALL

from har_jax import config, config_fields, files, timeline
from har_jax.baselines import relative_features
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Sources
from har_jax.errors import UserError
from har_jax.experiments import supervised_head
from har_jax.recognizer import recording_head
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recognizer.recording_adaptation import adapt_to_recording
from har_jax.recognizer.recording_head import RecordingHead
from har_jax.train.objective import Classify

CLASSES = ('walking', 'standing', 'lying', 'unknown')


def features_of(windows: np.ndarray, walking: np.ndarray) -> np.ndarray:
  found = relative_features.describe(windows, 50).relative_to(walking)
  assert found is not None
  return found


@pytest.fixture
def upright() -> tuple[np.ndarray, np.ndarray]:
  return recording(np.random.default_rng(1), np.eye(3))


@pytest.fixture(scope='module')
def head() -> RecordingHead:
  rng = np.random.default_rng(0)
  made = [recording(rng, random_rotation(rng), count=25) for _ in range(6)]
  features = np.concatenate([features_of(windows, labels == WALKING) for windows, labels in made])
  return fitted(features, np.concatenate([labels for _, labels in made]))


def fitted(features: np.ndarray, labels: np.ndarray) -> RecordingHead:
  """To each window many times: the networks train for some passes only."""
  return recording_head.fit(np.tile(features, (20, 1)), np.tile(labels, 20), CLASSES, seed=0)


@pytest.mark.slow
def test_features_of_other_devices_are_limited(head):
  far = head.mean + 4 * head.scale * np.where(np.arange(len(head.mean)) % 2, 1, -1)
  further = head.mean + 400 * (far - head.mean)
  np.testing.assert_allclose(*(head.predict_proba(values[None]) for values in (far, further)), rtol=1e-6)


def test_features_of_a_day_are_not_copied_in_float64():
  statistics = np.zeros((20_000, len(relative_features.NAMES) - 1), np.float32)
  gravity, is_walking = np.full((20_000, 3), 9.8), np.arange(20_000) < 100
  described = relative_features.Described(statistics, gravity, is_walking)
  tracemalloc.start()
  try:
    features = described.relative_to(is_walking)
    assert features is not None
    assert tracemalloc.get_traced_memory()[1] < 1.5 * features.nbytes
  finally:
    tracemalloc.stop()


@pytest.fixture
def unseen() -> tuple[np.ndarray, np.ndarray]:
  """A recording, and probabilities of an encoder that knows walking from the rest, and nothing else."""
  rng = np.random.default_rng(9)
  windows, labels = recording(rng, random_rotation(rng))
  walks = (labels == WALKING)[:, None]
  return windows, np.where(walks, [0.7, 0.1, 0.1, 0.1], [0.1, 0.25, 0.3, 0.35]) + 0 * labels[:, None]


def test_features_do_not_depend_on_how_the_device_is_turned(upright):
  windows, labels = upright
  turned = rotated(windows, random_rotation(np.random.default_rng(2)))
  expected, found = (features_of(each, labels == WALKING) for each in (windows, turned))
  kept = [not name.startswith('zero crossings') for name in relative_features.NAMES]
  np.testing.assert_allclose(found[:, kept], expected[:, kept], atol=0.02)
  angle = expected[:, -1]
  assert angle[labels == STANDING].max() < 2
  np.testing.assert_allclose(angle[labels == LYING], 90, atol=2)


def test_a_window_may_be_turned_by_a_half_turn_from_walking():
  for up in np.random.default_rng(0).normal(0, 5, (50, 3)):
    gravity = 9.8 * up / np.linalg.norm(up) * np.array([1, 1, 1, 1, 1, -1])[:, None]
    walking, statistics = np.arange(6) < 5, np.zeros((6, len(relative_features.NAMES) - 1), np.float32)
    described = relative_features.Described(statistics, gravity, walking)
    np.testing.assert_allclose(described.relative_to(walking)[:, -1], [0, 0, 0, 0, 0, 180], atol=1e-5)


def test_features_are_relative_to_walking(upright):
  windows, labels = upright
  found = features_of(windows, labels == WALKING)
  np.testing.assert_allclose(found[labels == WALKING, :-1].mean(axis=0), 0, atol=1e-3)
  assert found.shape == (len(windows), len(relative_features.NAMES))
  windows[..., 3:] = 0
  assert not features_of(windows, labels == WALKING)[:, relative_features.OF_GYRO].any()


@pytest.fixture
def sources(tmp_path) -> Sources:
  made_people.save_windows(tmp_path / 'made')  # ten people, of whom two are for validation
  return Sources(Datasets.open(tmp_path), ('made',), config.Protocol(validation_fraction=0.2))


def test_a_head_of_sources_is_fitted_to_features_relative_to_each_persons_walking(sources, monkeypatch):
  given: list[np.ndarray] = []
  monkeypatch.setattr(recording_head, 'fit', lambda *arrays, seed: given.extend(arrays))
  supervised_head.fit_recording_head(sources, seed=0)
  features, labels, classes = given
  walking, sitting = (
    np.unique(features[labels == classes.index(name)], axis=0) for name in ('walking', 'sitting')
  )
  assert len(walking) == len(sitting) == 8 * 12
  np.testing.assert_allclose(walking[:, :-1].mean(axis=0), 0, atol=2e-3)
  assert (np.abs(sitting[:, :-1].mean(axis=0)) > 0.1).any()


def test_a_class_of_a_source_weighs_as_the_root_of_its_windows(sources, monkeypatch):
  parts = [(np.zeros((1000, 3), np.float32), np.repeat([0, 1], [900, 100]))]
  monkeypatch.setattr(supervised_head, '_read_recordings', lambda *_: iter(parts))
  drawn: list[np.ndarray] = []
  monkeypatch.setattr(recording_head, 'fit', lambda features, labels, classes, seed: drawn.append(labels))
  supervised_head.fit_recording_head(sources, seed=0)
  assert drawn[0].mean() == pytest.approx(10 / (30 + 10), abs=0.02)


def test_no_movement_too_little_walking_or_gravity_without_direction_is_no_reference(upright):
  windows, labels = upright
  walking = np.flatnonzero(labels == WALKING)
  few = np.isin(np.arange(len(labels)), walking[: relative_features.FEWEST_WALKING - 1])
  described = relative_features.describe(windows, 50)
  assert described.relative_to(labels == STANDING) is None
  assert described.relative_to(few) is None
  windows[walking[::2], :, :3] *= -1  # upside down in half of the time
  assert relative_features.describe(windows, 50).relative_to(labels == WALKING) is None


def test_parts_of_a_recording_are_the_recording(upright):
  windows, labels = upright
  parts = [relative_features.describe(part, 50) for part in np.split(windows, [10])]
  joined = relative_features.Described(*map(np.concatenate, zip(*parts, strict=True)))
  features = features_of(windows, labels == WALKING)
  np.testing.assert_allclose(joined.relative_to(labels == WALKING), features, atol=1e-5)


def test_it_tells_apart_what_the_encoder_does_not(head, unseen):
  windows, encoder = unseen
  combined = head.combine(encoder, relative_features.describe(windows, 50), CLASSES)
  _, labels = recording(np.random.default_rng(9), np.eye(3))
  assert head.classes == CLASSES[:3]
  np.testing.assert_array_equal(combined[:, :3].argmax(axis=1), labels)
  np.testing.assert_allclose(combined.sum(axis=1), encoder.sum(axis=1))
  np.testing.assert_array_equal(combined[:, 3], encoder[:, 3])  # what it does not know, it leaves


def test_answers_have_the_temperature_of_the_encoder(head, unseen):
  windows, encoder = unseen
  described = relative_features.describe(windows, 50)
  softened = encoder ** (1 / 2.5)
  softened /= softened.sum(axis=1, keepdims=True)
  sharp = head.combine(encoder, described, CLASSES)[:, :3] ** (1 / 2.5)
  combined = head.combine(softened, described, CLASSES, 2.5)
  share = softened[:, :3].sum(axis=1, keepdims=True)
  np.testing.assert_allclose(combined[:, :3], share * sharp / sharp.sum(axis=1, keepdims=True), rtol=1e-5)


def test_without_walking_the_encoder_answers(head, unseen):
  windows, encoder = unseen
  still = encoder.argmax(axis=1) != 0
  combined = head.combine(encoder[still], relative_features.describe(windows[still], 50), CLASSES)
  np.testing.assert_array_equal(combined, encoder[still])


def test_without_an_opinion_the_encoders_answers_are_flattened(unseen):
  windows, encoder = unseen
  count = len(relative_features.NAMES)
  shapes = (count, 1), (1,), (1, 3), (3,)
  undecided = RecordingHead(CLASSES[:3], np.zeros(count), np.ones(count), (tuple(map(np.zeros, shapes)),))
  combined = undecided.combine(encoder, relative_features.describe(windows, 50), CLASSES)
  powers = np.array([0.1, 0.25, 0.3]) ** 0.3
  still = encoder.argmax(axis=1) != 0
  expected = np.tile([*(0.65 * powers / powers.sum()), 0.35], (still.sum(), 1))
  np.testing.assert_allclose(combined[still], expected)


def test_a_fifth_of_the_windows_trains_without_angular_velocity():
  features = np.ones((1000, len(relative_features.NAMES)), np.float32)
  head = recording_head.fit(features, np.arange(1000) % 2, CLASSES, seed=0)
  of_gyro = np.zeros(features.shape[1], bool)
  of_gyro[relative_features.OF_GYRO] = True
  np.testing.assert_array_equal(head.mean[~of_gyro], 1.0)
  np.testing.assert_allclose(head.mean[of_gyro], 0.8, atol=0.04)
  assert len(set(head.mean[of_gyro].tolist())) == 1  # the whole window


def test_two_classes_have_a_probability_each():
  windows, labels = recording(np.random.default_rng(1), np.eye(3), count=40)
  kept = labels != STANDING
  features = features_of(windows, labels == WALKING)[kept]
  head = fitted(features, labels[kept])
  probabilities = head.predict_proba(features)
  assert head.classes == ('walking', 'lying')
  count, hidden = features.shape[1], 64
  assert head.size == 2 * count + 3 * ((count + 1) * hidden + (hidden + 1) * 2)
  for *_, output, output_bias in head.members:
    np.testing.assert_array_equal(output[:, 0], -output[:, 1])
    assert output_bias[0] == -output_bias[1]
  np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
  np.testing.assert_array_equal(probabilities.argmax(axis=1), labels[kept] == LYING)


@pytest.fixture(scope='module')
def base() -> files.Base:
  held = Classify(SMALL, len(CLASSES)).init(jax.random.key(0))
  return files.make_base(held, {'model': config_fields.to_json(SMALL), 'classes': list(CLASSES)})


def test_a_saved_head_predicts_the_same(head, base, tmp_path):
  assert recording_head.load(tmp_path, base) is None
  recording_head.save(tmp_path, head, base=base.checksum)
  loaded = recording_head.load(tmp_path, base)
  assert loaded is not None
  assert loaded.classes == head.classes
  features = np.random.default_rng(0).standard_normal((5, len(relative_features.NAMES))).astype(np.float32)
  np.testing.assert_array_equal(loaded.predict_proba(features), head.predict_proba(features))


_ONES = np.ones(len(relative_features.NAMES), np.float32)


@pytest.mark.parametrize(
  ('changed', 'checksum', 'message'),
  [
    *(({name: _ONES * value}, None, 'has values that are not finite')
      for name, value in (('mean', np.nan), ('scale', 0.0), ('scale', np.inf))),
    ({}, 'b' * 64, 'belongs to the base with checksum b'),
    ({'classes': ('walking', 'standing', 'rowing')}, None, 'classes that its base lacks: rowing'),
    ({'mean': np.zeros(3), 'scale': np.zeros(3)}, None, r'mean: expected float32\[\d+\], found float32\[3\]'),
  ],
)  # fmt: skip
def test_a_head_of_another_base_or_of_numbers_that_are_none_is_refused(
  head, base, tmp_path, changed, checksum, message
):
  recording_head.save(tmp_path, dataclasses.replace(head, **changed), base=checksum or base.checksum)
  with pytest.raises(UserError, match=message):
    recording_head.load(tmp_path, base)


def _recognizer(head: RecordingHead | None, class_logits: list[list[float]] | None) -> Recognizer:
  """A base with this head, whose encoder knows walking by movement, and nothing else."""
  recognizer = Recognizer()
  recognizer.adapter_ = recognizer.adapter_.with_card(classes=list(CLASSES), class_logits=class_logits)
  recognizer.classes_ = np.array(CLASSES)
  recognizer.recording_head_ = head

  def probabilities(windows: np.ndarray) -> np.ndarray:
    moves = np.linalg.norm(windows[..., :3], axis=-1).std(axis=1) > 1
    return np.where(moves[:, None], [0.7, 0.1, 0.1, 0.1], [0.1, 0.25, 0.3, 0.35])

  recognizer.probabilities = probabilities  # type: ignore[method-assign]
  return recognizer


def _predicted(
  head: RecordingHead, class_logits: list[list[float]] | None = None, **signals: np.ndarray
) -> timeline.Predictions:
  """The answers, to a file for each of the signals."""
  return timeline.predict(_recognizer(head, class_logits), worn_device.reading(**signals), progress=False)


def test_windows_of_a_file_are_adapted_together_over_a_pause():
  windows, _ = recording(np.random.default_rng(5), np.eye(3), count=20)
  walking, other = windows[: len(windows) // 4], windows[len(windows) // 4 :]
  reading = dataclasses.replace(worn_device.reading(first=walking, second=other), files=['day', 'day'])
  plain, adapting = _recognizer(None, None), _recognizer(None, (3 * np.eye(4)).tolist())
  raw, made = (timeline.predict(one, reading, progress=False).probabilities for one in (plain, adapting))
  np.testing.assert_allclose(made, adapt_to_recording(raw, adapting.class_logits), rtol=1e-4)


def test_a_recording_is_compared_with_its_walking_if_it_has_some(head):
  rng = np.random.default_rng(5)
  windows, labels = recording(rng, random_rotation(rng), count=20)
  predictions = _predicted(head, day=windows)
  inside = predictions.start_s[:, None] - 2.56 * np.arange(len(labels))
  at = np.abs(inside).min(axis=1) < 0.01  # windows that do not overlap two of those that were made
  found = predictions.probabilities[at, :3].argmax(axis=1)
  assert predictions.compared is True
  np.testing.assert_array_equal(found, labels[np.abs(inside[at]).argmin(axis=1)])
  still = _predicted(head, day=windows[labels != WALKING])
  assert still.compared is False
  assert set(still.probabilities.argmax(axis=1)) == {3}


def test_files_of_several_people_are_not_compared_with_each_others_walking(head):
  rng = np.random.default_rng(5)
  one, other = (recording(rng, rotation, count=20) for rotation in (np.eye(3), random_rotation(rng)))
  means = (3 * np.eye(4)).tolist()
  both, alone = _predicted(head, means, ana=one[0], ben=other[0]), _predicted(head, means, ana=one[0])
  np.testing.assert_array_equal(both.probabilities[both.recording == 0], alone.probabilities)
  assert (both.compared, both.pooled_files) == (True, 0)
  assert alone.pooled_files == 0


def test_a_file_without_walking_is_compared_with_that_of_all_and_this_is_said(head):
  rng = np.random.default_rng(5)
  windows, labels = recording(rng, random_rotation(rng), count=20)
  walk, rest = windows[labels == WALKING], windows[labels != WALKING]
  apart, joined = _predicted(head, walk=walk, rest=rest), _predicted(head, day=np.concatenate([walk, rest]))
  assert (apart.compared, apart.pooled_files) == (True, 2)
  inner = apart.recording == 1
  last = joined.probabilities[-inner.sum() :]
  np.testing.assert_allclose(apart.probabilities[inner], last, atol=0.05)
  still = _predicted(head, one=rest, other=rest)
  assert (still.compared, still.pooled_files) == (False, 0)


def test_files_that_share_their_walking_are_then_adapted_together(head, monkeypatch):
  rng, together = np.random.default_rng(5), []
  windows, labels = recording(rng, random_rotation(rng), count=20)
  walk, rest = windows[labels == WALKING], windows[labels != WALKING]

  def adapted(_, probabilities, recordings):
    together.append(len(set(recordings.tolist())))
    return probabilities

  monkeypatch.setattr(Recognizer, 'adapt_probabilities', adapted)
  _predicted(head, walk=walk, rest=rest)
  _predicted(head, ana=windows, ben=windows)
  assert together == [2, 1, 2, 2]


def test_the_bundled_base_has_one_and_a_fitted_recognizer_none():
  recognizer = Recognizer.load()
  assert {*recognizer.recording_head_.classes} == {*recognizer.base.classes} - {'unknown'}
  recognizer._set_adapter(recognizer.base_, recognizer.adapter_)  # as a fit ends
  assert recognizer.recording_head_ is None

"""Windows of activities that were never learned are refused, by distances and by what the base answers."""

def test_a_score_is_of_the_window_and_of_its_neighbors():
  """By hand: inputs of one number, class means of 0 and 4, and windows of which one is far from both."""
  inputs = np.zeros((20, 1))
  inputs[10] = 9
  answers = np.tile([0.75, 0.25], (20, 1))
  scores = unknown_activities.distances(inputs, answers, np.array([[0.0], [4]]), [slice(0, 20)])
  squares = 0.75 * np.array([0.0, 1, 81]) + 0.25 * np.array([16.0, 9, 25])  # at 0, 1 and 9
  far, near, usual = (squares[2] + squares[1]) / 2, (squares[0] + squares[1]) / 2, squares[0]
  np.testing.assert_allclose(scores[10], (far + 2 * near) / 3)
  np.testing.assert_allclose(scores[[9, 11]], (far + 2 * near) / 3)
  np.testing.assert_allclose(scores[[7, 8, 12, 13]], near)
  np.testing.assert_allclose(scores[[6, 14]], (usual + 2 * near) / 3)
  np.testing.assert_allclose(scores[[0, 4, 16, 19]], usual)


def test_scores_do_not_cross_a_gap_and_do_not_depend_on_blocks(monkeypatch):
  rng = np.random.default_rng(0)
  inputs, means, answers = rng.normal(size=(50, 3)), rng.normal(size=(2, 3)), rng.dirichlet([1, 1], 50)
  parts = [slice(0, 30), slice(30, 50)]
  scores = unknown_activities.distances(inputs, answers, means, parts)
  for part in parts:
    alone = unknown_activities.distances(
      inputs[part], answers[part], means, [slice(0, part.stop - part.start)]
    )
    np.testing.assert_allclose(scores[part], alone)
  monkeypatch.setattr(unknown_activities, '_BLOCK', 7)
  np.testing.assert_allclose(unknown_activities.distances(inputs, answers, means, parts), scores, rtol=1e-5)


@pytest.mark.parametrize(('count', 'refused'), [(19, [False, True]), (18, [False, False])])
def test_a_score_above_the_quantile_of_enough_others_is_refused(count, refused):
  held_out = np.arange(1.0, count + 1).tolist()
  assert unknown_activities.refuse(np.array([count, count + 1.0]), held_out, 0.05).tolist() == refused
  sentence = unknown_activities.refusal_shortage(held_out, 0.05)
  assert (sentence is None) == refused[1]
  assert refused[1] or 'needs 19 labeled windows' in sentence


def unknown_scores(recognizer, X):
  answers, inputs = recognizer.answer_with_inputs(X)
  np.testing.assert_allclose(answers, recognizer.probabilities(X), atol=1e-5)
  means = np.array(recognizer.adapter_.card.class_means)
  adapted = adapt_to_recording(answers**recognizer.temperature, recognizer.class_logits)
  return unknown_activities.distances(inputs, adapted, means, [slice(0, len(X))])


def test_windows_unlike_the_training_windows_score_higher(fitted):
  assert np.median(unknown_scores(fitted, SIGNALS[:, ::-1] * 4)) > np.quantile(
    unknown_scores(fitted, SIGNALS), 0.99
  )


def test_calibration_keeps_the_scores_of_its_windows_as_of_one_recording(fitted):
  calibrated = _calibrated(fitted)
  scores = unknown_scores(calibrated, SIGNALS)
  assert len(calibrated.unknown_scores) == min(len(scores), 200)
  assert calibrated.unknown_scores[-1] == pytest.approx(scores.max())


def test_each_recording_is_calibrated_by_itself(fitted):
  alone = _calibrated(fitted)  # the same temperature
  scores = [unknown_scores(alone, half) for half in np.split(SIGNALS, 2)]
  both = _calibrated(fitted, SIGNALS, LABELS, np.repeat(['a', 'b'], len(SIGNALS) // 2))
  np.testing.assert_allclose(both.unknown_scores, np.sort(np.concatenate(scores)), rtol=1e-5)
  with pytest.raises(UserError, match=r'the recordings are \[2\] for 72 windows'):
    calibrate(both, SIGNALS, LABELS, ['a', 'b'])



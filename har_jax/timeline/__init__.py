"""A recording of hours → predictions, bouts, minutes per activity, a picture; an adapter; what to label."""

from har_jax.timeline.activities import Score, score
from har_jax.timeline.adaptation import OVERLAPPING, Adapted, adapt
from har_jax.timeline.answers import Answers, make_answers
from har_jax.timeline.bouts import Bout, Rules, find_bouts
from har_jax.timeline.predictions import Predictions, predict, warnings_for
from har_jax.timeline.recognition import recognize
from har_jax.timeline.suggestions import suggest

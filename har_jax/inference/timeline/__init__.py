"""Hours of recording → what was done when: an answer a window, bouts of them, minutes, a picture."""

from har_jax.inference.timeline.answers import Answers, doubts, recognize
from har_jax.inference.timeline.bouts import Bout, Rules, find
from har_jax.inference.timeline.outputs import write
from har_jax.inference.timeline.scoring import Score, score

__all__ = ['Answers', 'Bout', 'Rules', 'Score', 'doubts', 'find', 'recognize', 'score', 'write']

"""Hours of recording → what was done when: an answer a window, bouts of them, minutes, a picture."""

from har_jax.timeline.answers import Answers, doubts, recognise
from har_jax.timeline.bouts import Bout, Rules, find
from har_jax.timeline.outputs import write
from har_jax.timeline.scoring import Score, score

__all__ = ['Answers', 'Bout', 'Rules', 'Score', 'doubts', 'find', 'recognise', 'score', 'write']

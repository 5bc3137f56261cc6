"""Hours of recording → what was done when: an answer a window, bouts of them, minutes, a picture."""

from har_jax.timeline.answers import Answers, doubts, recognise
from har_jax.timeline.bouts import Bout, Rules, find
from har_jax.timeline.outputs import write

__all__ = ['Answers', 'Bout', 'Rules', 'doubts', 'find', 'recognise', 'write']

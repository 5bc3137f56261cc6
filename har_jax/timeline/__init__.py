"""Hours of recording → what was done when: an answer a window, bouts of them, minutes, a picture."""

from har_jax.timeline.answers import Answers, recognise
from har_jax.timeline.bouts import Bout, Rules, find
from har_jax.timeline.files import contents

__all__ = ['Answers', 'Bout', 'Rules', 'contents', 'find', 'recognise']

"""Adapters: a small network with one hidden layer after a frozen layer, added to that layer's output.

Source: arXiv:1902.00751, section 2.1 (after attention and after the feed-forward layer); arXiv:2005.00247,
section 2.3 (after the feed-forward layer only).   o out, w adapter width.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from har_jax.methods.method import Method, Settings, in_head, module_key, target_modules
from har_jax.variables import Variables

_INIT_STD = 0.01  # of the first layer; the second starts at zero, so that the model starts as it was


def _method(name: str, summary: str, targets: Sequence[str]) -> Method:
  def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
    width = settings.methods.adapter_width
    added: Variables = {}
    for module in target_modules(variables, targets):
      fan_out = variables[f'params/{module}/bias'].size
      drawn = _INIT_STD * jax.random.truncated_normal(module_key(module, key), -2, 2, (fan_out, width))
      added |= {
        f'adapter/{module}/down': drawn,
        f'adapter/{module}/down_bias': jnp.zeros(width),
        f'adapter/{module}/up': jnp.zeros((width, fan_out)),
        f'adapter/{module}/up_bias': jnp.zeros(fan_out),
      }
    return variables | added

  return Method(
    name=name,
    summary=summary,
    adapt=adapt,
    trains=lambda path, settings: in_head(path) or path.startswith('adapter/'),
    collections=('adapter',),
    unmerged='it has a hidden layer of its own',
  )


HOULSBY = _method(
  'adapter', 'trains a small hidden layer after attention and feed-forward, and the head', ('output', 'down')
)
PFEIFFER = _method(
  'pfeiffer', 'trains a small hidden layer after the feed-forward layer, and the head', ('down',)
)

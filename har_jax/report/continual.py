"""The matrix of a stream of domains as a picture."""

from typing import Any

import numpy as np

from har_jax.report import svg

_MOST_NUMBERS = 12  # domains; with more, the numbers in the cells cannot be read


def matrix(card: dict[str, Any]) -> str:
  """The macro-F1 on each domain after each, as an SVG file. card: of `har-jax continual`."""
  strategy = card['identity']['strategy']
  named = f'matrix-{strategy}', f'Macro-F1 on each domain after training on each, {strategy}'
  size = 2.2 + 0.42 * len(card['history'])
  return svg.file(svg.render(_draw, card['history'], named=named, size=(size, size * 0.85)))


def _draw(figure: Any, history: list[dict[str, Any]]) -> None:
  values = np.array([entry['macro_f1'] for entry in history], float)
  names = [entry['domain'] for entry in history]
  axes = figure.subplots()
  shown = axes.imshow(values, vmin=0, vmax=1, cmap='viridis')
  axes.set_xticks(range(len(names)), names, rotation=60, ha='right')
  axes.set_yticks(range(len(names)), names)
  axes.set(xlabel='tested on', ylabel='trained up to')
  axes.grid(visible=False)
  if len(names) <= _MOST_NUMBERS:
    for (row, column), value in np.ndenumerate(values):
      if not np.isnan(value):
        axes.text(
          column,
          row,
          f'{100 * value:.0f}',
          ha='center',
          va='center',
          color='black' if value > 0.6 else 'white',
        )
  figure.colorbar(shown, label='macro-F1')

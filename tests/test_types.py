"""A user's type checker knows what the package exports."""

import pathlib
import re
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_RIGHT = """
from pathlib import Path

import numpy as np

import har_jax
from har_jax import Adapted, Answers, Recognizer, UserError

windows = np.zeros((40, 128, 6))
recognizer = Recognizer(method='lora', max_steps=100).fit(windows, ['sitting', 'walking'] * 20)
adapted_again: Recognizer = Recognizer.load().adapt(windows, ['sitting'] * 40, rank=4)
recognizer.set_params(tta_shifts=2).save(Path('mine'), overwrite=True)
names: list[str] = recognizer.predict(windows).tolist()
adapted: Adapted = har_jax.adapt('day.csv', Path('labels.csv'), rank=4, acc_unit='g')
try:
  answers: Answers = har_jax.recognize('day.csv', adapted, unknown_below=0.5, columns={'ax': 'x'})
except UserError as error:
  print(error)
else:
  sentences: list[str] = answers.notes + answers.warnings
  answers.save('answers')
"""
_WRONG = {
  'har_jax.Recogniser()': 'attr-defined',
  'Recognizer(method=3)': 'arg-type',
  'Recognizer(steps=3)': 'call-arg',
  "Recognizer().fit([[0.0]], ['a']).predictions": 'attr-defined',
  "Recognizer().adapt([[0.0]], ['a'], max_steps='ten')": 'arg-type',
  "Recognizer().set_params(rank='four')": 'arg-type',
  "har_jax.recognize('day.csv', unknown_below='half')": 'arg-type',
  "har_jax.recognize('day.csv', acc_units='g')": 'call-arg',
  "har_jax.adapt('day.csv', rank='four')": 'arg-type',
  "har_jax.adapt('day.csv').bouts": 'attr-defined',
}


@pytest.mark.slow
def test_a_right_snippet_passes_mypy_strictly_and_each_wrong_line_does_not(tmp_path):
  pytest.importorskip('mypy')
  (tmp_path / 'right.py').write_text(_RIGHT, encoding='utf-8')
  wrong = '\n'.join(['import har_jax', 'from har_jax import Recognizer', *_WRONG])
  (tmp_path / 'wrong.py').write_text(wrong, encoding='utf-8')
  command = [sys.executable, '-m', 'mypy', '--strict', '--follow-imports=silent', '--cache-dir=cache']
  command += ['--no-site-packages', '--ignore-missing-imports']  # NumPy and JAX take ten times as long
  done = subprocess.run(
    [*command, 'right.py', 'wrong.py'],
    cwd=tmp_path,
    env={'MYPYPATH': str(_ROOT)},
    capture_output=True,
    text=True,
  )
  errors = re.findall(r'^(\w+)\.py:(\d+): error: .*\[([\w-]+)\]$', done.stdout, re.MULTILINE)
  expected = [('wrong', str(line), code) for line, code in enumerate(_WRONG.values(), start=3)]
  assert errors == expected, done.stdout + done.stderr

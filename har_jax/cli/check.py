"""Check a recording: is it any good? Rates, gaps, time worn, sensors at rest, and what is doubtful.

har-jax check day.csv --out=checked
"""

from har_jax.cli import command, user_files

POSITIONAL = ('recording',)
COMMON = 'recording adapter labels out columns time_zone overwrite'
FLAGS, _define = command.new_flags(with_json=True)
_read = user_files.define_recording(FLAGS)
_ADAPTER = _define('adapter')
_OUT = _define('out', 'checked', 'folder or bucket for check.txt, check.json and check.svg')
_OVERWRITE = _define('overwrite', False)
_NOT_WORN_MIN = _define('not_worn_min', 30.0)


def main() -> dict[str, object]:
  from har_jax import storage
  from har_jax.timeline import quality

  out = storage.place(_OUT.value)
  storage.refuse_used(out, overwrite=_OVERWRITE.value)
  user_files.check_given('adapter', _ADAPTER.value)
  source, options = _read()
  del options['tell']  # its sentences are on the page
  checked = quality.check(source, _ADAPTER.value, not_worn_min=_NOT_WORN_MIN.value, **options)
  checked.save(out, overwrite=_OVERWRITE.value)
  page = checked.text
  for warning in checked.warnings:
    page = page.replace(warning, command.with_dashes(warning))
  print(page)
  print(out / 'check.txt')
  return {'out': out, **checked.summary}

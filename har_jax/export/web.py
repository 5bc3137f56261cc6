"""A page that records motion and recognizes activities in a phone's browser: ONNX, and the page around it.

`make web` builds the page from web/ into har_jax/assets/web. A wheel holds it and git does not, since its
runtime, onnxruntime-web, is a large binary.
"""

import dataclasses
import hashlib
import json
import pathlib

import har_jax
from har_jax.errors import UserError
from har_jax.export.format import Files
from har_jax.export.onnx_graph import ONNX

FOLDER = pathlib.Path(har_jax.__file__).parent / 'assets' / 'web'
_LIST = 'files.js'  # what the page's service worker keeps for offline use


def _page_files(files: Files) -> Files:
  """The page's files, and the list of all files."""
  if not (FOLDER / 'index.html').is_file():
    raise UserError(
      'the page is not built: run `make web` in a clone, which needs Node.js 20.19 or newer; '
      'or install a wheel of har_jax, which holds it'
    )
  page = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.is_file()}
  digest = hashlib.sha256()
  for name, content in sorted((page | dict(files)).items()):
    digest.update(f'{name} {len(content)}\n'.encode())
    digest.update(content)
  # The folder's address stands for index.html: some hosts redirect one to the other.
  names = [
    './',
    *(name for name in sorted([*page, *files]) if name not in ('index.html', 'service_worker.js')),
  ]
  listed = json.dumps({'version': digest.hexdigest(), 'names': names}, indent=1)
  return page | {_LIST: f'self.FILES = {listed};\n'.encode()}


WEB = dataclasses.replace(ONNX, name='web', extra_files=_page_files)

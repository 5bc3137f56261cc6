"""A page that records, recognizes and learns activities in a phone's browser: ONNX, and the page around it.

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
from har_jax.export.merged import Merged
from har_jax.export.onnx_graph import ONNX

FOLDER = pathlib.Path(har_jax.__file__).parent / 'assets' / 'web'
_ADAPTER = ('adapter.json', 'adapter.safetensors')  # the page saves what it learned as a changed one
_LIST = 'files.js'  # what the page's service worker keeps for offline use


def _build(merged: Merged, precision: str) -> bytes:
  """The ONNX graph, with what the page learns from: the output layer's input, and logits as they are."""
  import onnx

  model, last = onnx.load_from_string(ONNX.build(merged, precision)), len(merged.model.head)
  hidden = f'head/relu_{last - 1}' if last else 'head/standardize'
  for name, tensor in (('hidden', hidden), ('raw_logits', f'head/dense_{last}')):
    model.graph.node.append(onnx.helper.make_node('Identity', [tensor], [name], name=name))
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
  return model.SerializeToString()


def _page_files(files: Files) -> Files:
  """The page's files, and the list of all files."""
  if not (FOLDER / 'index.html').is_file():
    raise UserError(
      'the page is not built: run `make web` in a clone, which needs Node.js 20.19 or newer; '
      'or install a wheel of har_jax, which holds it'
    )
  page = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.is_file()}
  page |= {name: files[name] for name in _ADAPTER if name in files}
  digest = hashlib.sha256()
  for name, content in sorted((page | dict(files)).items()):
    digest.update(f'{name} {len(content)}\n'.encode())
    digest.update(content)
  # The folder's address stands for index.html: some hosts redirect one to the other.
  names = [
    './',
    *(name for name in sorted({*page, *files}) if name not in ('index.html', 'service_worker.js')),
  ]
  listed = json.dumps({'version': digest.hexdigest(), 'names': names}, indent=1)
  return page | {_LIST: f'self.FILES = {listed};\n'.encode()}


WEB = dataclasses.replace(ONNX, name='web', build=_build, extra_files=_page_files)

"""Folders and zips of small files."""

import io
import pathlib
import zipfile
from collections.abc import Mapping

import pandas as pd

Texts = dict[str, str]  # files by name; of a zip within, <zip>/<name>


def write(folder: pathlib.Path, files: Mapping[str, str | bytes | pd.DataFrame]) -> pathlib.Path:
  for name, content in files.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    text = content.to_csv(index=False) if isinstance(content, pd.DataFrame) else content
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
  return folder


def unzipped(content: bytes) -> dict[str, bytes]:
  with zipfile.ZipFile(io.BytesIO(content)) as file:
    return {name: file.read(name) for name in file.namelist()}


def zipped(files: Mapping[str, str | bytes]) -> bytes:
  content = io.BytesIO()
  with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED) as file:
    for name, text in files.items():
      file.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)  # of a fixed date
  return content.getvalue()


def write_zip(path: pathlib.Path, files: Mapping[str, str | bytes]) -> pathlib.Path:
  path.write_bytes(zipped(files))
  return path


def zipped_texts(texts: Texts) -> bytes:
  """The texts as a zip; what lies in a zip within stays there."""
  files: dict[str, str | bytes] = {}
  inner: dict[str, Texts] = {}
  for name, text in texts.items():
    outer, is_zip, name_inside = name.partition('.zip/')
    if is_zip:
      inner.setdefault(f'{outer}.zip', {})[name_inside] = text
    else:
      files[name] = text
  return zipped(files | {name: zipped_texts(contents) for name, contents in inner.items()})

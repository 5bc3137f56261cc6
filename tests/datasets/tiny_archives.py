"""Two archives of a few windows each, in their official layout."""

import pathlib

import numpy as np
from zips import write, zipped_texts


def hapt_files(rows: int = 500) -> dict[str, str]:
  rng = np.random.default_rng(0)
  files = {'RawData/labels.txt': f'1 1 1 1 {rows}\n2 2 4 1 {rows}\n2 2 7 1 20\n'}
  for experiment in (1, 2):
    for sensor in ('acc', 'gyro'):
      values = rng.normal(0, 1, (rows, 3))
      text = '\n'.join(' '.join(f'{value:.4f}' for value in row) for row in values)
      files[f'RawData/{sensor}_exp{experiment:02}_user{experiment:02}.txt'] = text
  return files


def hapt_zip(path: pathlib.Path, **options) -> pathlib.Path:
  return write(path.parent, {path.name: zipped_texts(hapt_files(**options))}) / path.name


def dsads_folder(tmp_path: pathlib.Path) -> pathlib.Path:
  rng = np.random.default_rng(0)
  for activity in (1, 9):
    folder = tmp_path / 'dsads' / 'data' / f'a{activity:02}' / 'p1'
    folder.mkdir(parents=True)
    for segment in (1, 2):
      np.savetxt(folder / f's{segment:02}.txt', rng.normal(0, 1, (125, 45)), delimiter=',', fmt='%.4f')
  return tmp_path / 'dsads'

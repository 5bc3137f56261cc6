"""The datasets of a folder of windows, each opened once: parsed, compared with its checksums, and kept."""

import functools
import os
import pathlib
from collections.abc import Collection

from har_jax import records
from har_jax.archives.sample import SAMPLE
from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.datasets import windows as store
from har_jax.errors import UserError

# Archives.
_SAME_PEOPLE = (
  frozenset({'hapt', 'ucihar'}),
  *(frozenset({archive.name, archive.name.removeprefix('sample_')}) for archive in SAMPLE),
)


class Dataset:
  """One folder of windows. What is asked for is read at the first time, and kept.

  The signals stay memory-mapped, so that a kept dataset takes about 20 bytes a window.
  Everything raises UserError where the folder is missing or damaged.
  """

  def __init__(self, folder: pathlib.Path):
    self.folder: pathlib.Path = folder
    self.name: str = folder.name

  @functools.cached_property
  def _card(self) -> store.Card:
    return store.read_card(self.folder)

  @property
  def meta(self) -> records.Windows:
    return self._card[0]

  @functools.cached_property
  def windows(self) -> store.Windows:
    """The windows of all positions. Raises UserError also where they are no longer those of `meta`."""
    self._states = self._read_states()
    try:
      return store.load(self.folder, self._card)
    except UserError:
      self._check_card()
      raise

  @functools.cached_property
  def first_position(self) -> store.Windows:
    """The windows of the first position, as if they had been prepared alone; only sources use the others."""
    return store.at_position(self.windows, 0)

  @property
  def checksum(self) -> str:
    return store.sum_card(self._card)

  @property
  def identity(self) -> records.IdentifiedWindows:
    meta, is_usual = self.meta, self.meta.windowing == DEFAULT_WINDOWING
    return records.IdentifiedWindows(
      checksum=meta.checksum,
      position=meta.position,
      code_version=meta.code_version,
      window_samples=None if is_usual else meta.window_samples,
      rate_hz=None if is_usual else meta.rate_hz,
      windows=meta.counts.windows,
      sum=self.checksum,
    )

  @property
  def people(self) -> frozenset[str]:
    """The dataset, its archive, and archives of the same people: datasets that share one share people."""
    names = {self.name, self.meta.archive or self.name}
    return frozenset(names.union(*(same for same in _SAME_PEOPLE if names & same)))

  def check_unchanged(self) -> None:
    """Raises UserError where the files are not those that were read."""
    self._check_card()
    if 'windows' in self.__dict__ and self._read_states() != self._states:
      store.load(self.folder, self._card)

  def _check_card(self) -> None:
    if Dataset(self.folder).identity != self.identity:
      raise UserError(
        f'the windows of {self.name} in {self.folder.parent} have changed while they were in use; '
        'run again, with another --out'
      )

  def _read_states(self) -> list[tuple[int, int]]:
    """Size and time of the large files: they are compared with their checksums again only if these change."""
    states = [os.stat(path) for path in sorted(self.folder.glob('*.np[yz]'))]
    return [(state.st_size, state.st_mtime_ns) for state in states]


class Datasets:
  """The datasets of a folder, by name. Two are equal if they are the same object."""

  def __init__(self, folder: pathlib.Path, names: tuple[str, ...]):
    self.folder: pathlib.Path = folder
    self.names: tuple[str, ...] = names
    self._datasets = {name: Dataset(folder / name) for name in names}

  @classmethod
  def open(cls, folder: pathlib.Path) -> 'Datasets':
    """Finds the datasets, and reads nothing yet. Raises UserError where there is none."""
    names = sorted(path.parent.name for path in folder.glob('[!.]*/meta.json'))
    if (folder / 'meta.json').exists():
      raise UserError(f'{folder} is one dataset: give {folder.parent}, and {folder.name} by its name')
    if not names:
      raise UserError(f'no windows under {folder}; har-jax prepare --out={folder} makes them')
    return cls(folder, tuple(names))

  def __getitem__(self, name: str) -> Dataset:
    if name not in self._datasets:
      raise UserError(f'no windows of {name!r} under {self.folder}; there are {", ".join(self.names)}')
    return self._datasets[name]

  @property
  def windowing(self) -> Windowing:
    """Length and rate of all windows. Raises UserError if they differ."""
    first, *others = [self[name].meta.windowing for name in self.names]
    if any(other != first for other in others):
      listed = ', '.join(f'{name} {self[name].meta.windowing}' for name in self.names)
      raise UserError(
        f'the windows in {self.folder} differ ({listed}): prepare them alike, or name one length and rate '
        'with --model_window_samples and --model_rate_hz, and its datasets with --targets and --sources'
      )
    return first

  def check_windowing(self, names: Collection[str], windowing: Windowing) -> None:
    """Raises UserError if a dataset's windows are not of the length and rate that a model takes."""
    for name in names:
      store.check_windowing(name, self[name].meta, windowing)

  def sharing_people(self, name: str) -> frozenset[str]:
    """The datasets that have people of this one, itself among them, whatever their folder's name."""
    return frozenset(other for other in self.names if self[name].people & self[other].people)

  def identify(self, names: Collection[str]) -> dict[str, records.IdentifiedWindows]:
    return {name: self[name].identity for name in names}

  def check_unchanged(self, names: Collection[str]) -> None:
    """Raises UserError where the files of a dataset are not those that were read."""
    for name in names:
      self[name].check_unchanged()

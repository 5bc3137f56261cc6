"""The public archives: one file and one line each."""

from har_jax.archives import (
  dsads,
  hapt,
  hhar,
  liara,
  motionsense,
  pamap2,
  pdiot,
  realworld,
  sp_sw_har,
  ucihar,
  weda_fall,
  wisdm,
)
from har_jax.archives.archive import Archive
from har_jax.archives.sample import SAMPLE

_ALL: tuple[Archive, ...] = (
  hapt.ARCHIVE,
  motionsense.ARCHIVE,
  dsads.ARCHIVE,
  wisdm.ARCHIVE,
  hhar.ARCHIVE,
  realworld.ARCHIVE,
  pamap2.ARCHIVE,
  ucihar.ARCHIVE,
  pdiot.ARCHIVE,
  weda_fall.ARCHIVE,
  sp_sw_har.ARCHIVE,
  liara.ARCHIVE,
  *SAMPLE,
)
ARCHIVES: dict[str, Archive] = {archive.name: archive for archive in _ALL}

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

_READERS = (
  *(hapt, motionsense, dsads, wisdm, hhar, realworld, pamap2),
  *(ucihar, pdiot, weda_fall, sp_sw_har, liara),
)
ARCHIVES: dict[str, Archive] = {
  archive.name: archive for archive in (*(reader.ARCHIVE for reader in _READERS), *SAMPLE)
}

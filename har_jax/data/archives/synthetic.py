"""The five synthetic corpora as archives: they have no files, so their source may be None."""

import collections
from collections.abc import Iterator

from har_jax.data.archives.archive import Archive
from har_jax.data.recording import Recording
from har_jax.data.synthetic import corpus_recordings
from har_jax.data.synthetic_corpora import CORPORA, Corpus


def _archive(corpus: Corpus) -> Archive:
  def read(source: object, position: str, dropped: collections.Counter) -> Iterator[Recording]:
    del source, position, dropped  # no files, one position, nothing dropped
    return corpus_recordings(corpus.name)

  return Archive(
    corpus.name,
    corpus.title,
    marker='',
    positions=(corpus.position,),
    read=read,
    url='',
    license='none: generated',
  )


SYNTHETIC = tuple(_archive(corpus) for corpus in CORPORA)

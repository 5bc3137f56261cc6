"""The five synthetic corpora as archives: they have no files, so their source may be None."""

import collections
from collections.abc import Iterator

from har_jax.archives.archive import Archive
from har_jax.archives.synthetic_corpora import CORPORA, Corpus
from har_jax.archives.synthetic_signals import corpus_recordings
from har_jax.signal.recording import Recording


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

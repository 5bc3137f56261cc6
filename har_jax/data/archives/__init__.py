"""The archives we read: one file and one line each."""

from har_jax.data.archives.archive import Archive

_ALL: tuple[Archive, ...] = ()
ARCHIVES: dict[str, Archive] = {archive.name: archive for archive in _ALL}

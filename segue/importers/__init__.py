"""Reads listening logs and catalogues of others into Segue's messages. One source a file; `SOURCES` finds them by name."""

from pathlib import Path

from segue.errors import InputError
from segue.importers.jamendo import JAMENDO
from segue.importers.jsonl import JSONL
from segue.importers.lastfm import LASTFM
from segue.importers.movielens import MOVIELENS
from segue.importers.source import Reading, Source, seen_in
from segue.importers.spotify_export import SPOTIFY_EXPORT
from segue.importers.spotify_pack import SPOTIFY_PACK

__all__ = ["SOURCES", "Reading", "Source", "source_of"]

SOURCES: dict[str, Source] = {
    source.name: source for source in (SPOTIFY_EXPORT, SPOTIFY_PACK, MOVIELENS, LASTFM, JAMENDO, JSONL)
}


def source_of(path: Path, name: str | None = None) -> Source:
    """The source by name, or the one that recognises the path.

    Raises
    ------
    InputError
    """
    if not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: {'neither file nor folder' if path.exists() else 'no such file or folder'}")
    if name is not None:
        if name not in SOURCES:
            raise InputError(f"--from {name}: unknown, expected one of {', '.join(SOURCES)}")
        return SOURCES[name]
    for source in SOURCES.values():
        if source.fits(path):
            return source
    expected = "; ".join(f"{source.name}: {source.about}" for source in SOURCES.values())
    raise InputError(
        f"{path}: no source recognises {seen_in(path)}. Where a command has it, --from names one; expected {expected}"
    )

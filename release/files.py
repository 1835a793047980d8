"""Files to archives whose bytes depend on nothing but the files: sorted, of owner 0, of one moment."""

import io
import os
import tarfile
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A file, a folder or a symbolic link of an archive."""

    name: str
    content: bytes = b""
    mode: int = 0o644
    owner: int = 0
    link: str = ""
    folder: bool = False


def of(directory, prefix=""):
    """What is below a directory, with every folder before what is in it."""
    found = [Entry(prefix, mode=0o755, folder=True)] if prefix else []
    for path in sorted(directory.rglob("*")):
        name = os.path.join(prefix, path.relative_to(directory))
        if path.is_symlink():
            found.append(Entry(name, mode=0o777, link=os.readlink(path)))
        elif path.is_dir():
            found.append(Entry(name, mode=0o755, folder=True))
        else:
            mode = 0o755 if os.access(path, os.X_OK) and path.stat().st_mode & 0o100 else 0o644
            found.append(Entry(name, path.read_bytes(), mode))
    return found


def tar(entries, moment):
    """An archive of them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry in sorted(entries, key=lambda entry: entry.name.split("/")):
            header = tarfile.TarInfo(entry.name)
            header.mtime, header.mode = moment, entry.mode
            header.uid = header.gid = entry.owner
            if entry.folder:
                header.type = tarfile.DIRTYPE
            elif entry.link:
                header.type, header.linkname = tarfile.SYMTYPE, entry.link
            else:
                header.size = len(entry.content)
            archive.addfile(header, io.BytesIO(entry.content))
    return out.getvalue()

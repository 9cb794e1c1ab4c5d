"""Which file system a file lies on, by the kernel's table of mounts.

Where there is no such table (macOS) nothing is known, and nothing is refused.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")
"""The kernel's table; see proc_pid_mountinfo(5)."""

WITHOUT_LOCKS = frozenset(
    {
        *("nfs", "nfs4"),  # locks depend on both ends, and may be silently local (nolock)
        *("cifs", "smb3", "smbfs", "ncpfs", "afs"),  # locks are of another kind
        *("fuse.sshfs", "fuse.s3fs", "fuse.goofys", "fuse.rclone", "fuse.gcsfuse", "fuse.davfs"),
        "davfs",
    }
)
"""File systems where the locks that SQLite lives on are not reliable: its own documentation
warns of all of them (https://sqlite.org/faq.html, question 5)."""

WITHOUT_FOLDERS = frozenset(
    {*("fuse.s3fs", "fuse.goofys", "fuse.rclone", "fuse.gcsfuse", "fuse.davfs"), "davfs"}
    | {"fuse.mount-s3", "fuse.blobfuse", "fuse.blobfuse2"}
)
"""File systems over stores of whole objects: nothing grows in place there, and renaming a folder
copies what is in it, one after the other."""

_SHARED = frozenset({"9p", "ceph", "lustre", "beegfs", "gpfs", "gfs2", "ocfs2", "virtiofs"})

_ESCAPED = re.compile(r"\\([0-7]{3})")


def find_file_system(path: Path) -> str | None:
    """Type of the file system that holds ``path``, or will hold it; None if that is not known.

    Args:
        path: need not exist; links are followed.
    """
    try:
        table = TABLE.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return None
    real = os.path.realpath(path)
    best: tuple[int, str] | None = None
    for line in table.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4])
        # Of two mounts at one place the later hides the earlier.
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and (best is None or len(point) >= best[0]):
            best = len(point), after.split(" ")[0]
    return None if best is None else best[1]


def may_share_locks_badly(file_system: str) -> bool:
    """Whether other machines may see the file while its locks, or its order of writes, do not
    reach them: nothing is refused there, but somebody should know.
    """
    return file_system in WITHOUT_LOCKS or file_system in _SHARED or file_system.startswith("fuse.")

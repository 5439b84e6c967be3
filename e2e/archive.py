"""Prints the entries of a zip or tar archive as a JSON array: `archive.py FILE`."""

import hashlib
import json
import sys
import tarfile
import zipfile
from calendar import timegm

file = sys.argv[1]
entries = []
if file.endswith(".zip"):
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            mode, seconds = entry.external_attr >> 16, timegm((*entry.date_time, 0, 0, 0))
            entries.append((entry.filename, mode, seconds, archive.read(entry)))
else:
    with tarfile.open(file) as archive:
        for entry in archive.getmembers():
            assert (entry.uid, entry.gid, entry.uname, entry.gname) == (0, 0, "", ""), entry.name
            content = archive.extractfile(entry).read() if entry.isfile() else b""
            entries.append((entry.name, entry.mode, int(entry.mtime), content))
described = [
    {"name": name, "mode": oct(mode)[2:], "seconds": seconds, "sha256": hashlib.sha256(content).hexdigest()}
    for name, mode, seconds, content in entries
]
print(json.dumps(described))

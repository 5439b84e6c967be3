"""Packs the programs of a release. The same programs make the same bytes: every entry has the time of the commit, the same
owner, and a fixed mode, and entries are sorted.

Arguments: the folder to write to, which has THIRD-PARTY-LICENCES.txt, the version, the commit's time in seconds, and for
each architecture its name, `=`, its target's triple, `=`, and the paths of the function and of the program, separated by
a colon.
"""

import gzip
import hashlib
import io
import re
import stat
import sys
import tarfile
import time
import zipfile
from pathlib import Path

# The templates that template.yaml nests.
NESTED = ("deploy/function-url.yaml", "deploy/http-api.yaml", "deploy/rest-api.yaml")


def main(out, version, seconds, *architectures):
    out, seconds = Path(out), int(seconds)
    for each in architectures:
        architecture, target, programs = each.split("=")
        function, program = (Path(path).read_bytes() for path in programs.split(":"))
        package = f"roompass-lambda-{architecture}.zip"
        (out / package).write_bytes(zipped(function, seconds))
        (out / f"template-{architecture}.yaml").write_text(template(architecture, package))
        folder = f"roompass-{version}-{target}"
        files = {
            "LICENSE": Path("LICENSE").read_bytes(),
            "README.md": readme().encode(),
            "THIRD-PARTY-LICENCES.txt": (out / "THIRD-PARTY-LICENCES.txt").read_bytes(),
            "roompass": program,
            # The documents that messages of the program name.
            **{str(document): document.read_bytes() for document in Path("docs").rglob("*.md")},
        }
        (out / f"{folder}.tar.gz").write_bytes(tarred(folder, files, seconds))
    for nested in NESTED:
        (out / Path(nested).name).write_bytes(Path(nested).read_bytes())
    files = sorted(file for file in out.iterdir() if file.name != "SHA256SUMS")
    sums = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (out / "SHA256SUMS").write_text("".join(sums))


def zipped(bootstrap, seconds):
    """The package of a function for Lambda."""
    entry = zipfile.ZipInfo("bootstrap", time.gmtime(seconds)[:6])
    entry.create_system = 3  # Unix, whatever the system of this machine: Lambda needs the mode.
    entry.external_attr = (stat.S_IFREG | 0o755) << 16
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(entry, bootstrap, zipfile.ZIP_DEFLATED, 9)
    return written.getvalue()


def tarred(folder, files, seconds):
    """An archive with one folder. Each file's name may have further folders, and tar makes them."""
    written = io.BytesIO()
    # Without a name and a time in the header, as with `gzip --no-name`.
    with (
        gzip.GzipFile("", "wb", 9, written, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        directory = tarfile.TarInfo(folder)
        directory.type, directory.mode, directory.mtime = tarfile.DIRTYPE, 0o755, seconds
        archive.addfile(directory)
        for name in sorted(files):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime = len(files[name]), seconds
            entry.mode = 0o755 if name == "roompass" else 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return written.getvalue()


def template(architecture, package):
    """The template that deploys the package as it is, without a build, with the nested templates in the same folder."""
    text = Path("template.yaml").read_text()
    build = "    Metadata:\n      BuildMethod: rust-cargolambda\n      BuildProperties:\n        Binary: roompass-lambda\n"
    choice = "    Default: arm64\n    AllowedValues: [arm64, x86_64]\n"
    changes = {
        "      CodeUri: .\n": f"      CodeUri: {package}\n",
        build: "",
        **{f"TemplateURL: {nested}\n": f"TemplateURL: {Path(nested).name}\n" for nested in NESTED},
        choice: f"    Default: {architecture}\n    AllowedValues: [{architecture}]\n",
    }
    for old, new in changes.items():
        if text.count(old) != 1:
            sys.exit(f"pack.py: template.yaml must contain these lines exactly once:\n{old}")
        text = text.replace(old, new)
    return text


def readme():
    """The README's title, its first paragraph, and the section on how to run a release."""
    text = Path("README.md").read_text()
    title, introduction = text.split("\n\n")[:2]
    [section] = re.findall(r"^### Run a release$.*?(?=^##)", text, re.MULTILINE | re.DOTALL)
    return f"{title}\n\n{introduction}\n\n{section[1:].rstrip()}\n"


main(*sys.argv[1:])

"""Writes the licences of the crates that are linked into the programs to the standard output. The argument is the bill of
materials. A text that several crates have word for word is written once."""

import json
import subprocess
import sys
from pathlib import Path

NAMES = ("licen", "copying", "copyright", "notice", "unlicense")


def main(bom):
    linked = [crate for crate in json.loads(Path(bom).read_text())["components"] if crate["scope"] == "required"]
    folders = {(package["name"], package["version"]): Path(package["manifest_path"]).parent for package in metadata()}
    crates_of = {}
    print("The programs of Roompass contain these libraries, each under the licence that is named here:\n")
    for crate in linked:
        name = f"{crate['name']} {crate['version']}"
        print(f"  {name}: {crate['licenses'][0]['expression']}")
        for file in sorted(folders[crate["name"], crate["version"]].iterdir()):
            if file.is_file() and file.name.lower().startswith(NAMES):
                crates_of.setdefault(file.read_text().strip(), []).append(name)
    for text, crates in crates_of.items():
        print(f"\n{'=' * 80}\n{', '.join(crates)}:\n\n{text}")


def metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--all-features", "--locked"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["packages"]


main(*sys.argv[1:])

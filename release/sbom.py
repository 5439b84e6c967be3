"""Writes the bill of materials of a release to the standard output, as CycloneDX 1.6.

It has the crates that are linked into the programs, and with the scope "excluded" those that only build them. Each comes
from `cargo tree`, so that it is there for the features and targets of the release. The same commit gives the same bytes.
Arguments: the commit, its time in seconds, and for each target its triple, `=`, and the version of its compiler.
"""

import json
import subprocess
import sys
import tomllib
import uuid
from datetime import UTC, datetime
from urllib.parse import quote

PROGRAMS = {
    "roompass": ["--features", "local"],
    "roompass-lambda": ["--no-default-features", "--features", "lambda"],
}


def main(commit, seconds, *compilers):
    targets = dict(compiler.split("=", 1) for compiler in compilers)
    linked, edges = {}, {}
    for program, features in PROGRAMS.items():
        for target in targets:
            arguments = [*features, "--target", target]
            for crate in tree(*arguments, "--edges", "normal,no-proc-macro"):
                linked.setdefault(crate, set()).add(program)
            for crate, needs in tree(*arguments, "--edges", "normal,build").items():
                edges.setdefault(crate, set()).update(needs)

    described = {(package["name"], package["version"]): package for package in metadata()["packages"]}
    root = next(crate for crate in edges if crate[0] == "roompass")
    with open("Cargo.lock", "rb") as file:
        locked = {(package["name"], package["version"]): package for package in tomllib.load(file)["package"]}

    def component(crate):
        checksum = locked[crate].get("checksum")
        return {
            "type": "library",
            "bom-ref": purl(crate),
            "name": crate[0],
            "version": crate[1],
            "scope": "required" if crate in linked else "excluded",
            **({"hashes": [{"alg": "SHA-256", "content": checksum}]} if checksum else {}),
            "licenses": [{"expression": described[crate]["license"].replace("/", " OR ")}],
            "purl": purl(crate),
            "properties": [{"name": "roompass:linked-into", "value": name} for name in sorted(linked.get(crate, []))],
        }

    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                **{key: value for key, value in component(root).items() if key not in ("scope", "properties")},
                "type": "application",
                "description": described[root]["description"],
            },
            "properties": [
                {"name": "roompass:commit", "value": commit},
                *({"name": f"roompass:rustc:{target}", "value": version} for target, version in sorted(targets.items())),
            ],
        },
        "components": [component(crate) for crate in sorted(edges) if crate != root],
        "dependencies": [{"ref": purl(crate), "dependsOn": sorted(map(purl, edges[crate]))} for crate in sorted(edges)],
    }
    bom["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True)).urn
    json.dump(bom, sys.stdout, indent=2)
    print()


def tree(*arguments):
    """The crates of a dependency tree, each as name and version, with the crates that it needs."""
    needs, path = {}, []
    for line in cargo("tree", "--package", "roompass", "--prefix", "depth", *arguments).splitlines():
        depth = len(line) - len(line.lstrip("0123456789"))
        name, version = line[depth:].split()[:2]
        crate = (name, version.removeprefix("v"))
        path[int(line[:depth]) :] = [crate]
        needs.setdefault(crate, set())
        if len(path) > 1:
            needs[path[-2]].add(crate)
    return needs


def metadata():
    return json.loads(cargo("metadata", "--format-version", "1", "--all-features"))


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, "--locked"], check=True, capture_output=True, text=True).stdout


def purl(crate):
    return f"pkg:cargo/{crate[0]}@{quote(crate[1])}"


main(*sys.argv[1:])

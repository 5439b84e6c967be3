"""Verifies tokens with LiveKit's Python package: `verify.py KEY SECRET`, with one token per line on standard input.
Prints the claims as a JSON array. Fails at the first invalid token."""

import json
import re
import sys
from dataclasses import asdict

from google.protobuf.json_format import MessageToDict
from livekit.api import TokenVerifier


def camel(name):
    return re.sub("_(.)", lambda match: match[1].upper(), name)


def as_json(claims):
    return {
        "identity": claims.identity,
        "name": claims.name,
        "metadata": claims.metadata,
        "attributes": dict(claims.attributes),
        "kind": claims.kind,
        "video": {camel(name): value for name, value in asdict(claims.video).items() if value is not None},
        "roomConfig": None if claims.room_config is None else MessageToDict(claims.room_config),
    }


key, secret = sys.argv[1:]
verifier = TokenVerifier(key, secret)
json.dump([as_json(verifier.verify(line.strip())) for line in sys.stdin if line.strip()], sys.stdout)

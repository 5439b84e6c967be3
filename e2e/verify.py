"""Verifies tokens with LiveKit's own Python package: `verify.py KEY SECRET`, a token a line on standard input. Prints a
JSON array of what the tokens say, and fails at the first that doesn't verify."""

import json
import re
import sys
from dataclasses import asdict

from google.protobuf.json_format import MessageToDict
from livekit.api import TokenVerifier


def camel(name):
    return re.sub("_(.)", lambda match: match[1].upper(), name)


def said(claims):
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
json.dump([said(verifier.verify(line.strip())) for line in sys.stdin if line.strip()], sys.stdout)

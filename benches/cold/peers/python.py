"""A token function without authentication, with boto3 and LiveKit's package. It asks for events itself, and does less for
that than Lambda's own runtime."""

import json
import os
from datetime import timedelta
from http.client import HTTPConnection

import boto3
from livekit.api import AccessToken, VideoGrants

secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["ROOMPASS_SECRET_ID"])
keys = json.loads(secret["SecretString"])


def answer(event):
    body = json.loads(event["body"])
    token = (
        AccessToken(keys["LIVEKIT_API_KEY"], keys["LIVEKIT_API_SECRET"])
        .with_identity(body["participant_identity"])
        .with_name(body["participant_name"])
        .with_ttl(timedelta(minutes=10))
        .with_grants(VideoGrants(room_join=True, room=body["room_name"]))
    )
    body = json.dumps({"server_url": keys["LIVEKIT_URL"], "participant_token": token.to_jwt()})
    return {"statusCode": 201, "headers": {"content-type": "application/json"}, "body": body}


runtime = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    runtime.request("GET", "/2018-06-01/runtime/invocation/next")
    response = runtime.getresponse()
    request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(response.read())
    runtime.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", json.dumps(answer(event)))
    runtime.getresponse().read()

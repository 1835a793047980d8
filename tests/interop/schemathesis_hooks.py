"""What schemathesis cannot know of Cuegate from its document. test_openapi.py runs it with these."""

import json
import os
import re
import time
from urllib.parse import quote

import requests
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

# The channel of the gateway under test.
CHANNEL = "demo"
# As the gateway takes it.
ARN = r"arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/[a-zA-Z0-9-]+"


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """The schema is of the array of the lines."""
    if isinstance(value, bytes):
        return value
    values = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(each) for each in values).encode()


def address(members, name):
    """A made-up channel is not there: half of them become the one that is."""
    channel = members.get(name) if isinstance(members, dict) else None
    if isinstance(channel, str) and len(channel) % 2:
        members[name] = CHANNEL


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    address(path_parameters, "channel")
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    for event in body if isinstance(body, list) else [body]:
        address(event, "channel")
        address(event, "cuechannel")
        one_account(event)
    return body


def one_account(definition):
    """A gateway has 256 accounts and regions at most, and every made-up ARN would be one."""
    if isinstance(definition, dict) and re.fullmatch(ARN, str(definition.get("arn"))):
        name = definition["arn"].rpartition("/")[2]
        definition["arn"] = f"arn:aws:ivs:us-west-2:000000000000:channel/{name}"


@schemathesis.hook
def map_query(context, query):
    """A paused channel delivers nothing: `wait` lasts as long as it may, up to half a minute."""
    if (query or {}).get("wait") == "delivered":
        query["timeout_ms"] = 50
    return query


@schemathesis.hook
def before_call(context, case, kwargs):
    # A connection that became a WebSocket takes no more requests.
    kwargs["hooks"] = {"response": close_websocket}
    if case.operation.definition.raw["operationId"] in ("cancel", "getEvent", "replace"):
        publish(case.path_parameters)


def close_websocket(response, **_):
    if response.status_code == 101:
        response.connection.close()


def publish(path_parameters):
    """Only what was published can be cancelled, looked at or replaced; what is due later is still there."""
    events = f"{os.environ['CUEGATE_URL']}/v1/channels/{CHANNEL}/events"
    name = str(path_parameters.get("id"))
    at = int(time.time() * 1000) + 3_600_000
    requests.post(events, json={"data": 0, "id": name, "at": at}, timeout=60)
    if len(name) % 2 == 0:
        requests.delete(f"{events}/{quote(name, safe='')}", timeout=60)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """What is no failure."""
    answer = members(response)
    if isinstance(failure, AcceptedNegativeData):
        # One bad event or notice does not harm the others: the answer tells of it.
        return not (answer.get("rejected") or answer.get("ignored"))
    if isinstance(failure, RejectedPositiveData):
        # A document of parameters cannot say that one of them is needed.
        if case.operation.definition.raw["operationId"] in ("purge", "deleteState"):
            return answer.get("code") != "malformed"
        # It knows neither which channels there are, nor which settings go together.
        if case.operation.definition.raw["operationId"] in ("putChannel", "deleteChannel"):
            return answer.get("code") not in ("channel_conflict", "events_wait", "invalid_channel")
        # JSON Schema counts characters where Cuegate counts bytes, and knows neither the size
        # of a payload nor the time.
        return answer.get("code") not in ("event_too_large", "invalid_event")
    return True


def members(response):
    try:
        answer = json.loads(response.content)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}

"""An answer's bytes against AWS's own service model: what botocore would forgive is found here.

Nothing is sent here; `seen` says which members of which shapes have come by."""

import json
import re

import botocore.session

MODEL = botocore.session.get_session().get_service_model("ivs")

# AWS's clients take a missing `Z`, other offsets and more; the service sends this.
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# The errors of the model. Clients look for the text of all others in `message`.
MODELLED = {shape.name for shape in MODEL.error_shapes}
# What every operation may answer beside the errors its model names.
COMMON_ERRORS = {
    "AccessDeniedException": 403,
    "ThrottlingException": 429,
    "ValidationException": 400,
    "InternalServerException": 500,
    # A member of another JSON type.
    "SerializationException": 400,
}
# Members that may be null: a live stream has not ended.
NULLABLE = {("StreamSession", "endTime"), ("StreamSessionSummary", "endTime")}
# Enumerations that may be "", as their documentation says: no preset but on ADVANCED channels.
EMPTY = {("Channel", "preset"), ("ChannelSummary", "preset")}
INTEGERS = {"integer": 2**31, "long": 2**63}


def pattern_of(shape):
    """The model's regular expression as Python's."""
    pattern = shape.metadata.get("pattern")
    if pattern is None:
        return None
    # A typo of the model: it would match one letter.
    pattern = pattern.replace("[a-z-]/", "[a-z-]+/")
    # Letters, blanks and digits of any script.
    pattern = pattern.replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
    return re.compile(pattern)


def faults_of(value, shape, path):
    """Every way in which a JSON value is not what its shape says."""
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            return [f"{path}: not an object"]
        found = [f"{path}.{name}: missing" for name in shape.required_members if name not in value]
        found += [f"{path}.{name}: the model has no such member" for name in value if name not in body_members(shape)]
        for name, member in body_members(shape).items():
            if value.get(name) == "" and (shape.name, name) in EMPTY:
                continue
            if value.get(name) is not None:
                seen.add((shape.name, name))
                found += faults_of(value[name], member, f"{path}.{name}")
            elif name in value and (shape.name, name) not in NULLABLE:
                found.append(f"{path}.{name}: null")
        return found
    if kind == "list":
        if not isinstance(value, list):
            return [f"{path}: not an array"]
        found = bounds(len(value), shape, path)
        for index, item in enumerate(value):
            found += faults_of(item, shape.member, f"{path}[{index}]")
        return found
    if kind == "map":
        if not isinstance(value, dict):
            return [f"{path}: not an object"]
        found = bounds(len(value), shape, path)
        for key, item in value.items():
            found += faults_of(key, shape.key, f"{path} key") + faults_of(item, shape.value, f"{path}[{key!r}]")
        return found
    if kind == "boolean":
        return [] if isinstance(value, bool) else [f"{path}: not a boolean"]
    if kind in INTEGERS:
        if not isinstance(value, int) or isinstance(value, bool):
            return [f"{path}: not a whole number"]
        wide = [] if -INTEGERS[kind] <= value < INTEGERS[kind] else [f"{path}: too wide for {kind}"]
        return wide + bounds(value, shape, path)
    if not isinstance(value, str):
        return [f"{path}: not a string"]
    if kind == "timestamp":
        return [] if RFC3339.fullmatch(value) else [f"{path}: {value!r} is not a timestamp"]
    assert kind == "string", f"{path}: the model has a new kind of shape, {kind}"
    found = bounds(len(value), shape, path)
    if shape.enum:
        told.add((shape.name, value))
    if shape.enum and value not in shape.enum:
        found.append(f"{path}: {value!r} is none of {shape.enum}")
    pattern = pattern_of(shape)
    if pattern and not pattern.fullmatch(value):
        found.append(f"{path}: {value!r} does not match {pattern.pattern}")
    return found


def bounds(size, shape, path):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        return [f"{path}: {size} is not {low} to {high}"]
    return []


def body_members(shape):
    return {name: member for name, member in shape.members.items() if "location" not in member.serialization}


def faults_of_answer(operation, answer):
    """`operation`: its model. `answer`: status_code, headers, body."""
    status, headers, body = answer["status_code"], answer["headers"], answer["body"]
    found = []
    if not UUID.fullmatch(headers.get("x-amzn-requestid", "")):
        found.append("x-amzn-RequestId is no UUID")
    if status < 300:
        walked.add(operation.name)
        if status != operation.http["responseCode"]:
            found.append(f"status {status}, not {operation.http['responseCode']}")
        if operation.output_shape is None:
            return found + ([f"a body: {body!r}"] if body else [])
    if headers.get("content-type") != "application/json":
        found.append(f"content-type {headers.get('content-type')!r}")
    try:
        value = json.loads(body)
    except ValueError as error:
        return found + [f"no JSON: {error}: {body!r}"]
    if status < 300:
        found += headers_missing(operation.output_shape, headers)
        return found + faults_of(value, operation.output_shape, operation.name)
    code = headers.get("x-amzn-errortype")
    modelled = {shape.name: shape for shape in operation.error_shapes}
    if code in modelled:
        expected = modelled[code].metadata["error"]["httpStatusCode"]
        found += faults_of(value, modelled[code], code) + headers_missing(modelled[code], headers)
    else:
        expected = COMMON_ERRORS.get(code)
    if status != expected:
        found.append(f"{code} with status {status}; {operation.name} knows {sorted({**modelled, **COMMON_ERRORS})}")
    text = value.get("exceptionMessage")
    expected = {"exceptionMessage": text} if code in MODELLED else {"exceptionMessage": text, "message": text}
    if value != expected or not text:
        found.append(f"the error's body is {value}")
    return found


def headers_missing(shape, headers):
    """The headers that the model says an answer has."""
    names = [member.serialization["name"].lower() for member in shape.members.values() if member.serialization.get("location") == "header"]
    present = {name.lower() for name in headers}
    return [f"{shape.name}: no header {name}" for name in names if name not in present]


seen = set()
walked = set()
# Values of enumerations.
told = set()


def enumerations_of(operations):
    """Every value of every enumeration that the answers of these operations can hold."""
    shapes = {}
    members_of(operations, shapes)
    return {(name, value) for name, shape in shapes.items() for value in getattr(shape, "enum", None) or []}


def members_of(operations, shapes=None):
    """Every member of every shape that the answers of these operations can hold."""
    shapes = {} if shapes is None else shapes
    members, queue = set(), [MODEL.operation_model(name).output_shape for name in operations]
    visited = set()
    while queue:
        shape = queue.pop()
        if shape is None or shape.name in visited:
            continue
        visited.add(shape.name)
        shapes[shape.name] = shape
        if shape.type_name == "structure":
            members |= {(shape.name, name) for name in body_members(shape)}
            queue += body_members(shape).values()
        elif shape.type_name == "list":
            queue.append(shape.member)
    return members

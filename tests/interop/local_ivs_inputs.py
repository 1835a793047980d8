"""Inputs for every operation of the emulator: a right one each, of resources that do not exist,
and from it every wrong one that the service model's own bounds give. Nothing is sent here."""

import keys
import wire
from local_ivs_api import PLAYBACK, arn

CHANNEL = arn("channel", "NoSuchChannl")
STREAM_KEY = arn("stream-key", "NoSuchKey123")
KEY_PAIR = arn("playback-key", "NoSuchPair12")
RECORDING = arn("recording-configuration", "NoSuchConfig")

POLICY = arn("playback-restriction-policy", "NoSuchPolicy")
ADS = arn("ad-configuration", "NoSuchAdConf")
SLATE = arn("failover-slate-configuration", "NoSuchSlate1")
VIEWER = {"channelArn": CHANNEL, "viewerId": "viewer"}

RIGHT = {
    "StartViewerSessionRevocation": VIEWER,
    "BatchStartViewerSessionRevocation": {"viewerSessions": [VIEWER]},
    "CreatePlaybackRestrictionPolicy": {"allowedCountries": ["DE"], "allowedOrigins": ["https://example.com"]},
    "GetPlaybackRestrictionPolicy": {"arn": POLICY},
    "ListPlaybackRestrictionPolicies": {},
    "UpdatePlaybackRestrictionPolicy": {"arn": POLICY},
    "DeletePlaybackRestrictionPolicy": {"arn": POLICY},
    "CreateAdConfiguration": {"mediaTailorPlaybackConfigurations": [{"playbackConfigurationArn": PLAYBACK}]},
    "GetAdConfiguration": {"arn": ADS},
    "ListAdConfigurations": {},
    "UpdateAdConfiguration": {"arn": ADS},
    "DeleteAdConfiguration": {"arn": ADS},
    "InsertAdBreak": {"channelArn": CHANNEL, "durationSeconds": 30},
    "CreateFailoverSlateConfiguration": {},
    "GetFailoverSlateConfiguration": {"arn": SLATE},
    "ListFailoverSlateConfigurations": {},
    "UpdateFailoverSlateConfiguration": {"arn": SLATE},
    "DeleteFailoverSlateConfiguration": {"arn": SLATE},
    "CreateChannel": {},
    "GetChannel": {"arn": CHANNEL},
    "BatchGetChannel": {"arns": [CHANNEL]},
    "ListChannels": {},
    "UpdateChannel": {"arn": CHANNEL},
    "DeleteChannel": {"arn": CHANNEL},
    "CreateStreamKey": {"channelArn": CHANNEL},
    "GetStreamKey": {"arn": STREAM_KEY},
    "BatchGetStreamKey": {"arns": [STREAM_KEY]},
    "ListStreamKeys": {"channelArn": CHANNEL},
    "DeleteStreamKey": {"arn": STREAM_KEY},
    "GetStream": {"channelArn": CHANNEL},
    "ListStreams": {},
    "StopStream": {"channelArn": CHANNEL},
    "PutMetadata": {"channelArn": CHANNEL, "metadata": "x"},
    "GetStreamSession": {"channelArn": CHANNEL},
    "ListStreamSessions": {"channelArn": CHANNEL},
    "ImportPlaybackKeyPair": {"publicKeyMaterial": keys.public_key(11)},
    "GetPlaybackKeyPair": {"arn": KEY_PAIR},
    "ListPlaybackKeyPairs": {},
    "DeletePlaybackKeyPair": {"arn": KEY_PAIR},
    "CreateRecordingConfiguration": {"destinationConfiguration": {"s3": {"bucketName": "recordings"}}},
    "GetRecordingConfiguration": {"arn": RECORDING},
    "ListRecordingConfigurations": {},
    "DeleteRecordingConfiguration": {"arn": RECORDING},
    "TagResource": {"resourceArn": CHANNEL, "tags": {"a": "b"}},
    "UntagResource": {"resourceArn": CHANNEL, "tagKeys": ["a"]},
    "ListTagsForResource": {"resourceArn": CHANNEL},
}
# Those that answer to a resource that does not exist with anything but its absence.
NEEDS_NO_RESOURCE = {
    "CreateChannel", "BatchGetChannel", "ListChannels", "BatchGetStreamKey", "ListStreams", "ImportPlaybackKeyPair",
    "ListPlaybackKeyPairs", "CreateRecordingConfiguration", "ListRecordingConfigurations",
    "BatchStartViewerSessionRevocation", "CreatePlaybackRestrictionPolicy", "ListPlaybackRestrictionPolicies",
    "CreateAdConfiguration", "ListAdConfigurations", "CreateFailoverSlateConfiguration", "ListFailoverSlateConfigurations",
}

# Strings that their patterns take, to be made too long; any other shape takes letters.
SAMPLES = {
    "ChannelArn": CHANNEL,
    "StreamKeyArn": STREAM_KEY,
    "PlaybackKeyPairArn": KEY_PAIR,
    "RecordingConfigurationArn": RECORDING,
    "ChannelRecordingConfigurationArn": RECORDING,
    "ChannelPlaybackRestrictionPolicyArn": POLICY,
    "ChannelAdConfigurationArn": ADS,
    "ChannelFailoverSlateConfigurationArn": SLATE,
    "PlaybackRestrictionPolicyArn": POLICY,
    "AdConfigurationArn": ADS,
    "FailoverSlateConfigurationArn": SLATE,
    "MediaTailorPlaybackConfigurationArn": PLAYBACK,
    "ResourceArn": CHANNEL,
    "StreamId": "st-" + "a" * 23,
}
# Where the model says less than the service's documents do: see the cases of their own.
UNBOUNDED = {"PlaybackPublicKeyMaterial", "StreamMetadata"}


def wrong_inputs(operation):
    """What is wrong, and an input that is right but for that."""
    shape = wire.MODEL.operation_model(operation).input_shape
    yield from wrong_members(shape, RIGHT[operation], "")


def wrong_members(shape, right, path):
    for name, member in shape.members.items():
        in_path = member.serialization.get("location") == "uri"
        # A member of the path or the query is not there to be left out or to be no string.
        apart = "location" in member.serialization
        at = f"{path}{name}"
        if name in shape.required_members and not apart:
            yield f"{at} missing", {other: value for other, value in right.items() if other != name}
        for what, value in wrong_values(member, right.get(name), at):
            if not (in_path and value == "") and not (apart and what.endswith("type")):
                yield what, {**right, name: value}


def wrong_values(shape, right, at):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    kind = shape.type_name
    if kind == "structure":
        # Botocore writes no structures of another type, and no such timestamps.
        yield from wrong_members_of(shape, right, at)
    elif kind == "timestamp":
        pass
    elif kind == "list":
        one = right[0] if right else sample(shape.member, 1)
        if low:
            yield f"{at} too few", []
        if high is not None:
            yield f"{at} too many", [numbered(one, n) for n in range(high + 1)]
        for what, value in wrong_values(shape.member, one, f"{at}[1]"):
            yield what, [one, value]
    elif kind == "map":
        yield f"{at} too many", {f"key{n}": "v" for n in range(high + 1)}
        yield f"{at} reserved key", {"aws:mine": "v"}
        for what, key in wrong_values(shape.key, "a", f"{at} key"):
            if isinstance(key, str):
                yield what, {key: "v"}
        for what, value in wrong_values(shape.value, "a", f"{at} value"):
            yield what, {"a": value}
    elif kind in wire.INTEGERS:
        yield f"{at} of another type", "many"
        if low is not None:
            yield f"{at} too small", low - 1
        if high is not None:
            yield f"{at} too large", high + 1
    elif kind == "boolean":
        yield f"{at} of another type", "yes"
    else:
        yield f"{at} of another type", 7
        if shape.enum:
            yield f"{at} not in the enumeration", "NO_SUCH_VALUE"
            yield f"{at} in small letters", shape.enum[0].lower()
        if low and shape.name not in UNBOUNDED:
            yield f"{at} too short", ""
        if high is not None:
            yield f"{at} too long", sample(shape, high + 1)
        pattern = wire.pattern_of(shape)
        if pattern:
            for text in ("what?", "a\n", "\u00e9\u0000", sample(shape, 1) + "!"):
                if not pattern.fullmatch(text):
                    yield f"{at} against the pattern: {text!r}", text


def wrong_members_of(shape, right, at):
    """A structure's own, on top of what a right one needs."""
    if right is None:
        right = sample(shape, 3)
    yield from wrong_members(shape, right, f"{at}.")


def sample(shape, length):
    """A string of the shape, at least that long; or a right structure."""
    if shape.type_name == "structure":
        return {name: sample(shape.members[name], 3) for name in shape.required_members}
    if shape.type_name in wire.INTEGERS:
        return shape.metadata.get("min", 1)
    if shape.type_name == "boolean":
        return True
    if shape.enum:
        return shape.enum[0]
    text = SAMPLES.get(shape.name, "a")
    return text + "a" * (length - len(text))


def numbered(text, number):
    """Another string of the same kind, or the same structure."""
    if not isinstance(text, str):
        return text
    return text[: len(text) - 4] + f"{number:04}" if len(text) > 4 else f"{text}{number}"

"""The emulator's answers, member by member, against the service model that AWS ships with
botocore: required members, unknown members, types, enumerations, patterns, lengths, timestamps,
statuses. Every operation the emulator has must come by here, and every member it can tell."""

import copy
import json
import unittest

import botocore.exceptions

import keys
import programs
import wire
from local_ivs_api import OPERATIONS, Api, quoted
from local_ivs_inputs import RIGHT



class EveryAnswer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.process = programs.LocalIvs()
        cls.addClassCleanup(cls.process.close)
        cls.api = Api(cls.process.url, region="us-model-1")

    def emulated(self):
        """The operations that are no unknown ones, whoever calls."""
        found = set()
        for name in wire.MODEL.operation_names:
            http = wire.MODEL.operation_model(name).http
            path = http["requestUri"].replace("{resourceArn}", "a")
            _, headers, _ = programs.fetch(f"{self.process.url}{path}", http["method"], "{}" if http["method"] == "POST" else None)
            if headers["x-amzn-errortype"] != "UnknownOperationException":
                found.add(name)
        return found

    def test_every_operation_and_every_member(self):
        api = self.api
        wire.seen.clear(), wire.walked.clear(), wire.told.clear()
        recording = api.recording(
            name="vod",
            tags={"a": "b"},
            thumbnailConfiguration={"recordingMode": "INTERVAL", "targetIntervalSeconds": 10, "resolution": "SD", "storage": ["SEQUENTIAL"]},
            renditionConfiguration={"renditionSelection": "CUSTOM", "renditions": ["FULL_HD"]},
            recordingReconnectWindowSeconds=5,
        )
        policy = api.policy(name="policy", allowedCountries=["DE"], allowedOrigins=["https://example.com"], tags={"a": "b"})
        ads, slate = api.ads(name="ads", tags={"a": "b"}), api.slate(name="slate", tags={"a": "b"})
        channel, key = api.channel(
            name="full", type="ADVANCED_SD", preset="CONSTRAINED_BANDWIDTH_DELIVERY", latencyMode="NORMAL", authorized=True,
            insecureIngest=True, recordingConfigurationArn=recording, containerFormat="TS", tags={"a": "b"},
            playbackRestrictionPolicyArn=policy, adConfigurationArn=ads, failoverSlateConfigurationArn=slate,
        )
        multitrack = {"enabled": True, "policy": "ALLOW", "maximumResolution": "HD"}
        tracks, _ = api.channel(multitrackInputConfiguration=multitrack, containerFormat="FRAGMENTED_MP4")
        nobody = channel[:-4] + "none"
        api.call("GetChannel", arn=channel)
        api.call("BatchGetChannel", arns=[channel, tracks, nobody])
        api.call("UpdateChannel", arn=channel, name="fuller")
        for _ in api.pages("ListChannels", "channels", maxResults=1):
            pass
        api.call("GetStreamKey", arn=key["arn"])
        api.call("BatchGetStreamKey", arns=[key["arn"], key["arn"][:-4] + "none"])
        api.call("ListStreamKeys", channelArn=channel)
        for _ in range(2):
            api.ingest(key["value"])
            # Refused for its priority, which the session remembers with a code.
            api.ingest(key["value"], priority=2**31, expect=409)
            api.stream(tracks, "live")
            api.call("GetStream", channelArn=channel)
            for _ in api.pages("ListStreams", "streams", maxResults=1):
                pass
            api.call("PutMetadata", channelArn=channel, metadata="x")
            api.call("InsertAdBreak", channelArn=channel, durationSeconds=30)
            api.call("GetStreamSession", channelArn=channel)
            api.call("ListStreamSessions", channelArn=channel)
            api.call("StopStream", channelArn=channel)
            api.stream(tracks, "offline")
        for _ in api.pages("ListStreamSessions", "streamSessions", channelArn=channel, maxResults=1):
            pass
        api.call("GetStreamSession", channelArn=channel)
        for nth in range(2):
            pair = api.call(
                "ImportPlaybackKeyPair", publicKeyMaterial=keys.public_key(70 + nth), name="pair", tags={"a": "b"}
            )["keyPair"]["arn"]
        api.call("GetPlaybackKeyPair", arn=pair)
        for _ in api.pages("ListPlaybackKeyPairs", "keyPairs", maxResults=1):
            pass
        api.call("DeletePlaybackKeyPair", arn=pair)
        second = api.recording()
        for _ in api.pages("ListRecordingConfigurations", "recordingConfigurations", maxResults=1):
            pass
        api.call("DeleteRecordingConfiguration", arn=second)
        for name, its_arn, result, second in [
            ("PlaybackRestrictionPolicy", policy, "playbackRestrictionPolicies", api.policy()),
            ("AdConfiguration", ads, "adConfigurations", api.ads()),
            ("FailoverSlateConfiguration", slate, "failoverSlateConfigurations", api.slate()),
        ]:
            api.call(f"Get{name}", arn=its_arn)
            api.call(f"Update{name}", arn=its_arn, name="renamed")
            plural = name[:-1] + "ies" if name.endswith("y") else name + "s"
            for _ in api.pages(f"List{plural}", result, maxResults=1):
                pass
            api.call(f"Delete{name}", arn=second)
        api.call("StartViewerSessionRevocation", channelArn=channel, viewerId="viewer")
        sessions = [{"channelArn": each, "viewerId": "viewer"} for each in (channel, nobody)]
        api.call("BatchStartViewerSessionRevocation", viewerSessions=sessions)
        for resource in (channel, key["arn"], recording, policy, ads, slate):
            api.call("TagResource", resourceArn=resource, tags={"c": "d"})
            api.call("ListTagsForResource", resourceArn=resource)
            api.call("UntagResource", resourceArn=resource, tagKeys=["c"])
        self.every_enumeration(api)
        api.call("DeleteStreamKey", arn=key["arn"])
        api.call("CreateStreamKey", channelArn=channel, tags={"a": "b"})
        api.call("DeleteChannel", arn=channel)

        emulated = self.emulated()
        self.assertEqual(emulated, set(OPERATIONS), "the tests' list is not what the emulator has")
        self.assertEqual(wire.walked, emulated, "each of them answered here")
        silent = {(shape, name) for shape, name in wire.members_of(emulated) - wire.seen}
        untold = wire.enumerations_of(emulated) - wire.told
        # What is offline has no stream to be told of.
        self.assertEqual(untold, {("StreamState", "OFFLINE")}, "values that the emulator never tells")
        # A batch's error has a code, whatever streams do.
        self.assertLessEqual({("BatchError", "code"), ("BatchError", "arn"), ("BatchError", "message")}, wire.seen)
        # A channel has one stream key, so there is no second page of them.
        silent.discard(("ListStreamKeysResponse", "nextToken"))
        self.assertEqual(silent, set(), "members that the emulator never tells")

    def every_enumeration(self, api):
        """What the walk has not met of the model's enumerations."""
        for kind, more in [("BASIC", {}), ("STANDARD", {}), ("ADVANCED_SD", {}), ("ADVANCED_HD", {"preset": "HIGHER_BANDWIDTH_DELIVERY"})]:
            api.channel(type=kind, latencyMode="LOW", containerFormat="TS", **more)
        for policy, resolution in [("ALLOW", "SD"), ("REQUIRE", "FULL_HD")]:
            tracks = {"enabled": True, "policy": policy, "maximumResolution": resolution}
            api.channel(multitrackInputConfiguration=tracks, containerFormat="FRAGMENTED_MP4")
        channel, key = api.channel()
        for health in ("STARVING", "UNKNOWN"):
            api.ingest(key["value"], health=health)
            api.call("GetStream", channelArn=channel)
        for mode, storage, selection, rendition in [
            ("INTERVAL", ["LATEST"], "ALL", "SD"), ("DISABLED", ["SEQUENTIAL"], "NONE", "HD"), ("INTERVAL", [], "CUSTOM", "LOWEST_RESOLUTION"),
            ("INTERVAL", [], "CUSTOM", "FULL_HD"),
        ]:
            made = api.recording(
                thumbnailConfiguration={"recordingMode": mode, "resolution": rendition, "storage": storage},
                renditionConfiguration={"renditionSelection": selection, "renditions": [rendition]},
            )
        api.local("POST", f"resources/{quoted(made)}", {"state": "CREATE_FAILED"})
        api.call("GetRecordingConfiguration", arn=made)
        slate = api.slate()
        api.local("POST", f"resources/{quoted(slate)}", {"state": "CREATE_FAILED"})
        api.call("GetFailoverSlateConfiguration", arn=slate)

    def test_every_operations_errors(self):
        """Wrong input, a wrong signature, nothing there: the same form for all."""
        stranger = Api(self.process.url, secret="wrong")
        stranger.client.meta.events.unregister("before-parse.ivs.*", stranger.look)
        for operation in OPERATIONS:
            model = wire.MODEL.operation_model(operation)
            for api, members in [(self.api, {**RIGHT[operation], **self.bad(operation)}), (self.api, RIGHT[operation]), (stranger, RIGHT[operation])]:
                answers = []
                keep = lambda response_dict, **_: answers.append(response_dict)
                api.client.meta.events.register(f"before-parse.ivs.{operation}", keep)
                try:
                    api.call(operation, **members)
                except botocore.exceptions.ClientError:
                    # The model's own errors were held against it on the way; these are common to all.
                    answer = answers[-1]
                    body = json.loads(answer["body"])
                    text = body.pop("exceptionMessage")
                    is_modelled = answer["headers"]["x-amzn-errortype"] in wire.MODELLED
                    self.assertEqual(body, {} if is_modelled else {"message": text}, (model.name, answer))
                    self.assertTrue(answer["headers"]["x-amzn-errortype"])
                    self.assertRegex(answer["headers"]["x-amzn-requestid"], wire.UUID)
                finally:
                    api.client.meta.events.unregister(f"before-parse.ivs.{operation}", keep)

    def bad(self, operation):
        """One member that is wrong, if the operation has one."""
        for name, shape in wire.MODEL.operation_model(operation).input_shape.members.items():
            if "location" not in shape.serialization and shape.type_name == "string" and shape.metadata.get("max"):
                return {name: "!" * 2000}
        return {}


# The headers of every error of the model.
SECURITY = {
    name: "x"
    for name in (
        "access-control-allow-origin", "access-control-expose-headers", "cache-control", "content-security-policy",
        "strict-transport-security", "x-content-type-options", "x-frame-options",
    )
}


class TheCheckItself(unittest.TestCase):
    """What the walk above would see: each fault of an answer is found, and a right one has none."""

    RIGHT = {
        "status_code": 200,
        "headers": {"x-amzn-requestid": "0f0f0f0f-0000-4000-8000-000000000000", "content-type": "application/json", **SECURITY},
        "body": {
            "stream": {
                "channelArn": "arn:aws:ivs:us-west-2:000000000000:channel/a", "streamId": "st-" + "a" * 23, "state": "LIVE",
                "health": "HEALTHY", "startTime": "2026-01-02T03:04:05Z", "viewerCount": 0, "playbackUrl": "https://x",
            },
        },
    }

    def faults(self, change, operation="GetStream", base=None):
        answer = copy.deepcopy(base or self.RIGHT)
        change(answer)
        if not isinstance(answer["body"], bytes):
            answer["body"] = json.dumps(answer["body"]).encode()
        seen, walked = set(wire.seen), set(wire.walked)
        try:
            return wire.faults_of_answer(wire.MODEL.operation_model(operation), answer)
        finally:
            wire.seen.clear(), wire.walked.clear()
            wire.seen.update(seen), wire.walked.update(walked)

    def test_a_right_answer(self):
        self.assertEqual(self.faults(lambda answer: None), [])

    def test_each_fault(self):
        stream = lambda **members: lambda answer: answer["body"]["stream"].update(members)
        for change in [
            stream(channelARN="x"),
            stream(state="Live"),
            stream(health=1),
            stream(viewerCount="0"),
            stream(viewerCount=True),
            stream(viewerCount=0.5),
            stream(viewerCount=None),
            stream(startTime=1.5),
            stream(startTime="2026-01-02 03:04:05Z"),
            stream(startTime="2026-01-02T03:04:05+00:00"),
            stream(streamId="st-" + "a" * 22),
            stream(streamId="xx-" + "a" * 23),
            stream(channelArn="arn:aws:ivs:us-west-2:000000000000:channels/a"),
            lambda answer: answer["body"].update(Stream={}),
            lambda answer: answer.update(body=[]),
            lambda answer: answer.update(body=b""),
            lambda answer: answer.update(status_code=201),
            lambda answer: answer["headers"].pop("x-amzn-requestid"),
            lambda answer: answer["headers"].update({"content-type": "text/plain"}),
        ]:
            self.assertEqual(len(self.faults(change)), 1, self.faults(change))
        missing = lambda answer: answer.update(body={"nextToken": "a"})
        self.assertEqual(self.faults(missing, "ListStreams"), ["ListStreams.streams: missing"])
        self.assertTrue(self.faults(lambda answer: answer.update(status_code=204, body=b"{}"), "DeleteChannel"))

    def test_each_fault_of_an_error(self):
        right = copy.deepcopy(self.RIGHT)
        right["headers"]["x-amzn-errortype"] = "ChannelNotBroadcasting"
        right.update(status_code=404, body={"exceptionMessage": "no"})
        self.assertEqual(self.faults(lambda answer: None, base=right), [])
        for change in [
            lambda answer: answer.update(status_code=400),
            lambda answer: answer.update(body={"message": "no"}),
            lambda answer: answer.update(body={"exceptionMessage": ""}),
            lambda answer: answer["headers"].update({"x-amzn-errortype": "ConflictException"}),
            lambda answer: answer["headers"].pop("x-amzn-errortype"),
            lambda answer: answer["headers"].pop("x-frame-options"),
        ]:
            self.assertNotEqual(self.faults(change, base=right), [])


if __name__ == "__main__":
    unittest.main()

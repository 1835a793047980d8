"""Every operation of the emulator by boto3: what it does, every page, every error. Each answer is
held against the service model as it comes (see `wire`)."""

import collections
import concurrent.futures
import datetime
import pathlib
import tempfile
import time
import unittest
import uuid

import botocore.exceptions

import keys
import programs
import wire
from local_ivs_api import OPERATIONS, PLAYBACK, RATES, Api, arn, client, code_of, quoted
from local_ivs_inputs import (
    ADS, CHANNEL, KEY_PAIR, NEEDS_NO_RESOURCE, POLICY, RECORDING, RIGHT, SLATE, STREAM_KEY, wrong_inputs,
)

# What the tests of one process share a region's rates and lists with no other test.
REGIONS = iter(f"us-test-{n}" for n in range(1, 100))


def here(value, region):
    """The same input, of another region."""
    if isinstance(value, dict):
        return {name: here(member, region) for name, member in value.items()}
    if isinstance(value, list):
        return [here(member, region) for member in value]
    return value.replace("us-west-2", region) if isinstance(value, str) else value


class Served(unittest.TestCase):
    """One emulator for all tests of a class, and a region for each test: rates, quotas and lists
    are a region's."""

    arguments = ()
    # Of every operation but PutMetadata, so that nothing has to wait; None: AWS's own.
    tps = 10_000

    @classmethod
    def setUpClass(cls):
        cls.process = programs.LocalIvs(*cls.arguments)
        cls.addClassCleanup(cls.process.close)
        cls.url = cls.process.url
        if cls.tps:
            Api(cls.url).local("POST", "limits", {"operation_tps": cls.tps})

    def setUp(self):
        self.region = next(REGIONS)
        self.api = Api(self.url, region=self.region)

    def refused(self, code, operation, said="", **members):
        answer = self.api.error(operation, **members)
        self.assertIsNotNone(answer, f"{operation} {members} succeeded")
        self.assertEqual(answer[0], code, (operation, members, answer))
        self.assertIn(said, answer[1], (operation, members))


class ChannelsLife(Served):
    def test_from_its_making_to_its_end(self):
        api = self.api
        made = api.call("CreateChannel", name="quiz", tags={"team": "blue"})
        channel, stream_key = made["channel"], made["streamKey"]
        its_arn = channel["arn"]
        self.assertRegex(its_arn, f"^arn:aws:ivs:{self.region}:000000000000:channel/[a-zA-Z0-9]{{12}}$")
        identifier = its_arn.rsplit("/", 1)[1]
        self.assertRegex(channel["ingestEndpoint"], r"^[0-9a-f]{12}\.global-contribute\.live-video\.net$")
        encoded = f"arn%3Aaws%3Aivs%3A{self.region}%3A000000000000%3Achannel%2F{identifier}"
        self.assertRegex(
            channel["playbackUrl"], rf"^http://127\.0\.0\.1:[0-9]+/_local/channels/{encoded}/playback\.m3u8$"
        )
        defaults = {
            "name": "quiz", "type": "STANDARD", "latencyMode": "LOW", "authorized": False, "insecureIngest": False,
            "recordingConfigurationArn": "", "preset": "", "tags": {"team": "blue"}, "containerFormat": "TS",
        }
        self.assertEqual({name: channel.get(name) for name in defaults}, defaults)
        self.assertEqual(stream_key["channelArn"], its_arn)
        self.assertRegex(stream_key["value"], rf"^sk_{self.region}_[a-zA-Z0-9]{{12}}_[a-zA-Z0-9]{{30}}$")
        self.assertEqual(api.call("GetChannel", arn=its_arn)["channel"], channel)
        self.assertEqual(api.call("GetStreamKey", arn=stream_key["arn"])["streamKey"], stream_key)

        # Before its first stream.
        for operation in ("GetStream", "StopStream"):
            self.refused("ChannelNotBroadcasting", operation, channelArn=its_arn)
        self.refused("ChannelNotBroadcasting", "PutMetadata", channelArn=its_arn, metadata="x")
        self.refused("ResourceNotFoundException", "GetStreamSession", channelArn=its_arn)
        self.assertEqual(api.call("ListStreamSessions", channelArn=its_arn), {"streamSessions": []})

        # Live, by its stream key.
        api.ingest(stream_key["value"])
        stream = api.call("GetStream", channelArn=its_arn)["stream"]
        self.assertEqual(
            {**stream, "streamId": None, "startTime": None},
            {
                "channelArn": its_arn, "playbackUrl": channel["playbackUrl"], "state": "LIVE", "health": "HEALTHY",
                "viewerCount": 0, "streamId": None, "startTime": None,
            },
        )
        self.assertRegex(stream["streamId"], "^st-[a-zA-Z0-9]{23}$")
        age = datetime.datetime.now(datetime.timezone.utc) - stream["startTime"]
        self.assertLess(abs(age.total_seconds()), 60)
        listed = api.call("ListStreams")["streams"]
        self.assertEqual([entry["channelArn"] for entry in listed], [its_arn])
        self.assertEqual(listed[0], {name: value for name, value in stream.items() if name != "playbackUrl"})
        self.assertEqual(api.call("ListStreams", filterBy={"health": "STARVING"})["streams"], [])
        self.assertEqual(len(api.call("ListStreams", filterBy={"health": "HEALTHY"})["streams"]), 1)
        api.call("PutMetadata", channelArn=its_arn, metadata="hello")
        taken = api.local("GET", f"channels/{quoted(its_arn)}/metadata")
        self.assertEqual([entry["metadata"] for entry in taken["metadata"]], ["hello"])
        session = api.call("GetStreamSession", channelArn=its_arn)["streamSession"]
        self.assertEqual(session["streamId"], stream["streamId"])
        self.assertEqual(session["startTime"], stream["startTime"])
        self.assertIsNone(session.get("endTime"))
        self.assertEqual(session["channel"], channel)

        # What is live cannot be changed.
        self.refused("ConflictException", "UpdateChannel", arn=its_arn, name="renamed")
        self.refused("ConflictException", "DeleteChannel", arn=its_arn)

        # Stopped.
        api.call("StopStream", channelArn=its_arn)
        offline = f"Channel: {its_arn} is not currently online"
        self.refused("ChannelNotBroadcasting", "StopStream", offline, channelArn=its_arn)
        self.refused("ChannelNotBroadcasting", "PutMetadata", offline, channelArn=its_arn, metadata="x")
        self.assertEqual(api.call("ListStreams")["streams"], [])
        updated = api.call("UpdateChannel", arn=its_arn, name="renamed", latencyMode="NORMAL")["channel"]
        self.assertEqual((updated["name"], updated["latencyMode"], updated["type"]), ("renamed", "NORMAL", "STANDARD"))
        self.assertEqual(updated["tags"], {"team": "blue"})
        # A session keeps what it began with.
        ended = api.call("GetStreamSession", channelArn=its_arn, streamId=stream["streamId"])["streamSession"]
        self.assertGreaterEqual(ended["endTime"], ended["startTime"])
        self.assertEqual((ended["channel"]["name"], ended["channel"]["latencyMode"]), ("quiz", "LOW"))

        # The next stream is another, and has the update.
        api.ingest(stream_key["value"])
        second = api.call("GetStreamSession", channelArn=its_arn)["streamSession"]
        self.assertNotEqual(second["streamId"], stream["streamId"])
        self.assertEqual((second["channel"]["name"], second["channel"]["latencyMode"]), ("renamed", "NORMAL"))
        sessions = api.call("ListStreamSessions", channelArn=its_arn)["streamSessions"]
        self.assertEqual([s["streamId"] for s in sessions], [second["streamId"], stream["streamId"]])
        self.assertEqual([s.get("endTime") for s in sessions], [None, ended["endTime"]])
        self.assertEqual([s["hasErrorEvent"] for s in sessions], [False, False])
        names = [event["name"] for event in second["truncatedEvents"]]
        self.assertEqual(names, ["Stream Start", "Session Created"], "the latest first")
        names = [
            event["name"]
            for event in api.call("GetStreamSession", channelArn=its_arn, streamId=stream["streamId"])[
                "streamSession"
            ]["truncatedEvents"]
        ]
        self.assertEqual(names, ["Session Ended", "Stream End", "Stream Start", "Session Created"])
        self.refused("ResourceNotFoundException", "GetStreamSession", channelArn=its_arn, streamId="st-" + "x" * 23)

        # Gone, with its key.
        api.call("StopStream", channelArn=its_arn)
        api.call("DeleteChannel", arn=its_arn)
        self.refused("ResourceNotFoundException", "GetChannel", arn=its_arn)
        self.refused("ResourceNotFoundException", "DeleteChannel", arn=its_arn)
        self.refused("ResourceNotFoundException", "GetStreamKey", arn=stream_key["arn"])
        self.refused("ResourceNotFoundException", "PutMetadata", channelArn=its_arn, metadata="x")
        self.assertEqual(api.call("ListChannels")["channels"], [])
        api.ingest(stream_key["value"], expect=403)

    def test_what_a_channel_can_be(self):
        recording = self.api.recording(name="all")
        for given, got in [
            ({}, {"type": "STANDARD", "preset": "", "name": "", "tags": {}}),
            ({"type": "BASIC", "latencyMode": "NORMAL"}, {"type": "BASIC", "latencyMode": "NORMAL", "preset": ""}),
            ({"type": "ADVANCED_HD"}, {"preset": "HIGHER_BANDWIDTH_DELIVERY"}),
            (
                {"type": "ADVANCED_SD", "preset": "CONSTRAINED_BANDWIDTH_DELIVERY"},
                {"type": "ADVANCED_SD", "preset": "CONSTRAINED_BANDWIDTH_DELIVERY"},
            ),
            ({"authorized": True, "insecureIngest": True}, {"authorized": True, "insecureIngest": True}),
            ({"containerFormat": "FRAGMENTED_MP4"}, {"containerFormat": "FRAGMENTED_MP4"}),
            ({"recordingConfigurationArn": recording}, {"recordingConfigurationArn": recording}),
            ({"recordingConfigurationArn": ""}, {"recordingConfigurationArn": ""}),
            ({"name": "a-_Z9" + "x" * 123}, {"name": "a-_Z9" + "x" * 123}),
        ]:
            with self.subTest(given):
                channel = self.api.call("CreateChannel", **given)["channel"]
                self.assertEqual({name: channel[name] for name in got}, got)
                self.assertEqual(self.api.call("GetChannel", arn=channel["arn"])["channel"], channel)

    def test_updates(self):
        recording = self.api.recording()
        its_arn, _ = self.api.channel(name="first", recordingConfigurationArn=recording)
        for given in [
            {"name": "second"},
            {"name": ""},
            {"authorized": True},
            {"insecureIngest": True},
            {"type": "ADVANCED_HD", "preset": "CONSTRAINED_BANDWIDTH_DELIVERY"},
            {"recordingConfigurationArn": ""},
            {"recordingConfigurationArn": recording},
            {"latencyMode": "NORMAL"},
        ]:
            before = self.api.call("GetChannel", arn=its_arn)["channel"]
            after = self.api.call("UpdateChannel", arn=its_arn, **given)["channel"]
            self.assertEqual(after, {**before, **given})
            self.assertEqual(self.api.call("GetChannel", arn=its_arn)["channel"], after)

    def test_stream_keys(self):
        its_arn, first = self.api.channel()
        self.refused("ServiceQuotaExceededException", "CreateStreamKey", channelArn=its_arn)
        self.assertEqual(
            self.api.call("ListStreamKeys", channelArn=its_arn)["streamKeys"],
            [{name: value for name, value in first.items() if name != "value"}],
        )
        self.api.call("DeleteStreamKey", arn=first["arn"])
        self.refused("ResourceNotFoundException", "DeleteStreamKey", arn=first["arn"])
        self.assertEqual(self.api.call("ListStreamKeys", channelArn=its_arn)["streamKeys"], [])
        self.api.ingest(first["value"], expect=403)
        second = self.api.call("CreateStreamKey", channelArn=its_arn, tags={"n": "2"})["streamKey"]
        self.assertNotEqual((second["arn"], second["value"]), (first["arn"], first["value"]))
        self.assertEqual(second["tags"], {"n": "2"})
        self.api.ingest(second["value"])
        self.assertEqual(self.api.call("GetStream", channelArn=its_arn)["stream"]["state"], "LIVE")

    def test_batches(self):
        made = [self.api.channel(name=f"b{n}") for n in range(3)]
        arns = [its_arn for its_arn, _ in made]
        for operation, result, ours, nobody in [
            ("BatchGetChannel", "channels", arns, CHANNEL.replace("us-west-2", self.region)),
            ("BatchGetStreamKey", "streamKeys", [key["arn"] for _, key in made], STREAM_KEY.replace("us-west-2", self.region)),
        ]:
            answer = self.api.call(operation, arns=[ours[2], nobody, ours[0]])
            self.assertEqual({entry["arn"] for entry in answer[result]}, {ours[0], ours[2]})
            self.assertEqual([error["arn"] for error in answer["errors"]], [nobody])
            self.assertEqual(answer["errors"][0]["code"], "ResourceNotFoundException")
            self.assertTrue(answer["errors"][0]["message"])
            answer = self.api.call(operation, arns=ours)
            self.assertEqual(([entry["arn"] for entry in answer[result]], answer.get("errors", [])), (ours, []))
        values = {entry["value"] for entry in self.api.call("BatchGetStreamKey", arns=[k["arn"] for _, k in made])["streamKeys"]}
        self.assertEqual(values, {key["value"] for _, key in made})

    def test_an_encoder(self):
        """What `/_local/ingest` plays: health, a second encoder, the end, a failure."""
        its_arn, key = self.api.channel()
        self.api.ingest("sk_us-west-2_nobody_nobody", expect=403)
        self.api.ingest(key["value"], state="offline", expect=409)
        self.assertEqual(self.api.ingest(key["value"]), {"arn": its_arn, "state": "live"})
        self.api.ingest(key["value"], expect=409)
        self.api.ingest(key["value"], state="offline")
        self.refused("ChannelNotBroadcasting", "GetStream", channelArn=its_arn)
        self.api.ingest(key["value"], health="STARVING")
        self.assertEqual(self.api.call("GetStream", channelArn=its_arn)["stream"]["health"], "STARVING")
        starving = self.api.call("ListStreams", filterBy={"health": "STARVING"})["streams"]
        self.assertEqual([entry["channelArn"] for entry in starving], [its_arn])
        self.api.ingest(key["value"], state="failed")
        self.refused("ChannelNotBroadcasting", "GetStream", channelArn=its_arn)
        sessions = self.api.call("ListStreamSessions", channelArn=its_arn)["streamSessions"]
        self.assertEqual([session["hasErrorEvent"] for session in sessions], [True, False])
        last = self.api.call("GetStreamSession", channelArn=its_arn)["streamSession"]
        self.assertIn("Stream Failure", [event["name"] for event in last["truncatedEvents"]])

    def test_a_stream_made_live_without_a_key(self):
        """`/_local/channels/{arn}/stream`, as before there were stream keys."""
        its_arn, _ = self.api.channel()
        self.api.stream(its_arn, "live")
        first = self.api.call("GetStream", channelArn=its_arn)["stream"]
        self.api.stream(its_arn, "live")
        self.assertEqual(self.api.call("GetStream", channelArn=its_arn)["stream"], first, "it is the same stream")
        self.api.stream(its_arn, "offline")
        self.refused("ChannelNotBroadcasting", "GetStream", channelArn=its_arn)
        new = arn("channel", "fromLocal", self.region)
        self.api.stream(new, "live")
        self.assertEqual(self.api.call("GetChannel", arn=new)["channel"]["arn"], new)
        self.api.call("PutMetadata", channelArn=new, metadata="x")


class KeyPairsAndRecordings(Served):
    def test_playback_key_pairs(self):
        pem = keys.public_key(21)
        pair = self.api.call("ImportPlaybackKeyPair", publicKeyMaterial=pem, name="viewers", tags={"a": "b"})["keyPair"]
        self.assertEqual((pair["name"], pair["tags"]), ("viewers", {"a": "b"}))
        self.assertRegex(pair["fingerprint"], "^[0-9a-f]{2}(:[0-9a-f]{2})+$")
        self.assertEqual(self.api.call("GetPlaybackKeyPair", arn=pair["arn"])["keyPair"], pair)
        self.assertEqual(
            self.api.call("ListPlaybackKeyPairs")["keyPairs"],
            [{name: value for name, value in pair.items() if name != "fingerprint"}],
        )
        self.refused("ConflictException", "ImportPlaybackKeyPair", publicKeyMaterial=pem)
        self.refused("ConflictException", "ImportPlaybackKeyPair", publicKeyMaterial=pem, name="another")
        other = self.api.call("ImportPlaybackKeyPair", publicKeyMaterial=keys.public_key(22))["keyPair"]
        self.assertNotEqual(other["fingerprint"], pair["fingerprint"])
        self.api.call("DeletePlaybackKeyPair", arn=pair["arn"])
        self.refused("ResourceNotFoundException", "GetPlaybackKeyPair", arn=pair["arn"])
        self.refused("ResourceNotFoundException", "DeletePlaybackKeyPair", arn=pair["arn"])
        again = self.api.call("ImportPlaybackKeyPair", publicKeyMaterial=pem)["keyPair"]
        self.assertNotEqual(again["arn"], pair["arn"])
        self.assertEqual(again["fingerprint"], pair["fingerprint"])

    def test_keys_that_are_none(self):
        right = keys.public_key(23)
        lines = right.splitlines()
        for material in [
            "", "x", right.replace("PUBLIC", "PRIVATE"), "\n".join(lines[1:-1]), "\n".join(lines[:1] + ["!!"] + lines[-1:]),
            "\n".join([lines[0], lines[-1]]),
        ]:
            self.refused("ValidationException", "ImportPlaybackKeyPair", publicKeyMaterial=material)

    def test_recording_configurations(self):
        made = self.api.call(
            "CreateRecordingConfiguration",
            name="vod",
            destinationConfiguration={"s3": {"bucketName": "my.bucket-1"}},
            thumbnailConfiguration={"recordingMode": "INTERVAL", "targetIntervalSeconds": 30, "resolution": "HD", "storage": ["LATEST"]},
            renditionConfiguration={"renditionSelection": "CUSTOM", "renditions": ["HD", "SD"]},
            recordingReconnectWindowSeconds=60,
            tags={"a": "b"},
        )["recordingConfiguration"]
        self.assertEqual(made["state"], "CREATING")
        get = lambda: self.api.call("GetRecordingConfiguration", arn=made["arn"])["recordingConfiguration"]
        active = programs.wait_until("it is active", lambda: get()["state"] == "ACTIVE" and get())
        self.assertEqual(active, {**made, "state": "ACTIVE"})
        self.assertEqual(made["destinationConfiguration"], {"s3": {"bucketName": "my.bucket-1"}})
        self.assertEqual(made["renditionConfiguration"]["renditions"], ["HD", "SD"])
        self.assertEqual(made["recordingReconnectWindowSeconds"], 60)
        listed = self.api.call("ListRecordingConfigurations")["recordingConfigurations"]
        members = ("arn", "name", "destinationConfiguration", "state", "tags")
        self.assertEqual(listed, [{name: active[name] for name in members}])

        # Used by a channel; and what the channel's stream was recorded with.
        channel, key = self.api.channel(recordingConfigurationArn=made["arn"])
        self.refused("ConflictException", "DeleteRecordingConfiguration", arn=made["arn"])
        self.api.ingest(key["value"])
        session = self.api.call("GetStreamSession", channelArn=channel)["streamSession"]
        self.assertEqual(session["recordingConfiguration"], active)
        self.api.call("StopStream", channelArn=channel)
        self.api.call("UpdateChannel", arn=channel, recordingConfigurationArn="")
        self.api.call("DeleteRecordingConfiguration", arn=made["arn"])
        self.refused("ResourceNotFoundException", "GetRecordingConfiguration", arn=made["arn"])
        self.refused("ResourceNotFoundException", "CreateChannel", recordingConfigurationArn=made["arn"])
        self.refused("ResourceNotFoundException", "UpdateChannel", arn=channel, recordingConfigurationArn=made["arn"])


class Configurations(Served):
    def test_each_of_them(self):
        """Made, got, changed and deleted; used by a channel, and then not to be deleted."""
        for name, create, change, defaults in [
            (
                "PlaybackRestrictionPolicy",
                {"allowedCountries": ["DE", "FR"], "allowedOrigins": ["https://example.com"]},
                {"enableStrictOriginEnforcement": True, "allowedCountries": []},
                {"enableStrictOriginEnforcement": False, "name": ""},
            ),
            (
                "AdConfiguration",
                {"mediaTailorPlaybackConfigurations": [{"playbackConfigurationArn": PLAYBACK}]},
                {"postRollConfiguration": {"enabled": True, "durationSeconds": 30}, "name": "ads"},
                {"postRollConfiguration": {"enabled": False, "durationSeconds": 15}, "name": ""},
            ),
            (
                "FailoverSlateConfiguration",
                {"name": "slate", "minSlateDisplaySeconds": 10},
                {"maxSlateDisplaySeconds": 180},
                {"activationThresholdSeconds": 3, "maxSlateDisplaySeconds": 60},
            ),
        ]:
            with self.subTest(name):
                member = name[0].lower() + name[1:]
                made = self.api.call(f"Create{name}", **create, tags={"a": "b"})[member]
                its_arn = made["arn"]
                self.assertEqual(made, {**made, **defaults, **create, "tags": {"a": "b"}})
                settled = {"state": "CREATED"} if "state" in made else {}
                if settled:
                    self.assertEqual(made["state"], "CREATING")
                    self.api.wait_for_slate(its_arn)
                self.assertEqual(self.api.call(f"Get{name}", arn=its_arn)[member], {**made, **settled})
                updated = self.api.call(f"Update{name}", arn=its_arn, **change)[member]
                self.assertEqual(updated, {**made, **change, **({"state": "UPDATING"} if settled else {})})
                if settled:
                    self.refused("ConflictException", f"Update{name}", arn=its_arn)
                    self.api.wait_for_slate(its_arn)
                channel, _ = self.api.channel(**{f"{member}Arn": its_arn})
                self.assertEqual(self.api.call("GetChannel", arn=channel)["channel"][f"{member}Arn"], its_arn)
                self.refused("ConflictException", f"Delete{name}", channel, arn=its_arn)
                self.api.call("UpdateChannel", arn=channel, **{f"{member}Arn": ""})
                self.api.call(f"Delete{name}", arn=its_arn)
                self.refused("ResourceNotFoundException", f"Get{name}", arn=its_arn)
                self.refused("ResourceNotFoundException", "UpdateChannel", arn=channel, **{f"{member}Arn": its_arn})

    def test_ad_breaks(self):
        channel, key = self.api.channel(adConfigurationArn=self.api.ads())
        bare, _ = self.api.channel()
        self.refused("ChannelNotBroadcasting", "InsertAdBreak", channelArn=channel, durationSeconds=30)
        self.api.ingest(key["value"])
        self.api.stream(bare, "live")
        self.refused("ConflictException", "InsertAdBreak", channelArn=bare, durationSeconds=30)
        made = self.api.call("InsertAdBreak", channelArn=channel, durationSeconds=30)
        self.assertRegex(made["adBreakId"], "^[a-zA-Z0-9]{12}$")
        self.refused("ConflictException", "InsertAdBreak", channelArn=channel, durationSeconds=1, adBreakId=made["adBreakId"])
        later = datetime.datetime(2099, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
        given = {"adBreakId": "adBreak00001", "targetStartAt": later}
        self.assertEqual(self.api.call("InsertAdBreak", channelArn=channel, durationSeconds=300, **given), given)

    def test_viewer_sessions(self):
        channel, _ = self.api.channel(authorized=True)
        nobody = channel[:-4] + "none"
        self.api.call("StartViewerSessionRevocation", channelArn=channel, viewerId="one", viewerSessionVersionsLessThanOrEqualTo=7)
        answer = self.api.call("BatchStartViewerSessionRevocation", viewerSessions=[
            {"channelArn": channel, "viewerId": "two"}, {"channelArn": nobody, "viewerId": "three"},
        ])
        self.assertEqual([(error["channelArn"], error["viewerId"]) for error in answer["errors"]], [(nobody, "three")])
        self.assertEqual(answer["errors"][0]["code"], "ResourceNotFoundException")
        self.assertEqual(self.api.local("GET", f"channels/{quoted(channel)}/revocations"), {"revocations": [
            {"viewer_id": "one", "versions_up_to": 7}, {"viewer_id": "two", "versions_up_to": 0},
        ]})


class Tags(Served):
    def test_every_kind_of_resource(self):
        channel, key = self.api.channel()
        pair = self.api.call("ImportPlaybackKeyPair", publicKeyMaterial=keys.public_key(31))["keyPair"]["arn"]
        for resource, get, member in [
            (channel, "GetChannel", "channel"),
            (key["arn"], "GetStreamKey", "streamKey"),
            (pair, "GetPlaybackKeyPair", "keyPair"),
            (self.api.recording(), "GetRecordingConfiguration", "recordingConfiguration"),
            (self.api.policy(), "GetPlaybackRestrictionPolicy", "playbackRestrictionPolicy"),
            (self.api.ads(), "GetAdConfiguration", "adConfiguration"),
            (self.api.slate(), "GetFailoverSlateConfiguration", "failoverSlateConfiguration"),
        ]:
            with self.subTest(resource):
                tags = lambda: self.api.call("ListTagsForResource", resourceArn=resource)["tags"]
                self.assertEqual(tags(), {})
                self.api.call("TagResource", resourceArn=resource, tags={"a": "1", "b": ""})
                self.api.call("TagResource", resourceArn=resource, tags={"b": "2", "größe/ä:+-=._@ x": "è y"})
                expected = {"a": "1", "b": "2", "größe/ä:+-=._@ x": "è y"}
                self.assertEqual(tags(), expected)
                self.assertEqual(self.api.call(get, arn=resource)[member]["tags"], expected)
                self.api.call("UntagResource", resourceArn=resource, tagKeys=["b", "größe/ä:+-=._@ x", "not-there"])
                self.assertEqual(tags(), {"a": "1"})

    def test_fifty_and_no_more(self):
        channel, _ = self.api.channel(tags={f"k{n}": "v" for n in range(50)})
        self.refused("ValidationException", "TagResource", resourceArn=channel, tags={"one-more": "v"})
        self.api.call("TagResource", resourceArn=channel, tags={"k0": "w"})
        self.api.call("UntagResource", resourceArn=channel, tagKeys=[f"k{n}" for n in range(25, 50)])
        self.api.call("TagResource", resourceArn=channel, tags={"k" * 128: "v" * 256})
        self.assertEqual(len(self.api.call("ListTagsForResource", resourceArn=channel)["tags"]), 26)


class Pages(Served):
    def check(self, operation, result, name, expected, most, **members):
        """All pages of every size hold each resource once; by hand, and by botocore's paginator."""
        for size in {1, 2, len(expected) - 1, len(expected), most}:
            if size < 1:
                continue
            with self.subTest(operation, size=size):
                pages = list(self.api.pages(operation, result, maxResults=size, **members))
                self.assertTrue(all(len(page) <= size for page in pages))
                self.assertTrue(all(len(page) == size for page in pages[:-1]), "only the last page may be short")
                found = [entry[name] for page in pages for entry in page]
                self.assertEqual(collections.Counter(found), collections.Counter(expected))
        for token in ("AAAA", "x"):
            self.refused("ValidationException", operation, nextToken=token, **members)
        method = botocore.xform_name(operation)
        if self.api.client.can_paginate(method):
            patient = client(self.url, region=self.region).get_paginator(method)
            found = []
            token = None
            while True:
                try:
                    for page in patient.paginate(**members, PaginationConfig={"PageSize": 2, "StartingToken": token}):
                        found += [entry[name] for entry in page[result]]
                        token = page.get("nextToken")
                    break
                except botocore.exceptions.ClientError as error:
                    self.assertEqual(code_of(error), "ThrottlingException")
                    time.sleep(0.02)
            self.assertEqual(collections.Counter(found), collections.Counter(expected))

    def test_channels_and_streams(self):
        made = [self.api.channel(name=f"c{n % 2}") for n in range(7)]
        arns = [its_arn for its_arn, _ in made]
        self.check("ListChannels", "channels", "arn", arns, 100)
        odd = [its_arn for n, its_arn in enumerate(arns) if n % 2]
        self.check("ListChannels", "channels", "arn", odd, 100, filterByName="c1")
        self.assertEqual(self.api.call("ListChannels", filterByName="c")["channels"], [])
        for its_arn in arns[:5]:
            self.api.stream(its_arn, "live")
        self.check("ListStreams", "streams", "channelArn", arns[:5], 100)
        # A channel that ends between two pages takes nobody else out.
        first = self.api.call("ListStreams", maxResults=2)
        self.api.stream(first["streams"][0]["channelArn"], "offline")
        rest = self.api.call("ListStreams", nextToken=first["nextToken"])["streams"]
        both = [entry["channelArn"] for entry in first["streams"] + rest]
        self.assertEqual(collections.Counter(both), collections.Counter(arns[:5]))

    def test_channels_that_record(self):
        recordings = [self.api.recording(name=f"r{n}") for n in range(3)]
        its_arn, _ = self.api.channel(recordingConfigurationArn=recordings[0])
        self.api.channel()
        answer = self.api.call("ListChannels", filterByRecordingConfigurationArn=recordings[0])
        self.assertEqual([channel["arn"] for channel in answer["channels"]], [its_arn])
        self.assertEqual(self.api.call("ListChannels", filterByRecordingConfigurationArn=recordings[1])["channels"], [])
        self.refused("ConflictException", "ListChannels", filterByName="x", filterByRecordingConfigurationArn=recordings[0])
        self.check("ListRecordingConfigurations", "recordingConfigurations", "arn", recordings, 100)

    def test_sessions_and_keys(self):
        its_arn, key = self.api.channel()
        ids = []
        for _ in range(4):
            self.api.stream(its_arn, "live")
            ids.insert(0, self.api.call("GetStream", channelArn=its_arn)["stream"]["streamId"])
            self.api.stream(its_arn, "offline")
        self.check("ListStreamSessions", "streamSessions", "streamId", ids, 100, channelArn=its_arn)
        pages = self.api.pages("ListStreamSessions", "streamSessions", channelArn=its_arn, maxResults=3)
        self.assertEqual([s["streamId"] for page in pages for s in page], ids, "the latest first")
        self.check("ListStreamKeys", "streamKeys", "arn", [key["arn"]], 50, channelArn=its_arn)

    def test_key_pairs(self):
        pairs = [self.api.call("ImportPlaybackKeyPair", publicKeyMaterial=keys.public_key(40 + n)) for n in range(3)]
        self.check("ListPlaybackKeyPairs", "keyPairs", "arn", [pair["keyPair"]["arn"] for pair in pairs], 100)


    def test_policies_ads_and_slates(self):
        policies = [self.api.policy(name=f"p{n}") for n in range(4)]
        self.check("ListPlaybackRestrictionPolicies", "playbackRestrictionPolicies", "arn", policies, 100)
        answer = self.api.call("ListPlaybackRestrictionPolicies")
        self.assertEqual(len(answer["playbackRestrictionPolicies"]), 1, "the default")
        ads = [self.api.ads(name=f"a{n}") for n in range(4)]
        self.check("ListAdConfigurations", "adConfigurations", "arn", ads, 100)
        slates = [self.api.slate(name=f"s{n}") for n in range(4)]
        self.check("ListFailoverSlateConfigurations", "failoverSlateConfigurations", "arn", slates, 100)
        for member, ours in [("playbackRestrictionPolicy", policies), ("adConfiguration", ads), ("failoverSlateConfiguration", slates)]:
            made = [self.api.channel(**{f"{member}Arn": ours[0]})[0] for _ in range(3)]
            self.check("ListChannels", "channels", "arn", made, 100, **{f"filterBy{member[0].upper()}{member[1:]}Arn": ours[0]})


class Refusals(Served):
    def test_every_input_that_is_wrong(self):
        """700 inputs from the model's bounds; none of them reaches the rates, the first of its errors
        is the answer."""
        cases = [(operation, what, members) for operation in OPERATIONS for what, members in wrong_inputs(operation)]
        self.assertGreater(len(cases), 700)
        self.none_passes(cases)

    def test_inputs_that_the_model_cannot_tell(self):
        self.none_passes([
            ("CreateChannel", "a preset of a STANDARD channel", {"preset": "HIGHER_BANDWIDTH_DELIVERY"}),
            ("CreateChannel", "and of a BASIC one", {"type": "BASIC", "preset": "CONSTRAINED_BANDWIDTH_DELIVERY"}),
            ("PutMetadata", "too long", {**RIGHT["PutMetadata"], "metadata": "x" * 1025}),
            ("PutMetadata", "too long in bytes", {**RIGHT["PutMetadata"], "metadata": "é" * 513}),
            ("PutMetadata", "empty", {**RIGHT["PutMetadata"], "metadata": ""}),
            ("ListChannels", "the token of nothing", {"nextToken": "abc"}),
        ])

    def none_passes(self, cases):
        failed = []
        for operation, what, members in cases:
            answer = self.api.error(operation, **members)
            is_another = what.endswith("of another type")
            if answer is None or answer[0] != ("SerializationException" if is_another else "ValidationException"):
                failed.append(f"{operation}: {what}: {answer}")
        self.assertEqual(failed, [], "\n" + "\n".join(failed))

    def test_what_is_not_there(self):
        for operation in OPERATIONS:
            if operation in NEEDS_NO_RESOURCE:
                continue
            with self.subTest(operation):
                members = {name: self.here(value) for name, value in RIGHT[operation].items()}
                self.refused("ResourceNotFoundException", operation, **members)
        for kind in (
            "stream-key", "playback-key", "recording-configuration", "playback-restriction-policy", "ad-configuration",
            "failover-slate-configuration",
        ):
            for operation in ("TagResource", "UntagResource", "ListTagsForResource"):
                members = {**RIGHT[operation], "resourceArn": arn(kind, "NoSuchThing1", self.region)}
                self.refused("ResourceNotFoundException", operation, **members)
        for member, its_arn in [
            ("recordingConfigurationArn", RECORDING), ("playbackRestrictionPolicyArn", POLICY), ("adConfigurationArn", ADS),
            ("failoverSlateConfigurationArn", SLATE),
        ]:
            self.refused("ResourceNotFoundException", "CreateChannel", **{member: self.here(its_arn)})

    def here(self, value):
        return here(value, self.region)

    def test_another_region(self):
        """Each region's endpoint knows only its own."""
        its_arn, key = self.api.channel()
        elsewhere = Api(self.url, region=next(REGIONS))
        self.assertEqual(elsewhere.error("GetChannel", arn=its_arn)[0], "ResourceNotFoundException")
        self.assertEqual(elsewhere.error("GetStreamKey", arn=key["arn"])[0], "ResourceNotFoundException")
        self.assertEqual(elsewhere.call("ListChannels")["channels"], [])

    def test_quotas(self):
        """The service's own, and what they count again once something is gone."""
        for n in range(3):
            last = self.api.call("ImportPlaybackKeyPair", publicKeyMaterial=keys.public_key(50 + n))["keyPair"]["arn"]
        fourth = {"publicKeyMaterial": keys.public_key(53)}
        self.refused("ServiceQuotaExceededException", "ImportPlaybackKeyPair", **fourth)
        self.api.call("DeletePlaybackKeyPair", arn=last)
        self.api.call("ImportPlaybackKeyPair", **fourth)
        for operation in [
            "CreateRecordingConfiguration", "CreatePlaybackRestrictionPolicy", "CreateAdConfiguration",
            "CreateFailoverSlateConfiguration",
        ]:
            create = lambda: self.api.error(operation, **self.here(RIGHT[operation]))
            self.assertEqual([create() for _ in range(20)], [None] * 20)
            self.assertEqual(create()[0], "ServiceQuotaExceededException")


class Faults(Served):
    def test_every_error_of_the_model(self):
        """Those that the emulator has no reason of its own for come when they are asked for."""
        number = 0
        for operation in OPERATIONS:
            for shape in wire.MODEL.operation_model(operation).error_shapes:
                number += 1
                status = shape.metadata["error"]["httpStatusCode"]
                self.api.local("POST", "faults", {"kind": "error", "status": status, "code": shape.name, "message": "as asked"})
                with self.assertRaises(getattr(self.api.client.exceptions, shape.name)) as raised:
                    self.api.once(operation, **RIGHT[operation])
                self.assertEqual(raised.exception.response["exceptionMessage"], "as asked")
                self.api.local("DELETE", "faults")
        self.assertGreater(number, 100)


class Rates(Served):
    tps = None

    def test_every_rate(self):
        """The calls of one second, and no more. None of the resources is there, and yet it counts."""
        for operation in OPERATIONS:
            if operation == "PutMetadata":
                continue
            with self.subTest(operation):
                members = {name: self.here(value) for name, value in RIGHT[operation].items()}
                started, answers = time.monotonic(), []
                while "ThrottlingException" not in answers:
                    self.assertLess(len(answers), 200, "nothing holds it")
                    answers.append(self.code(operation, members))
                self.assertLessEqual(set(answers[:-1]), {None, "ResourceNotFoundException", "ConflictException"})
                # On a machine so slow that a second went by, more of them may pass.
                if time.monotonic() - started < 0.9:
                    self.assertEqual(len(answers) - 1, RATES[operation])
                self.assertIn(f"Operation: ivs:{operation} exceeded call rate: {RATES[operation]}", self.said)

    def code(self, operation, members):
        """How one call ended."""
        try:
            self.api.once(operation, **members)
        except botocore.exceptions.ClientError as error:
            self.said = error.response.get("exceptionMessage") or error.response["Error"]["Message"]
            return code_of(error)
        return None

    def here(self, value):
        return here(value, self.region)

    def test_the_clients_own_retries(self):
        """boto3 as it is waits and gets everything through."""
        patient = client(self.url, region=self.region, attempts=10)
        for nth in range(12):
            patient.create_channel(name=f"n{nth}")
        self.assertEqual(len(patient.list_channels()["channels"]), 12)


class Others(Served):
    def test_every_operation_of_the_real_api_is_here(self):
        self.assertEqual(set(wire.MODEL.operation_names), set(OPERATIONS))
        status, headers, text = programs.fetch(f"{self.url}/CreateStage", "POST", "{}")
        self.assertEqual((status, headers["x-amzn-errortype"]), (404, "UnknownOperationException"))
        self.assertIn("no operation of Amazon IVS", text)


class Permissions(Served):
    """Keys that may do one operation each, and a key of another account."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        file = pathlib.Path(directory.name) / "keys.toml"
        entry = '[[key]]\naccess_key_id = "{}"\nsecret_access_key = "s"\naccount = "{}"\noperations = {}\n'
        file.write_text(
            "".join(entry.format(f"only-{name}", programs.ACCOUNT, f'["ivs:{name}"]') for name in OPERATIONS)
            + entry.format("nothing", programs.ACCOUNT, "[]")
            + entry.format("other", "123456789012", str([f"ivs:{name}" for name in OPERATIONS]))
        )
        cls.arguments = ("--credentials", file)
        super().setUpClass()

    def by(self, key):
        return Api(self.url, key=key, secret="s")

    def test_every_operation_needs_its_own(self):
        nothing = self.by("nothing")
        for before, operation in zip(OPERATIONS[-1:] + OPERATIONS, OPERATIONS):
            with self.subTest(operation):
                code, said = nothing.error(operation, **RIGHT[operation])
                self.assertEqual(code, "AccessDeniedException")
                self.assertIn(f"is not authorized to perform: ivs:{operation} on resource", said)
                only = self.by(f"only-{operation}")
                answer = only.error(operation, **RIGHT[operation])
                self.assertIn(answer and answer[0], (None, "ResourceNotFoundException"))
                self.assertEqual(only.error(before, **RIGHT[before])[0], "AccessDeniedException")

    def test_resources_of_another_account(self):
        other = self.by("other")
        for operation in OPERATIONS:
            if operation in NEEDS_NO_RESOURCE:
                continue
            with self.subTest(operation):
                self.assertEqual(other.error(operation, **RIGHT[operation])[0], "AccessDeniedException")
        self.assertEqual(other.call("ListChannels")["channels"], [])


class AtTheSameTime(Served):
    def test_one_key_for_many_at_once(self):
        """Sixteen clients make the one stream key a channel may have: one does."""
        its_arn, key = self.api.channel()
        self.api.call("DeleteStreamKey", arn=key["arn"])
        apis = [Api(self.url, region=self.region) for _ in range(16)]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda api: api.error("CreateStreamKey", channelArn=its_arn), apis))
        self.assertEqual(collections.Counter(answer and answer[0] for answer in answers), {None: 1, "ServiceQuotaExceededException": 15})

    def test_identifiers_are_never_given_twice(self):
        made = [self.api.channel(name=uuid.uuid4().hex) for _ in range(10)]
        for values in zip(*((its_arn, key["arn"], key["value"]) for its_arn, key in made)):
            self.assertEqual(len(set(values)), len(made))


if __name__ == "__main__":
    unittest.main()

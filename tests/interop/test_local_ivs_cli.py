"""The AWS CLI, as it is, against the emulator: every operation once, by its flags."""

import concurrent.futures
import importlib.util
import json
import subprocess
import sys
import unittest
from unittest.mock import ANY
from pathlib import Path

import botocore.loaders
from botocore import xform_name

import keys
import programs
import wire
from local_ivs_api import OPERATIONS, PLAYBACK, Api

CLI = Path(sys.executable).with_name("aws")


def awscli_operations():
    """Of the service model that the CLI brings."""
    # Without importing it: it would have boto3 find its data too.
    data = Path(importlib.util.find_spec("awscli").origin).parent / "botocore" / "data"
    loader = botocore.loaders.Loader(extra_search_paths=[str(data)], include_default_search_paths=not data.exists())
    return loader.load_service_model("ivs", "service-2")["operations"]


class Cli(unittest.TestCase):
    def test_every_operation(self):
        process = programs.LocalIvs()
        self.addCleanup(process.close)
        api = Api(process.url)
        pem = keys.public_key(80)
        live, live_key = api.channel(name="live")
        stopped, _ = api.channel(name="stopped")
        doomed, _ = api.channel(name="doomed")
        keyless, lost_key = api.channel(name="keyless")
        tagged, doomed_key = api.channel(name="tagged", tags={"a": "1", "b": "2"})
        api.call("DeleteStreamKey", arn=lost_key["arn"])
        for channel in (live, stopped):
            api.stream(channel, "live")
        pairs = [
            api.call("ImportPlaybackKeyPair", publicKeyMaterial=keys.public_key(81 + n))["keyPair"]["arn"] for n in range(2)
        ]
        recording, unused = api.recording(name="vod"), api.recording(name="unused")

        policy, unused_policy = api.policy(name="policy"), api.policy(name="unused")
        ads, unused_ads = api.ads(name="ads"), api.ads(name="unused")
        slate, unused_slate = api.slate(name="slate"), api.slate(name="unused")
        changed_slate = api.slate(name="old")
        sold, sold_key = api.channel(name="sold", adConfigurationArn=ads)
        api.ingest(sold_key["value"])
        playback = f"playbackConfigurationArn={PLAYBACK}"

        # The operation, its flags, and what its answer must hold; None is no answer at all.
        # What changes a thing is done to a thing of its own: the calls come in any order.
        calls = [
            ("CreateChannel", f"--name cli --type ADVANCED_HD --latency-mode NORMAL --authorized --insecure-ingest "
             f"--preset HIGHER_BANDWIDTH_DELIVERY --recording-configuration-arn {recording} --tags team=blue",
             {"channel": {"name": "cli", "type": "ADVANCED_HD", "authorized": True, "tags": {"team": "blue"}}}),
            ("GetChannel", f"--arn {live}", {"channel": {"arn": live, "name": "live"}}),
            ("BatchGetChannel", f"--arns {live} {stopped}", {"channels": [{"arn": live}, {"arn": stopped}]}),
            ("ListChannels", "--filter-by-name live --page-size 1", {"channels": [{"arn": live}]}),
            ("UpdateChannel", f"--arn {tagged} --no-authorized --latency-mode NORMAL", {"channel": {"latencyMode": "NORMAL"}}),
            ("DeleteChannel", f"--arn {doomed}", None),
            ("CreateStreamKey", f"--channel-arn {keyless} --tags a=b", {"streamKey": {"channelArn": keyless}}),
            ("GetStreamKey", f"--arn {live_key['arn']}", {"streamKey": live_key}),
            ("BatchGetStreamKey", f"--arns {live_key['arn']}", {"streamKeys": [live_key]}),
            ("ListStreamKeys", f"--channel-arn {live} --max-items 5", {"streamKeys": [{"arn": live_key["arn"]}]}),
            ("DeleteStreamKey", f"--arn {doomed_key['arn']}", None),
            ("GetStream", f"--channel-arn {live}", {"stream": {"state": "LIVE"}}),
            ("ListStreams", "--filter-by health=STARVING", {"streams": []}),
            ("StopStream", f"--channel-arn {stopped}", {}),
            ("PutMetadata", f"--channel-arn {live} --metadata hello", None),
            ("GetStreamSession", f"--channel-arn {live}", {"streamSession": {"channel": {"arn": live}}}),
            ("ListStreamSessions", f"--channel-arn {live} --max-results 1", {"streamSessions": [{"hasErrorEvent": False}]}),
            ("ImportPlaybackKeyPair", ["--name", "cli", "--public-key-material", pem], {"keyPair": {"name": "cli"}}),
            ("GetPlaybackKeyPair", f"--arn {pairs[0]}", {"keyPair": {"arn": pairs[0]}}),
            ("ListPlaybackKeyPairs", "--max-items 1", {"keyPairs": [{}]}),
            ("DeletePlaybackKeyPair", f"--arn {pairs[1]}", {}),
            ("CreateRecordingConfiguration", "--destination-configuration s3={bucketName=recordings} "
             "--thumbnail-configuration recordingMode=INTERVAL,targetIntervalSeconds=5 --recording-reconnect-window-seconds 9",
             {"recordingConfiguration": {"state": "CREATING", "recordingReconnectWindowSeconds": 9}}),
            ("GetRecordingConfiguration", f"--arn {recording}", {"recordingConfiguration": {"name": "vod", "state": "ACTIVE"}}),
            ("ListRecordingConfigurations", "--max-items 1", {"recordingConfigurations": [{}]}),
            ("DeleteRecordingConfiguration", f"--arn {unused}", None),
            ("StartViewerSessionRevocation", f"--channel-arn {live} --viewer-id one --viewer-session-versions-less-than-or-equal-to 3", {}),
            ("BatchStartViewerSessionRevocation", f"--viewer-sessions channelArn={live},viewerId=two", {"errors": []}),
            ("CreatePlaybackRestrictionPolicy", "--name cli --allowed-countries DE FR --allowed-origins null "
             "--enable-strict-origin-enforcement --tags a=b",
             {"playbackRestrictionPolicy": {"allowedCountries": ["DE", "FR"], "enableStrictOriginEnforcement": True}}),
            ("GetPlaybackRestrictionPolicy", f"--arn {policy}", {"playbackRestrictionPolicy": {"name": "policy"}}),
            ("ListPlaybackRestrictionPolicies", "--max-results 1", {"playbackRestrictionPolicies": [{}]}),
            ("UpdatePlaybackRestrictionPolicy", f"--arn {policy} --allowed-countries US", {"playbackRestrictionPolicy": {"allowedCountries": ["US"]}}),
            ("DeletePlaybackRestrictionPolicy", f"--arn {unused_policy}", None),
            ("CreateAdConfiguration", f"--name cli --media-tailor-playback-configurations {playback} "
             "--post-roll-configuration enabled=true,durationSeconds=30",
             {"adConfiguration": {"name": "cli", "postRollConfiguration": {"enabled": True, "durationSeconds": 30}}}),
            ("GetAdConfiguration", f"--arn {ads}", {"adConfiguration": {"arn": ads}}),
            ("ListAdConfigurations", "--max-results 1", {"adConfigurations": [{}]}),
            ("UpdateAdConfiguration", f"--arn {ads} --name updated", {"adConfiguration": {"name": "updated"}}),
            ("DeleteAdConfiguration", f"--arn {unused_ads}", None),
            ("InsertAdBreak", f"--channel-arn {sold} --duration-seconds 30", {"adBreakId": ANY}),
            ("CreateFailoverSlateConfiguration", "--name cli --activation-threshold-seconds 5",
             {"failoverSlateConfiguration": {"activationThresholdSeconds": 5, "maxSlateDisplaySeconds": 60, "state": "CREATING"}}),
            ("GetFailoverSlateConfiguration", f"--arn {slate}", {"failoverSlateConfiguration": {"name": "slate", "state": "CREATED"}}),
            ("ListFailoverSlateConfigurations", "--max-results 1", {"failoverSlateConfigurations": [{}]}),
            ("UpdateFailoverSlateConfiguration", f"--arn {changed_slate} --name new", {"failoverSlateConfiguration": {"name": "new", "state": "UPDATING"}}),
            ("DeleteFailoverSlateConfiguration", f"--arn {unused_slate}", None),
            ("TagResource", f"--resource-arn {live} --tags a=b,c=d", {}),
            ("UntagResource", f"--resource-arn {stopped} --tag-keys a b", {}),
            ("ListTagsForResource", f"--resource-arn {tagged}", {"tags": {"a": "1", "b": "2"}}),
        ]
        self.assertEqual(sorted(operation for operation, _, _ in calls), OPERATIONS)
        # The CLI's own model may be older than boto3's; what it has is called.
        known = set(xform_name(operation) for operation in awscli_operations())
        self.assertGreaterEqual(len(known), 41)
        calls = [call for call in calls if xform_name(call[0]) in known]

        def run(operation, flags):
            command = xform_name(operation, "-")
            return subprocess.run(
                [CLI, "ivs", command, *(flags.split() if isinstance(flags, str) else flags), "--output", "json",
                 "--endpoint-url", process.url, "--region", "us-west-2"],
                env=programs.environment(AWS_RETRY_MODE="standard", AWS_MAX_ATTEMPTS="20", AWS_PAGER=""),
                capture_output=True, text=True, timeout=120,
            )

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            ends = list(pool.map(lambda call: run(*call[:2]), calls))
        for (operation, _, expected), ended in zip(calls, ends):
            with self.subTest(operation):
                self.assertEqual((ended.returncode, ended.stderr), (0, ""))
                self.assertEqual(ended.stdout == "", not expected, ended.stdout)
                if expected:
                    self.holds(json.loads(ended.stdout), expected)
        self.assertEqual(api.error("GetChannel", arn=doomed)[0], "ResourceNotFoundException")
        self.assertEqual(api.error("GetStream", channelArn=stopped)[0], "ChannelNotBroadcasting")
        self.assertEqual(api.call("ListTagsForResource", resourceArn=live)["tags"], {"a": "b", "c": "d"})

        ended = run("GetChannel", f"--arn {doomed}")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("(ResourceNotFoundException)", ended.stderr)
        self.assertEqual(set(OPERATIONS) - set(wire.MODEL.operation_names), set())

    def holds(self, answer, expected):
        """An answer may hold more than is expected of it."""
        if isinstance(expected, dict):
            for name, value in expected.items():
                self.assertIn(name, answer)
                self.holds(answer[name], value)
        elif isinstance(expected, list):
            self.assertEqual(len(answer), len(expected))
            for one, other in zip(answer, expected):
                self.holds(one, other)
        else:
            self.assertEqual(answer, expected)


if __name__ == "__main__":
    unittest.main()

"""The calls that tools of others make of the IVS API, in their order, through boto3: those of moto's tests, and those of Terraform's
AWS provider for each of its resources. The calls are theirs, the code is not."""

import itertools
import unittest

import keys
import programs
from local_ivs_api import Api, arn

REGIONS = (f"us-sequence-{number}" for number in itertools.count())


class Served(unittest.TestCase):
    """One emulator for all tests of a class, and an empty region for each."""

    @classmethod
    def setUpClass(cls):
        cls.process = programs.LocalIvs()
        cls.addClassCleanup(cls.process.close)

    def setUp(self):
        self.region = next(REGIONS)
        self.api = Api(self.process.url, region=self.region)

    def refused(self, code, operation, **members):
        self.assertEqual((self.api.error(operation, **members) or ["no error"])[0], code, (operation, members))


class Moto(Served):
    """Where moto takes any text as an ARN, the real API wants one."""

    def create(self, **members):
        return self.api.call("CreateChannel", **members)

    def names(self, **filters):
        return [channel["name"] for channel in self.api.call("ListChannels", **filters)["channels"]]

    def test_a_channel_by_its_name_alone(self):
        made = self.create(name="foo")
        channel, key = made["channel"], made["streamKey"]
        defaults = {
            "name": "foo", "authorized": False, "insecureIngest": False, "latencyMode": "LOW", "preset": "", "recordingConfigurationArn": "",
            "tags": {}, "type": "STANDARD",
        }
        self.assertEqual(channel, {**channel, **defaults})
        self.assertEqual((key["channelArn"], key["tags"]), (channel["arn"], {}))
        self.assertRegex(channel["arn"], "^arn:aws:ivs:.*:channel/.+$")
        self.assertRegex(key["arn"], "^arn:aws:ivs:.*:stream-key/.+$")
        self.assertRegex(key["value"], "^sk_.+$")
        self.assertTrue(channel["ingestEndpoint"] and channel["playbackUrl"])

    def test_lists_and_their_filters(self):
        self.assertEqual(self.names(), [])
        self.create(name="foo")
        self.assertEqual(self.names(), ["foo"])
        recording = self.api.recording()
        self.create(name="bar", recordingConfigurationArn=recording)
        self.assertEqual(sorted(self.names()), ["bar", "foo"])
        self.assertEqual(self.names(filterByName="foo"), ["foo"])
        self.assertEqual(self.names(filterByRecordingConfigurationArn=recording), ["bar"])
        first = self.api.call("ListChannels", maxResults=1)
        second = self.api.call("ListChannels", maxResults=1, nextToken=first["nextToken"])
        self.assertEqual([len(page["channels"]) for page in (first, second)], [1, 1])
        self.assertNotIn("nextToken", second)

    def test_got_one_by_one_and_in_a_batch(self):
        its_arn = self.create(name="foo")["channel"]["arn"]
        self.assertEqual(self.api.call("GetChannel", arn=its_arn)["channel"]["name"], "foo")
        (found,) = self.api.call("BatchGetChannel", arns=[its_arn])["channels"]
        self.assertEqual(found["name"], "foo")

    def test_updated_and_deleted(self):
        recording = self.api.recording()
        its_arn = self.create(name="foo", recordingConfigurationArn=recording)["channel"]["arn"]
        updated = self.api.call("UpdateChannel", arn=its_arn, name="bar")["channel"]
        self.assertEqual((updated["name"], updated["recordingConfigurationArn"]), ("bar", recording))
        self.api.call("DeleteChannel", arn=its_arn)
        self.assertEqual(self.names(), [])

    def test_nothing_there(self):
        nobody = arn("channel", "nope", self.region)
        self.refused("ResourceNotFoundException", "GetChannel", arn=nobody)
        self.refused("ResourceNotFoundException", "UpdateChannel", arn=nobody, name="bar")
        self.refused("ResourceNotFoundException", "DeleteChannel", arn=nobody)
        self.refused("ValidationException", "GetChannel", arn="nope")


class Terraform(Served):
    """Of each resource: create, wait until the same is found twice, read with its tags, plan again, change what can be changed, import,
    delete, wait until nothing is found, and delete what has gone already."""

    def found(self, resource):
        """What a read finds, and the tags that the provider lists by themselves."""
        operation, member, its_arn = resource
        got = self.api.call(operation, arn=its_arn)[member]
        tags = self.api.call("ListTagsForResource", resourceArn=its_arn)["tags"]
        self.assertEqual(got["tags"], tags)
        return got

    def created(self, resource, state=None):
        """Waits as the provider does; returns what it keeps."""
        operation, member, its_arn = resource
        if state:
            look = lambda: self.api.call(operation, arn=its_arn)[member]["state"] == state
            programs.wait_until(f"{its_arn} is {state}", look)
        kept = self.found(resource)
        self.assertEqual(self.found(resource), kept, "twice the same")
        return kept

    def retagged(self, resource, old, new):
        """As an update of the tags alone: what is gone first, then what is new."""
        its_arn = resource[2]
        if gone := sorted(set(old) - set(new)):
            self.api.call("UntagResource", resourceArn=its_arn, tagKeys=gone)
        if changed := {key: value for key, value in new.items() if old.get(key) != value}:
            self.api.call("TagResource", resourceArn=its_arn, tags=changed)
        self.assertEqual(self.found(resource)["tags"], new)

    def imported(self, resource, kept):
        """An import knows the ARN alone, and plans no change."""
        self.assertEqual(self.found(resource), kept)

    def deleted(self, resource, operation):
        get, _, its_arn = resource
        self.api.call(operation, arn=its_arn)
        self.refused("ResourceNotFoundException", get, arn=its_arn)
        # Somebody else was faster: that is well, too.
        self.refused("ResourceNotFoundException", operation, arn=its_arn)

    def test_a_channel(self):
        recording = self.api.recording()
        made = self.api.call("CreateChannel", name="quiz", tags={"key1": "value1"})["channel"]
        channel = "GetChannel", "channel", made["arn"]
        self.assertEqual(self.created(channel), made)
        for change in [
            {"name": "updated"},
            {"latencyMode": "NORMAL", "type": "BASIC"},
            {"authorized": True},
            {"authorized": False},
            {"recordingConfigurationArn": recording},
            {"recordingConfigurationArn": ""},
        ]:
            before = self.found(channel)
            self.api.call("UpdateChannel", arn=made["arn"], **change)
            self.assertEqual(self.created(channel), {**before, **change})
        self.retagged(channel, {"key1": "value1"}, {"key1": "value1updated", "key2": "value2"})
        self.retagged(channel, {"key1": "value1updated", "key2": "value2"}, {"key2": "value2"})
        self.imported(channel, self.created(channel))
        # The data source of a channel's stream key.
        (listed,) = self.api.call("ListStreamKeys", channelArn=made["arn"])["streamKeys"]
        key = self.api.call("GetStreamKey", arn=listed["arn"])["streamKey"]
        self.assertEqual((key["channelArn"], key["value"][:3]), (made["arn"], "sk_"))
        self.deleted(channel, "DeleteChannel")
        self.refused("ResourceNotFoundException", "ListTagsForResource", resourceArn=made["arn"])

    def test_a_playback_key_pair(self):
        material = keys.public_key(90)
        made = self.api.call("ImportPlaybackKeyPair", publicKeyMaterial=material, name="viewers", tags={"key1": "value1"})["keyPair"]
        pair = "GetPlaybackKeyPair", "keyPair", made["arn"]
        self.assertEqual(self.created(pair), made)
        self.assertRegex(made["fingerprint"], "^([0-9a-f]{2}:){15}[0-9a-f]{2}$")
        self.retagged(pair, {"key1": "value1"}, {"key2": "value2"})
        self.imported(pair, self.created(pair))
        self.deleted(pair, "DeletePlaybackKeyPair")
        # Any other change replaces it: the same key once more, under a name that it did not have.
        again = self.api.call("ImportPlaybackKeyPair", publicKeyMaterial=material)["keyPair"]
        self.assertNotEqual(again["arn"], made["arn"])
        self.assertEqual(again["fingerprint"], made["fingerprint"])

    def test_a_recording_configuration(self):
        given = {
            "destinationConfiguration": {"s3": {"bucketName": "recordings"}},
            "name": "vod",
            "recordingReconnectWindowSeconds": 10,
            "thumbnailConfiguration": {"recordingMode": "INTERVAL", "targetIntervalSeconds": 30},
            "tags": {"key1": "value1"},
        }
        made = self.api.call("CreateRecordingConfiguration", **given)["recordingConfiguration"]
        self.assertEqual(made["state"], "CREATING")
        recording = "GetRecordingConfiguration", "recordingConfiguration", made["arn"]
        kept = self.created(recording, "ACTIVE")
        thumbnails = {**kept["thumbnailConfiguration"], **given["thumbnailConfiguration"]}
        self.assertEqual(kept, {**kept, **given, "thumbnailConfiguration": thumbnails})
        self.retagged(recording, given["tags"], {"key1": "value2"})
        self.imported(recording, {**kept, "tags": {"key1": "value2"}})
        self.deleted(recording, "DeleteRecordingConfiguration")

    def test_a_recording_configuration_of_its_bucket_alone(self):
        """Computed members must not change between two plans."""
        made = self.api.call("CreateRecordingConfiguration", destinationConfiguration={"s3": {"bucketName": "recordings"}})
        recording = "GetRecordingConfiguration", "recordingConfiguration", made["recordingConfiguration"]["arn"]
        kept = self.created(recording, "ACTIVE")
        self.assertEqual((kept["name"], kept["recordingReconnectWindowSeconds"]), ("", 0))
        thumbnails = kept["thumbnailConfiguration"]
        self.assertEqual((thumbnails["recordingMode"], thumbnails["targetIntervalSeconds"]), ("INTERVAL", 60))
        self.imported(recording, kept)


if __name__ == "__main__":
    unittest.main()

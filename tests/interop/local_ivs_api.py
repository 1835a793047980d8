"""The IVS API of the emulator as the tests call it: through boto3, every answer held against
the service model, and waiting where the API's rates say so. Nothing is asserted but that."""

import json
import time
import urllib.parse

import boto3
import botocore.config
import botocore.exceptions
from botocore import xform_name

import programs
import wire

REGION = "us-west-2"
# One for all clients: it reads the service model once.
SESSION = boto3.session.Session()

# The operations of the emulator, and how many calls of each an account may make in a second.
RATES = {
    "CreateChannel": 5, "GetChannel": 5, "BatchGetChannel": 5, "ListChannels": 5, "UpdateChannel": 5,
    "DeleteChannel": 5, "CreateStreamKey": 5, "GetStreamKey": 5, "BatchGetStreamKey": 5, "ListStreamKeys": 5,
    "DeleteStreamKey": 5, "GetStream": 5, "ListStreams": 5, "StopStream": 5, "PutMetadata": 155,
    "GetStreamSession": 5, "ListStreamSessions": 5,
    "ImportPlaybackKeyPair": 3, "GetPlaybackKeyPair": 3, "ListPlaybackKeyPairs": 3, "DeletePlaybackKeyPair": 3,
    "CreateRecordingConfiguration": 3, "GetRecordingConfiguration": 3, "ListRecordingConfigurations": 3,
    "DeleteRecordingConfiguration": 3,
    "StartViewerSessionRevocation": 10, "BatchStartViewerSessionRevocation": 2,
    "CreatePlaybackRestrictionPolicy": 5, "GetPlaybackRestrictionPolicy": 5, "ListPlaybackRestrictionPolicies": 5,
    "UpdatePlaybackRestrictionPolicy": 5, "DeletePlaybackRestrictionPolicy": 5,
    # AWS publishes none of these; the emulator has chosen.
    "CreateAdConfiguration": 5, "GetAdConfiguration": 5, "ListAdConfigurations": 5, "UpdateAdConfiguration": 5,
    "DeleteAdConfiguration": 5, "InsertAdBreak": 5,
    "CreateFailoverSlateConfiguration": 5, "GetFailoverSlateConfiguration": 5, "ListFailoverSlateConfigurations": 5,
    "UpdateFailoverSlateConfiguration": 5, "DeleteFailoverSlateConfiguration": 5,
    "TagResource": 10, "UntagResource": 10, "ListTagsForResource": 10,
}
OPERATIONS = sorted(RATES)


# Another service's, which the emulator does not ask for.
PLAYBACK = f"arn:aws:mediatailor:{REGION}:{programs.ACCOUNT}:playbackConfiguration/ads"


def arn(kind, identifier, region=REGION, account=programs.ACCOUNT):
    return f"arn:aws:ivs:{region}:{account}:{kind}/{identifier}"


def client(url, key="test", secret="test", region=REGION, attempts=1, **more):
    config = botocore.config.Config(
        retries={"total_max_attempts": attempts, "mode": "standard"},
        read_timeout=programs.DEADLINE_S,
        max_pool_connections=20,
        **more,
    )
    return SESSION.client(
        "ivs", endpoint_url=url, config=config, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret
    )


class Api:
    """One client of one region. The client checks no input: what is wrong must reach the emulator."""

    def __init__(self, url, **credentials):
        self.url = url
        self.client = client(url, parameter_validation=False, **credentials)
        self.client.meta.events.register("before-parse.ivs.*", self.look)
        self.faults = []

    def look(self, operation_model, response_dict, **_):
        self.faults += wire.faults_of_answer(operation_model, response_dict)

    def once(self, operation, **members):
        """Its answer without what botocore adds, or its error raised."""
        try:
            answer = getattr(self.client, xform_name(operation))(**members)
        finally:
            faults, self.faults = self.faults, []
            assert not faults, (operation, faults)
        del answer["ResponseMetadata"]
        return answer

    def call(self, operation, **members):
        """Its answer; a throttled call is made again."""
        deadline = time.monotonic() + programs.DEADLINE_S
        while True:
            try:
                return self.once(operation, **members)
            except botocore.exceptions.ClientError as error:
                if code_of(error) != "ThrottlingException" or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def error(self, operation, **members):
        """The code of its error and its message; None if it succeeds."""
        try:
            self.call(operation, **members)
        except botocore.exceptions.ClientError as error:
            return code_of(error), error.response.get("exceptionMessage") or error.response["Error"]["Message"]
        return None

    def pages(self, operation, result, **members):
        """Every page, by hand."""
        token = {}
        while True:
            answer = self.call(operation, **members, **token)
            yield answer[result]
            if "nextToken" not in answer:
                return
            token = {"nextToken": answer["nextToken"]}

    # The emulator's own endpoints.

    def local(self, method, path, body=None):
        status, _, text = programs.fetch(f"{self.url}/_local/{path}", method, body and json.dumps(body))
        assert status < 300, (method, path, status, text)
        return json.loads(text) if text else None

    def stream(self, channel_arn, state):
        return self.local("POST", f"channels/{quoted(channel_arn)}/stream", {"state": state})

    def ingest(self, stream_key, expect=200, **members):
        """An encoder connects with a stream key, or does what else `members` say."""
        body = json.dumps({"streamKey": stream_key, **members})
        status, _, text = programs.fetch(f"{self.url}/_local/ingest", "POST", body)
        assert status == expect, (status, text)
        return json.loads(text)

    def channel(self, **members):
        """A new channel: ARN and stream key."""
        made = self.call("CreateChannel", **members)
        return made["channel"]["arn"], made["streamKey"]

    def ads(self, **members):
        """A new ad configuration's ARN."""
        members = {"mediaTailorPlaybackConfigurations": [{"playbackConfigurationArn": PLAYBACK}], **members}
        return self.call("CreateAdConfiguration", **members)["adConfiguration"]["arn"]

    def policy(self, **members):
        """A new playback restriction policy's ARN."""
        return self.call("CreatePlaybackRestrictionPolicy", **members)["playbackRestrictionPolicy"]["arn"]

    def slate(self, **members):
        """A new failover slate configuration's ARN, once it is created."""
        made = self.call("CreateFailoverSlateConfiguration", **members)["failoverSlateConfiguration"]["arn"]
        self.wait_for_slate(made)
        return made

    def wait_for_slate(self, its_arn):
        get = lambda: self.call("GetFailoverSlateConfiguration", arn=its_arn)["failoverSlateConfiguration"]
        programs.wait_until("the slate is created", lambda: get()["state"] == "CREATED")
        return get()

    def recording(self, **members):
        """A new recording configuration's ARN, once it is active."""
        members = {"destinationConfiguration": {"s3": {"bucketName": "recordings"}}, **members}
        made = self.call("CreateRecordingConfiguration", **members)["recordingConfiguration"]["arn"]
        look = lambda: self.call("GetRecordingConfiguration", arn=made)["recordingConfiguration"]["state"] == "ACTIVE"
        programs.wait_until("the recording configuration is active", look)
        return made


def code_of(error):
    return error.response["Error"]["Code"]


def quoted(text):
    return urllib.parse.quote(text, safe="")

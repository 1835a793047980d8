"""boto3 and the AWS CLI, as they are: through Cuegate, and straight into the local IVS.

Nothing of them is changed but the endpoint's address."""

import json
import subprocess
import sys
import unittest
import uuid
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions
import urllib3

import programs

CLI = Path(sys.executable).with_name("aws")

# What AWS itself must not change on the way: white space, quotes, control characters, every
# plane of Unicode.
STRINGS = [
    "plain",
    '{"a": 1.0, "b": "\\u00e9"}',
    "  two\tlines\r\nand \"quotes\" \\ /  ",
    "é ß 中文 \u202e\u2028",
    "😀 👩‍👩‍👧 \U0010ffff",
    "control \x01\x1f\x7f",
    "x" * 1024,
    "é" * 512,
    "😀" * 256,
]


def client(url, secret="test", retries=None):
    config = botocore.config.Config(
        retries={"total_max_attempts": retries or 1, "mode": "standard"}, read_timeout=10
    )
    return boto3.session.Session(
        aws_access_key_id="test", aws_secret_access_key=secret, region_name="us-west-2"
    ).client("ivs", endpoint_url=url, config=config)


def aws(url, *arguments, secret="test"):
    return subprocess.run(
        [CLI, "ivs", *arguments, "--endpoint-url", url, "--region", "us-west-2"],
        env=programs.environment(AWS_SECRET_ACCESS_KEY=secret, AWS_MAX_ATTEMPTS="1", AWS_PAGER=""),
        capture_output=True,
        text=True,
        timeout=60,
    )


class Both:
    """What holds for the gateway and for the emulator alike."""

    def error(self, call, code, status, modelled=True):
        with self.assertRaises(botocore.exceptions.ClientError) as raised:
            call()
        answer = raised.exception.response
        self.assertEqual((answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]), (code, status), answer)
        self.assertTrue(answer["ResponseMetadata"]["RequestId"], answer)
        if modelled:
            # botocore reads the members of errors that the operation's model names.
            self.assertTrue(answer["exceptionMessage"], answer)
        return raised.exception

    def test_strings_arrive_byte_for_byte(self):
        ivs = client(self.url)
        for text in STRINGS:
            answer = ivs.put_metadata(channelArn=programs.arn("strings"), metadata=text)
            self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 204)
            self.assertTrue(answer["ResponseMetadata"]["RequestId"])
            self.settle()
        programs.wait_until("all arrived", lambda: len(self.emulator.taken("strings")) == len(STRINGS))
        self.assertEqual(self.emulator.taken("strings"), STRINGS)

    def test_the_cli_puts_metadata(self):
        put = ("put-metadata", "--channel-arn", programs.arn("cli"), "--metadata")
        for text in ("as it is", "é 😀 \"quoted\""):
            ended = aws(self.url, *put, text)
            self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))
        programs.wait_until("both arrived", lambda: len(self.emulator.taken("cli")) == 2)
        self.assertEqual(self.emulator.taken("cli"), ["as it is", "é 😀 \"quoted\""])
        ended = aws(self.url, *put, "x" * 1025)
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("ValidationException", ended.stderr)

    def test_what_is_wrong_with_the_input(self):
        ivs = client(self.url)
        quiz = programs.arn("quiz")
        put = lambda arn, text: lambda: ivs.put_metadata(channelArn=arn, metadata=text)
        self.error(put(quiz, "x" * 1025), "ValidationException", 400)
        self.error(put(quiz, "é" * 513), "ValidationException", 400)
        self.error(put("not-an-arn", "x"), "ValidationException", 400)
        raised = self.error(put(programs.arn("nobody"), "x"), "ResourceNotFoundException", 404)
        self.assertIsInstance(raised, ivs.exceptions.ResourceNotFoundException)

    def test_a_channel_that_is_offline(self):
        ivs = client(self.url)
        self.emulator.stream("off", "offline")

        def refused():
            try:
                ivs.put_metadata(channelArn=programs.arn("off"), metadata="x")
            except ivs.exceptions.ChannelNotBroadcasting as error:
                return error.response

        answer = programs.wait_until("it is known to be offline", refused)
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 404)
        self.assertTrue(answer["exceptionMessage"])

    def settle(self):
        """Called between two calls on one channel."""


class StraightIntoTheEmulator(Both, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.process = programs.LocalIvs()
        cls.addClassCleanup(cls.process.close)
        cls.url, cls.emulator = cls.process.url, cls.process.emulator
        for channel in ("strings", "cli", "quiz", "throttled"):
            cls.emulator.stream(channel, "live")

    def settle(self):
        # The emulator takes 5 a second, as the real API: the client waits as it would there.
        programs.time.sleep(0.21)

    def test_the_sixth_call_within_a_second_is_throttled(self):
        ivs = client(self.url)
        channel = programs.arn("throttled")
        outcomes = []
        for nth in range(8):
            try:
                ivs.put_metadata(channelArn=channel, metadata=str(nth))
                outcomes.append(None)
            except ivs.exceptions.ThrottlingException as error:
                outcomes.append(error.response)
        throttled = [answer for answer in outcomes if answer]
        self.assertTrue(throttled, "eight calls in well under a second")
        self.assertEqual(throttled[0]["ResponseMetadata"]["HTTPStatusCode"], 429)
        self.assertIn(f"exceeded call rate: 5 for resource: {channel}", throttled[0]["exceptionMessage"])
        report = self.emulator.report()["channels"][channel]
        self.assertEqual(report["max_delivered_per_second"], 5)
        # With its retries on, the same client gets everything through.
        client(self.url, retries=10).put_metadata(channelArn=channel, metadata="at last")

    def test_a_wrong_secret(self):
        call = lambda: client(self.url, secret="wrong").put_metadata(channelArn=programs.arn("quiz"), metadata="x")
        with self.assertRaises(botocore.exceptions.ClientError) as raised:
            call()
        answer = raised.exception.response
        self.assertIn("InvalidSignature", answer["Error"]["Code"])
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 403)
        ended = aws(self.url, "put-metadata", "--channel-arn", programs.arn("quiz"), "--metadata", "x", secret="wrong")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("InvalidSignature", ended.stderr)

    def test_another_account(self):
        other = programs.arn("quiz").replace(programs.ACCOUNT, "123456789012")
        call = lambda: client(self.url).put_metadata(channelArn=other, metadata="x")
        self.error(call, "AccessDeniedException", 403)

    def test_the_model_is_botocores(self):
        """Every name above comes from the model AWS ships, not from this file."""
        errors = client(self.url).meta.service_model.operation_model("PutMetadata").error_shapes
        names = {shape.name for shape in errors}
        self.assertLessEqual({"ThrottlingException", "ChannelNotBroadcasting", "ValidationException"}, names)


class ThroughCuegate(Both, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = programs.Gateway({
            "strings": "ttl_ms = 60000",
            "cli": "",
            "quiz": "",
            "retry": "",
            "burst": "ttl_ms = 60000",
            "off": 'offline = "reject"\nttl_ms = 60000',
            "full": "queue_max_events = 1\nttl_ms = 60000",
        })
        cls.addClassCleanup(cls.gateway.close)
        cls.url, cls.emulator = cls.gateway.url, cls.gateway.emulator

    def test_a_burst_is_spread_instead_of_throttled(self):
        ivs = client(self.url)
        for nth in range(8):
            ivs.put_metadata(channelArn=programs.arn("burst"), metadata=str(nth))
        self.gateway.drained("burst")
        self.assertEqual(self.emulator.taken("burst"), [str(nth) for nth in range(8)])
        report = self.emulator.report()["channels"][programs.arn("burst")]
        self.assertLessEqual(report["max_calls_per_second"], 5)
        self.assertEqual(report["throttled"], 0)

    def test_a_retry_of_the_same_call_is_queued_once(self):
        """The SDK sends the invocation id again with every attempt of one call."""
        invocation = str(uuid.uuid4())
        ivs = client(self.url)

        def force(request, **_):
            self.assertIn("amz-sdk-invocation-id", request.headers)
            request.headers["amz-sdk-invocation-id"] = invocation

        ivs.meta.events.register("before-send.ivs.PutMetadata", force)
        for _ in range(3):
            answer = ivs.put_metadata(channelArn=programs.arn("retry"), metadata="once 😀")
            self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 204)
        client(self.url).put_metadata(channelArn=programs.arn("retry"), metadata="another call")
        self.gateway.drained("retry")
        self.assertEqual(self.emulator.taken("retry"), ["once 😀", "another call"])
        totals = self.gateway.status("retry")["totals"]
        self.assertEqual((totals["accepted"], totals["duplicates"]), (2, 2))

    def test_the_sdks_own_retry_is_a_duplicate(self):
        """Its first attempt is answered 204 and the answer lost on the way: botocore tries
        again by itself, with the same id."""
        ivs = client(self.url, retries=3)
        lost = []

        def lose(request, **_):
            if not lost:
                lost.append(request)
                body = request.body.decode() if isinstance(request.body, bytes) else request.body
                answer = urllib3.request("POST", request.url, body=body, headers=dict(request.headers))
                self.assertEqual(answer.status, 204)
                raise botocore.exceptions.ConnectionClosedError(endpoint_url=request.url)

        ivs.meta.events.register("before-send.ivs.PutMetadata", lose)
        before = self.gateway.status("quiz")["totals"]
        ivs.put_metadata(channelArn=programs.arn("quiz"), metadata="lost and found")
        after = self.gateway.status("quiz")["totals"]
        self.assertEqual(after["accepted"] - before["accepted"], 1)
        self.assertEqual(after["duplicates"] - before["duplicates"], 1)

    def test_a_full_queue_is_a_throttle(self):
        status, _, text = programs.fetch(f"{self.url}/v1/channels/full/pause", "POST")
        self.assertEqual(status, 204, text)
        ivs = client(self.url)
        ivs.put_metadata(channelArn=programs.arn("full"), metadata="first")
        raised = self.error(
            lambda: ivs.put_metadata(channelArn=programs.arn("full"), metadata="second"), "ThrottlingException", 429
        )
        self.assertIsInstance(raised, ivs.exceptions.ThrottlingException)

    def test_other_operations_are_not_here(self):
        self.error(lambda: client(self.url).list_channels(), "UnknownOperationException", 404, modelled=False)
        ended = aws(self.url, "list-streams")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("UnknownOperationException", ended.stderr)

    def test_metrics_count_them(self):
        client(self.url).put_metadata(channelArn=programs.arn("quiz"), metadata="counted")
        text = programs.fetch(f"http://{self.gateway.addresses.metrics}/metrics")[2]
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
        self.assertGreater(float(values['cuegate_events_received_total{transport="put_metadata"}']), 0)
        self.assertEqual(float(values["cuegate_events_unaccounted"]), 0)


if __name__ == "__main__":
    unittest.main()

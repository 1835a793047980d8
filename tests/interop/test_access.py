"""AWS's own signatures at `POST /PutMetadata`, once there are keys: boto3 as it is, and requests
signed by botocore and bent in one place."""

import datetime
import json
import unittest

import boto3
import botocore
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions

import programs
from programs import arn, fetch, key_table

ID, SECRET = "AKIDQUIZBACKEND", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYquizSECRET"
OTHER = ("AKIDCHAT", "the-secret-of-chat")
READER = ("AKIDREADER", "the-secret-of-a-reader")


def signing(name, pair, channels, scopes=("publish",)):
    """The lines of a key that only signs; its secret is in a variable of its name."""
    return (
        f'[[api_key]]\nname = "{name}"\nchannels = {json.dumps(channels)}\nscopes = {json.dumps(scopes)}\n'
        f'aws_access_key_id = "{pair[0]}"\naws_secret_env = "SECRET_{name.upper()}"\n'
    )


class Signatures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        keys = signing("quiz", (ID, SECRET), ["quiz"]) + signing("chat", OTHER, ["chat"])
        keys += signing("reader", READER, ["*"], ["read"]) + key_table("operator", "o" * 40, ["admin"])
        # Secrets come out of files, and files end with a new line.
        secrets = {"SECRET_QUIZ": SECRET + "\n", "SECRET_CHAT": OTHER[1], "SECRET_READER": READER[1]}
        cls.gateway = programs.Gateway({"quiz": "ttl_ms = 60000", "chat": ""}, keys, **secrets)
        cls.addClassCleanup(cls.gateway.close)

    def client(self, key, secret, **config):
        session = boto3.session.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-west-2")
        config = botocore.config.Config(retries={"total_max_attempts": 1}, **config)
        return session.client("ivs", endpoint_url=self.gateway.url, config=config)

    def put(self, client, channel="quiz", metadata="x"):
        return client.put_metadata(channelArn=arn(channel), metadata=metadata)

    def check(self, client, code, part, **put):
        with self.assertRaises(botocore.exceptions.ClientError) as raised:
            self.put(client, **put)
        answer = raised.exception.response
        self.assertEqual((answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]), (code, 403))
        self.assertIn(part, answer["Error"]["Message"])
        self.assertTrue(answer["ResponseMetadata"]["RequestId"])

    def test_who_may(self):
        texts = ["plain", '{"a": 1.0}', "é ß 中文 😀", "x" * 1024]
        before = len(self.gateway.emulator.taken("quiz"))
        for text in texts:
            self.put(self.client(ID, SECRET), metadata=text)
        taken = lambda: self.gateway.emulator.taken("quiz")[before:]
        programs.wait_until("all came", lambda: len(taken()) >= len(texts))
        self.assertEqual(taken(), texts, "byte for byte")
        self.check(self.client(ID, "wrong"), "InvalidSignatureException", "does not match the signature")
        self.check(self.client("AKIDNOBODY", SECRET), "UnrecognizedClientException", "security token")
        self.check(self.client("test", "test"), "UnrecognizedClientException", "security token")
        unsigned = self.client(ID, SECRET, signature_version=botocore.UNSIGNED)
        self.check(unsigned, "MissingAuthenticationTokenException", "Missing Authentication Token")
        self.check(self.client(*OTHER), "AccessDeniedException", "chat may not use this channel")
        self.check(self.client(*READER), "AccessDeniedException", "has not the scope publish")
        self.check(self.client(ID, SECRET), "AccessDeniedException", "may not use", channel="chat")
        # Whether a channel that is not one's own exists is not told.
        self.check(self.client(ID, SECRET), "AccessDeniedException", "may not use", channel="missing")

    def signed(self, body, at=None, key=ID, secret=SECRET):
        """The headers that botocore signs this body with, at another time than now where one is given."""
        request = botocore.awsrequest.AWSRequest(
            method="POST", url=f"{self.gateway.url}/PutMetadata", data=body, headers={"content-type": "application/json"}
        )
        credentials = botocore.credentials.Credentials(key, secret)
        signer = botocore.auth.SigV4Auth(credentials, "ivs", "us-west-2")
        if at is not None:
            now, botocore.auth.get_current_datetime = botocore.auth.get_current_datetime, lambda *_, **__: at
            try:
                signer.add_auth(request)
            finally:
                botocore.auth.get_current_datetime = now
        else:
            signer.add_auth(request)
        return dict(request.headers.items())

    def post(self, headers, body):
        status, answered, text = fetch(f"{self.gateway.url}/PutMetadata", "POST", body, **headers)
        return status, answered.get("x-amzn-errortype"), text

    def test_what_is_bent_is_refused(self):
        body = json.dumps({"channelArn": arn("quiz"), "metadata": "as it was signed"})
        good = self.signed(body)
        self.assertEqual(self.post(good, body)[:2], (204, None))
        self.addCleanup(self.gateway.emulator.wait_for, "quiz", "as it was signed", 3)
        invalid = (403, "InvalidSignatureException")
        self.assertEqual(self.post(good, body.replace("as it was", "as it is"))[:2], invalid)
        signature = good["Authorization"]
        for wrong in [signature[:-1] + ("0" if signature[-1] != "0" else "1"), signature.replace("us-west-2", "us-east-1")]:
            self.assertEqual(self.post({**good, "Authorization": wrong}, body)[:2], invalid)
        self.assertEqual(self.post({**good, "X-Amz-Security-Token": "x"}, body)[0], 403)
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        for minutes, expected in [(-16, invalid), (-14, (204, None)), (14, (204, None)), (16, invalid)]:
            at = now + datetime.timedelta(minutes=minutes)
            status, name, text = self.post(self.signed(body, at), body)
            self.assertEqual((status, name), expected, (minutes, text))
        # The body of a stranger is read, for what is signed of it, and not for long.
        status, name, text = self.post({"Authorization": "AWS4-HMAC-SHA256 x"}, "x" * 70_000)
        self.assertEqual((status, name), (400, "ValidationException"))
        self.assertIn("65536", text)
        # Signed for another service.
        other = good["Authorization"].replace("/ivs/", "/s3/")
        self.assertEqual(self.post({**good, "Authorization": other}, body)[:2], invalid)
        self.assertEqual(self.post({"Authorization": "Bearer " + "o" * 40}, body)[:2], (403, "IncompleteSignatureException"))

    def test_books_and_log(self):
        self.check(self.client(ID, "wrong"), "InvalidSignatureException", "does not match")
        text = self.gateway.scrape()
        self.assertIn('cuegate_events_unaccounted 0', text)
        refused = next(line for line in text.splitlines() if 'rejected_total{code="unauthenticated"}' in line)
        self.assertGreater(float(refused.split()[-1]), 0)
        for secret in (SECRET, OTHER[1], READER[1], "o" * 40):
            self.assertNotIn(secret, text + self.gateway.text())


class Retries(unittest.TestCase):
    def test_limits_are_throttles_to_an_sdk(self):
        """The SDK's own retries carry it over a limit, and the same call is queued once."""
        pair = ("AKIDSLOW", "the-secret-of-the-slow")
        keys = signing("slow", pair, ["*"]) + "events_per_second = 2\nevents_burst = 1\n"
        gateway = programs.Gateway({"quiz": "ttl_ms = 60000"}, keys, SECRET_SLOW=pair[1])
        self.addCleanup(gateway.close)
        session = boto3.session.Session(aws_access_key_id=pair[0], aws_secret_access_key=pair[1], region_name="us-west-2")
        config = botocore.config.Config(retries={"total_max_attempts": 8, "mode": "standard"})
        client = session.client("ivs", endpoint_url=gateway.url, config=config)
        retried = 0
        for nth in range(4):
            answer = client.put_metadata(channelArn=arn("quiz"), metadata=str(nth))
            retried += answer["ResponseMetadata"]["RetryAttempts"]
        self.assertGreater(retried, 0)
        programs.wait_until("all came", lambda: len(gateway.emulator.taken("quiz")) >= 4)
        self.assertEqual(gateway.emulator.taken("quiz"), ["0", "1", "2", "3"])


if __name__ == "__main__":
    unittest.main()

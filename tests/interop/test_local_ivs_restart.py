"""The emulator's state in a directory: over a clean end, over a kill, and with two processes."""

import pathlib
import signal
import tempfile
import unittest

import keys
import programs
from local_ivs_api import Api, arn


class Restart(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name) / "state"

    def start(self):
        # Each start has a port of its own.
        process = programs.LocalIvs("--data-dir", self.directory, "--playback-url", "real")
        self.addCleanup(process.close)
        return process, Api(process.url)

    def kill(self, process):
        process.child.send_signal(signal.SIGKILL)
        process.child.wait(programs.DEADLINE_S)

    def everything(self, api):
        """What the API tells of all there is."""
        told = {}
        for operation, result, get, member in [
            ("ListChannels", "channels", "GetChannel", "channel"),
            ("ListPlaybackKeyPairs", "keyPairs", "GetPlaybackKeyPair", "keyPair"),
            ("ListRecordingConfigurations", "recordingConfigurations", "GetRecordingConfiguration", "recordingConfiguration"),
        ]:
            for page in api.pages(operation, result):
                for entry in page:
                    told[entry["arn"]] = api.call(get, arn=entry["arn"])[member]
        for channel in [its_arn for its_arn in told if ":channel/" in its_arn]:
            for key in api.call("ListStreamKeys", channelArn=channel)["streamKeys"]:
                told[key["arn"]] = api.call("GetStreamKey", arn=key["arn"])["streamKey"]
        return told

    def test_a_clean_end(self):
        process, api = self.start()
        recording = api.recording(name="vod", tags={"a": "1"})
        channel, key = api.channel(name="quiz", recordingConfigurationArn=recording, tags={"b": "2"})
        gone, _ = api.channel(name="gone")
        api.call("DeleteChannel", arn=gone)
        api.call("ImportPlaybackKeyPair", publicKeyMaterial=keys.public_key(61), name="pair")
        api.call("UpdateChannel", arn=channel, latencyMode="NORMAL")
        api.call("TagResource", resourceArn=key["arn"], tags={"c": "3"})
        before = self.everything(api)
        self.assertEqual(process.stop(), 0, process.text())

        _, api = self.start()
        self.assertEqual(self.everything(api), before)
        self.assertEqual(api.error("GetChannel", arn=gone)[0], "ResourceNotFoundException")
        conflict = api.error("ImportPlaybackKeyPair", publicKeyMaterial=keys.public_key(61))
        self.assertEqual(conflict[0], "ConflictException")
        # The old key still works, and new names are none of the old ones.
        api.ingest(key["value"])
        self.assertEqual(api.call("GetStream", channelArn=channel)["stream"]["state"], "LIVE")
        new, new_key = api.channel()
        self.assertNotIn(new, before)
        self.assertNotIn(new_key["arn"], before)

    def test_a_kill_right_after_an_answer(self):
        """What was answered is there; the process had no moment to write anything more."""
        made = []
        for nth in range(5):
            process, api = self.start()
            self.assertEqual([api.call("GetChannel", arn=its_arn)["channel"]["arn"] for its_arn, _ in made[-2:]], [a for a, _ in made[-2:]])
            its_arn, key = api.channel(name=f"n{nth}")
            self.kill(process)
            made.append((its_arn, key))
        _, api = self.start()
        told = self.everything(api)
        for its_arn, key in made:
            self.assertIn(its_arn, told)
            self.assertEqual(told[key["arn"]], key)
        self.assertEqual(len({its_arn for its_arn, _ in made}), 5)

    def test_a_kill_right_after_a_deletion(self):
        process, api = self.start()
        kept, _ = api.channel()
        gone, key = api.channel()
        api.call("DeleteChannel", arn=gone)
        self.kill(process)
        _, api = self.start()
        self.assertEqual(api.call("GetChannel", arn=kept)["channel"]["arn"], kept)
        self.assertEqual(api.error("GetChannel", arn=gone)[0], "ResourceNotFoundException")
        self.assertEqual(api.error("GetStreamKey", arn=key["arn"])[0], "ResourceNotFoundException")

    def test_a_stream_does_not_outlive_the_process(self):
        """Its encoder was connected to the process that is gone: the session has ended."""
        process, api = self.start()
        channel, key = api.channel()
        api.ingest(key["value"])
        stream = api.call("GetStream", channelArn=channel)["stream"]["streamId"]
        self.kill(process)
        _, api = self.start()
        sessions = api.call("ListStreamSessions", channelArn=channel)["streamSessions"]
        self.assertEqual(api.error("GetStream", channelArn=channel)[0], "ChannelNotBroadcasting")
        self.assertEqual([session["streamId"] for session in sessions], [stream])
        self.assertGreaterEqual(sessions[0]["endTime"], sessions[0]["startTime"])

    def test_two_processes(self):
        self.start()
        second = programs.Process(
            [programs.BINARIES / "local-ivs", "--listen", "127.0.0.1:0", "--data-dir", self.directory], programs.environment()
        )
        self.addCleanup(second.close)
        self.assertNotEqual(second.child.wait(programs.DEADLINE_S), 0)
        self.assertIn(str(self.directory), second.text())

    def test_without_a_directory_nothing_stays(self):
        process = programs.LocalIvs()
        self.addCleanup(process.close)
        api = Api(process.url)
        api.channel()
        self.assertEqual(process.stop(), 0)
        again = programs.LocalIvs()
        self.addCleanup(again.close)
        channels = Api(again.url).call("ListChannels")["channels"]
        self.assertEqual([channel["arn"] for channel in channels], [arn("channel", "demo")])


if __name__ == "__main__":
    unittest.main()

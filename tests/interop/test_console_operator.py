"""What an operator does with the console: what is queued, an event that is moved, edited or cancelled, what became of one, the state,
dead letters by channel and time, a timeline; and that no half of a wide page is empty."""

import datetime
import json
import time
import unittest

from selenium.webdriver.common.keys import Keys

from desk import Desk
from programs import LocalIvs, arn, fetch, key_table, wait_until
from viewers import playback

WIDE, LAPTOP, PHONE = (1920, 1080), (1366, 900), (360, 780)
FIELDS = 'envelope_fields = ["type", "key", "id"]\n'


def in_an_hour():
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(hours=1)


class Operator(Desk):
    def event(self, id_):
        return json.loads(fetch(f"{self.gateway.url}/v1/channels/quiz/events/{id_}")[2])

    def queued(self):
        return json.loads(fetch(f"{self.gateway.url}/v1/channels/quiz/events")[2])["events"]

    def write_time(self, selector, moment):
        """Into a field for local time."""
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change', { bubbles: true }))"
        self.browser.run(script, self.browser.one(selector), moment.astimezone().strftime("%Y-%m-%dT%H:%M:%S"))

    def test_what_is_queued_by_type_and_key(self):
        self.start({"quiz": FIELDS + "ttl_ms = 600000"})
        fetch(f"{self.gateway.url}/v1/channels/quiz/pause", "POST")
        self.open("#/channel/quiz")
        self.browser.says("#queue-title + .where", "")
        self.publish("quiz", *({"data": nth, "type": "answer", "key": f"q{nth % 2}"} for nth in range(40)), {"data": 1, "type": "<b>"})
        self.browser.says("#queue-title + .where", "41 events")
        rows = lambda: self.browser.run("return [...document.querySelectorAll('.kinds tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))")
        self.assertEqual(rows(), [["answer", "q0", "20", "waits"], ["answer", "q1", "20", "waits"], ["<b>", "–", "1", "waits"]])
        self.assertEqual(len(self.browser.all(".queued li")), 10)
        # What is listed stays, under a hand that is about to press its button, when more comes.
        self.browser.run("document.querySelector('.queued li').isKept = true")
        self.publish("quiz", {"data": 1, "type": "<b>"})
        self.browser.says("#queue-title + .where", "42 events")
        self.assertTrue(self.browser.run("return document.querySelector('.queued li').isKept"))
        self.browser.write("#queue-key", "q1")
        wait_until("one kind", lambda: rows() == [["answer", "q1", "20", "waits"]])
        self.assertEqual(self.browser.texts(".queued li code")[:2], ["1", "3"])
        self.browser.write("#queue-key", "none")
        wait_until("none", lambda: "Nothing that is queued fits." in self.browser.texts(".none"))
        # What a text turns ends with it, in each place.
        turned = "\u202eabc"
        self.publish("quiz", {"data": turned, "id": turned, "type": turned, "key": turned})
        self.browser.write("#queue-key", turned)
        self.browser.click(f'[aria-label="Edit event {turned}"]')
        self.check_isolated(7)
        self.check_quiet()

    def test_a_scheduled_cue_is_moved_edited_and_cancelled(self):
        self.start({"quiz": FIELDS})
        due = in_an_hour()
        cue = {"data": {"big": 12345678901234567890, "text": "first"}, "type": "cue", "key": "k", "merge": "replace", "ttl_ms": 61_000, "id": "cue-1", "at": due.isoformat()}
        text = json.dumps(cue)
        fetch(f"{self.gateway.url}/v1/channels/quiz/events", "POST", text)
        self.publish("quiz", {"data": 2, "id": "cue-2", "at": due.isoformat()})
        self.open("#/channel/quiz")
        self.browser.says(".queued", "cue-1")
        edit = '[aria-label="Edit event cue-1"]'
        # Moved, and its numbers keep their digits.
        self.browser.click(edit)
        self.browser.says("#edit-title", "Event cue-1")
        later = due + datetime.timedelta(minutes=30)
        self.write_time("#edit-at", later)
        self.browser.click("#edit-save")
        self.browser.says("#edited", "Event cue-1: Replaced.")
        moved = next(event for event in self.queued() if event["id"] == "cue-1")
        self.assertEqual(datetime.datetime.fromisoformat(moved["at"]), later)
        same = ("data", "type", "key", "merge", "ttl_ms")
        self.assertEqual([moved[name] for name in same], [cue[name] for name in same])
        # Edited; what is no JSON is told and nothing is lost.
        self.browser.click(edit)
        self.browser.write("#edit-data", "no JSON")
        self.browser.click("#edit-save")
        self.browser.says("#edited", "Data is not JSON")
        self.browser.write("#edit-data", '{"text":"second"}')
        self.browser.click("#edit-save")
        self.browser.says("#edited", "Event cue-1: Replaced.")
        edited = next(event for event in self.queued() if event["id"] == "cue-1")
        self.assertEqual(edited, moved | {"data": {"text": "second"}, "eta_ms": edited["eta_ms"]})
        # Cancelled; and one may think better of it.
        cancel = '[aria-label="Cancel event cue-2"]'
        self.browser.click(cancel)
        self.browser.click("#ask-no")
        self.assertEqual(self.event("cue-2")["state"], "scheduled")
        self.browser.click(cancel)
        self.browser.says("#ask-title", "Cancel event cue-2?")
        self.browser.click("#ask-yes")
        self.browser.says("#edited", "Event cue-2: Cancelled.")
        self.assertEqual(self.event("cue-2")["state"], "cancelled")
        self.check_quiet()
        # What is sent meanwhile is told.
        self.browser.click(edit)
        self.browser.write("#edit-data", "3")
        fetch(f"{self.gateway.url}/v1/channels/quiz/events/cue-1", "PUT", '{"data":3,"at":"2020-01-01T00:00:00Z"}')
        self.gateway.drained("quiz")
        self.browser.click("#edit-save")
        self.browser.says("#edited", "Refused, already_sent")

    def test_what_became_of_an_event(self):
        self.start({"quiz": FIELDS})
        self.publish("quiz", {"data": 1, "id": "a/1?"}, {"data": 2, "id": "later", "at": in_an_hour().isoformat()})
        wait_until("it is delivered", lambda: self.event("a%2F1%3F")["state"] == "delivered")
        self.open("#/channel/quiz")
        for id_, words in [("a/1?", "It was delivered, n "), ("later", "It is scheduled, ")]:
            self.browser.write("#fate-id", id_)
            self.browser.click("#fate-look")
            self.browser.says("#fate", words)
        self.check_quiet()
        self.browser.write("#fate-id", "nobody")
        self.browser.click("#fate-look")
        self.browser.says("#fate", "No event with this id is remembered.")

    def test_the_state_by_key(self):
        self.start({"quiz": FIELDS + "keyframes = true", "none": ""})
        big = '[{"data":12345678901234567890,"key":"home","merge":"replace","type":"score"},{"data":2,"key":"votes","merge":"sum"}]'
        fetch(f"{self.gateway.url}/v1/channels/quiz/events", "POST", big)
        self.open("#/channel/quiz")
        rows = lambda: [text for text in self.browser.texts(".keys li code")]
        wait_until("both keys", lambda: rows() == ["12345678901234567890", "2"])
        self.browser.write("#keys-filter", "vot")
        wait_until("one key", lambda: rows() == ["2"])
        self.assertEqual(self.browser.texts(".keys .tag"), ["keyvotes", "mergesum"])
        self.browser.click('[aria-label="Delete key votes"]')
        self.browser.says("#ask-title", "Delete key votes?")
        self.browser.click("#ask-yes")
        self.browser.says("#keys-done", "Deleted: key votes.")
        wait_until("it is gone", lambda: rows() == [])
        self.browser.click("#keys-clear")
        self.browser.click("#ask-yes")
        self.browser.says("#keys-done", "Deleted: the whole state.")
        self.browser.go("#/channel/none")
        self.browser.says("h1", "none")
        self.browser.says(".tiles", "of")
        self.assertFalse(self.browser.run("return document.getElementById('keys-title').checkVisibility()"))
        self.check_quiet()

    def test_a_timeline_of_payloads(self):
        self.start({"quiz": FIELDS + 'compress = "deflate"\nkeyframes = true\nevent_max_bytes = 65536\nttl_ms = 60000'})
        self.open("#/channel/quiz")
        self.browser.says(".live", "live")
        words = [{"rank": rank, "name": f"player {rank * 7919 % 5000}"} for rank in range(200)]
        self.publish("quiz", {"data": "as it is", "envelope": "raw"})
        self.gateway.drained("quiz")
        self.publish("quiz", {"data": {"title": "The question", "options": ["A", "B", "C", "D"]}, "key": "q", "merge": "replace"})
        self.publish("quiz", {"data": words})
        self.gateway.drained("quiz")
        self.browser.says(".legend.slice", "slice")
        legend = lambda: dict(reversed(text.split(" ", 1)) for text in self.browser.texts(".timeline .legend:not([hidden])"))
        wait_until("every form", lambda: {"plain", "compressed", "slice", "with state"} <= legend().keys())
        self.assertRegex(self.browser.one(".timeline svg").get_attribute("aria-label"), r"^\d+ payloads in two minutes, \d+ % full$")
        self.assertGreaterEqual(len(self.browser.all(".timeline rect.slice")), 2)
        self.check_quiet()

    def test_dead_letters_by_channel_and_time(self):
        self.start({"quiz": "", "score": ""})
        refused = {"kind": "error", "status": 403, "code": "AccessDeniedException", "message": "not authorized"}
        fetch(f"{self.gateway.emulator.url}/_local/faults", "POST", json.dumps(refused))
        letters = lambda: json.loads(fetch(f"{self.url}admin/dead-letters")[2])["dead_letters"]
        for nth, channel in enumerate(["quiz", "score"]):
            self.publish(channel, {"data": channel})
            wait_until("it is a dead letter", lambda: len(letters()) == nth + 1)
            # A field says whole seconds.
            time.sleep(1.1)
        self.open("#/letters")
        shown = lambda: self.browser.texts(".letters .events code")
        wait_until("both", lambda: shown() == ['"quiz"', '"score"'])
        self.browser.write("#letters-alias", "score\t")
        wait_until("one channel's", lambda: shown() == ['"score"'])
        self.browser.write("#letters-alias", "\t")
        wait_until("both again", lambda: len(shown()) == 2)
        first, second = (datetime.datetime.fromtimestamp(letter["at_ms"] // 1000) for letter in letters())
        self.write_time("#letters-from", second)
        wait_until("the later one", lambda: shown() == ['"score"'])
        self.write_time("#letters-from", first)
        self.write_time("#letters-until", first)
        wait_until("the earlier one", lambda: shown() == ['"quiz"'])
        self.check_quiet()

    def test_the_picture_in_aws_mode(self):
        """It is played from where the configuration says; the key is shown to nobody else."""
        ivs = LocalIvs()
        self.addCleanup(ivs.close)
        ivs.emulator.stream("quiz", "live")
        operator = "operator-" + "k" * 40
        played = json.dumps(playback(ivs.emulator, "quiz"))
        self.start(
            {"quiz": f'{FIELDS}playback_url = {played}', "none": ""}, key_table("operator", operator, ["admin", "publish", "read"]),
            CUEGATE__UPSTREAM__MODE="aws", CUEGATE__UPSTREAM__ENDPOINT_URL=ivs.url,
        )
        self.browser.open(self.url + "#/channel/quiz")
        self.browser.write("#unlock-key", operator)
        self.browser.keys(Keys.ENTER)
        self.browser.says("#mode", "AWS")
        self.browser.click("#watch")
        self.picture_goes_on()
        self.browser.write("#data", '{"home":1}')
        self.browser.click("#send")
        self.browser.says("#chips .is-mine code", '{"home":1}')
        for what in ("violations", "errors"):
            self.assertEqual(self.browser.recorded(what), [])
        # One that the API made says where it is too; one that says nothing has no picture.
        proof = {"authorization": f"Bearer {operator}"}
        definition = json.dumps({"arn": arn("made"), "playback_url": json.loads(played)})
        status, _, text = fetch(f"{self.url}admin/channels/made", "PUT", definition, **proof)
        self.assertEqual(status, 201, text)
        place = lambda channel: json.loads(fetch(f"{self.url}admin/playback/{channel}", **proof)[2])["url"]
        self.assertEqual([place("made"), place("none"), place("nowhere")], [json.loads(played), None, None])
        self.browser.go("#/channel/none")
        self.browser.says(".tiles", "of")
        self.assertFalse(self.browser.one("#watch").is_displayed())
        policy = fetch(self.url)[1]["content-security-policy"]
        self.assertIn(f"connect-src 'self' {ivs.url} https://*.live-video.net;", policy)

    def test_no_half_of_a_wide_page_is_empty(self):
        self.start({"quiz": FIELDS + "keyframes = true\nttl_ms = 600000"})
        self.publish("quiz", *({"data": nth, "key": f"key {nth % 12}", "merge": "replace", "type": "t"} for nth in range(200)))
        self.gateway.drained("quiz")
        self.publish("quiz", *({"data": nth, "id": f"cue {nth}", "at": in_an_hour().isoformat()} for nth in range(6)))
        for width, height in (WIDE, LAPTOP, PHONE):
            for scheme in ("light", "dark"):
                with self.subTest(width=width, scheme=scheme):
                    self.browser.look(width, height, scheme)
                    self.open("#/channel/quiz")
                    self.browser.says(".queued", "cue 0")
                    self.browser.says(".keys", "key 0")
                    self.check_fits(width)
                    self.check_contrast()
                    if width > PHONE[0]:
                        self.assertGreater(self.filled(width, height), 0.85)
        self.check_quiet()

    def filled(self, width, height):
        """How much of the width, below the figures, has panels on the first screen."""
        script = """
          const [width, height] = arguments;
          const top = document.querySelector('.board').getBoundingClientRect().top;
          const columns = [...document.querySelectorAll('.board > div')].map((column) => {
            const all = [...column.querySelectorAll(':scope > .panel')].filter((panel) => panel.checkVisibility()).map((panel) => panel.getBoundingClientRect());
            const bottom = Math.max(...all.map((box) => box.bottom));
            return [column.getBoundingClientRect(), (Math.min(bottom, height) - Math.max(top, column.getBoundingClientRect().top)) / (height - Math.max(top, column.getBoundingClientRect().top))];
          }).filter(([box]) => box.top < height);
          return columns.reduce((sum, [box, part]) => sum + box.width * Math.min(1, part), 0) / width;
        """
        return self.browser.run(script, width, height)


if __name__ == "__main__":
    unittest.main()

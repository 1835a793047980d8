"""The console in a real browser: what operators see, what they can do, by mouse and by keyboard,
and that nothing out of an event ever runs there.

With CUEGATE_SCREENSHOTS=1 the screenshots of README and the book are made anew."""

import json
import os
import random
import re
import threading
import unittest

from selenium.webdriver.common.keys import Keys

from desk import Desk
from programs import ROOT, fetch, key_table, wait_until

SCREENSHOTS = ROOT / "dashboards" / "screenshots"
# View, colour scheme and place, and what is in the middle of the picture; none: the top.
PICTURES = {
    ("channels", "light", "desktop"): None,
    ("channel", "dark", "desktop"): None,
    ("channel", "light", "phone"): ".is-mine",
}
# Of the chart in a picture, in seconds.
HISTORY = 45
DESKTOP = (1280, 960)
PHONE = (360, 780)
MARKUP = '<img src=x onerror="recorded.dialogs++"><script>recorded.dialogs++</script>'


class Console(Desk):
    def test_an_event_comes_out_on_the_page(self):
        self.start({"quiz": 'envelope_fields = ["type", "key"]'})
        self.open()
        self.assertEqual(self.browser.text("#mode"), "LOCAL MODE: the emulator in this process. Nothing reaches AWS or a viewer.")
        self.browser.click("table.channels a")
        self.browser.says("h1", "quiz")
        self.browser.write("#data", '{"answer":"B","big":12345678901234567890.10}')
        self.browser.write("#type", "quiz.answer")
        self.browser.write("#key", "q1")
        self.browser.choose("#merge", "replace")
        self.browser.choose("#priority", "high")
        self.browser.write("#ttl", "60000")
        self.browser.write("#id", "from-the-console")
        self.assertIn("the emulator takes it", self.browser.text("#real"))
        self.browser.click("#send")
        self.browser.says("#outcome", "Delivered: the payload that carries it came out after")
        self.browser.says(".payload.is-mine .mine", "Your test event, after")
        # The numbers keep their digits.
        self.assertEqual(self.browser.text(".is-mine .events code"), '{"answer":"B","big":12345678901234567890.10}')
        self.assertEqual(self.browser.texts(".is-mine .tag"), ["typequiz.answer", "keyq1"])
        [taken] = self.gateway.emulator.taken("quiz")
        self.assertEqual(self.browser.text(".is-mine pre"), taken)
        size = len(taken.encode())
        self.assertEqual(self.browser.text(".is-mine .size"), f"{size} of 1,024 B, {round(100 * size / 1024)} %")
        width = self.browser.run("return document.querySelector('.is-mine .fill span').style.width")
        self.assertEqual(width, f"{round(100 * size / 1024)}%")
        # Somebody else's, as it comes; and what is not JSON, or is refused.
        self.publish("quiz", {"data": "from a producer"})
        self.browser.says(".payload:first-child .events", '"from a producer"')
        self.assertEqual(len(self.browser.all(".payload.is-mine")), 1)
        self.browser.write("#data", "no JSON")
        self.browser.click("#send")
        self.browser.says("#outcome", "Data is not JSON")
        self.check_quiet()
        self.browser.write("#data", "1")
        self.browser.choose("#merge", "sum")
        self.browser.write("#key", "")
        self.browser.click("#send")
        self.browser.says("#outcome", "Refused, invalid_event: merge needs a key")

    def test_a_channel_is_added_edited_and_removed(self):
        self.start({"file": ""})
        self.open()
        self.browser.click("#add")
        self.browser.says("h1", "Add a channel")
        # What is wrong is told, each thing of it, and nothing is lost.
        self.browser.write("#alias", "quiz")
        self.browser.write("#arn", "somewhere")
        self.browser.write("#settings", '{"ttl_ms": 0}')
        self.browser.click("#save")
        self.browser.says("#faults", "channel.ttl_ms: 0 is not in")
        self.assertEqual(len(self.browser.all("#faults li")), 2)
        self.browser.write("#settings", "[]")
        self.browser.click("#save")
        self.browser.says("#outcome", "not a JSON object")
        arn = "arn:aws:ivs:us-west-2:000000000000:channel/quiz"
        self.browser.write("#arn", arn)
        self.browser.write("#settings", '{"ttl_ms": 600000}')
        self.browser.click("#save")
        self.browser.says("h1", "quiz")
        self.browser.says(".arn", arn)
        self.assertEqual(self.gateway.status("quiz")["definition"], {"arn": arn, "ttl_ms": 600000})
        # The form has what the channel is; what it says is the whole of it.
        self.browser.click("#edit")
        self.browser.says("h1", "Edit quiz")
        wait_until("it was read", lambda: "600000" in self.browser.run("return document.getElementById('settings').value"))
        self.assertEqual(self.browser.run("return document.getElementById('arn').value"), arn)
        self.browser.write("#settings", "{}")
        self.browser.click("#save")
        self.browser.says("h1", "quiz")
        wait_until("it is changed", lambda: self.gateway.status("quiz")["definition"] == {"arn": arn})
        # With what is queued it is removed too; and one may think better of it.
        fetch(f"{self.gateway.url}/v1/channels/quiz/pause", "POST")
        self.publish("quiz", {"data": 1})
        self.browser.says(".tiles", "1 of")
        self.browser.click("#remove")
        self.browser.says("#ask-text", "1 event is queued and will still leave")
        self.browser.click("#ask-no")
        self.browser.click("#remove")
        self.browser.click("#ask-yes")
        self.browser.says("h1", "Channels")
        wait_until("it is gone", lambda: fetch(f"{self.gateway.url}/v1/channels/quiz")[0] == 404)
        # What the file lists is changed there.
        self.open("#/channel/file")
        self.browser.says(".arn", "channel/file")
        hidden = "return ['edit', 'remove'].map((id) => document.getElementById(id).checkVisibility())"
        self.assertEqual(self.browser.run(hidden), [False, False])
        self.check_quiet()

    def test_what_was_delivered_before_is_shown(self):
        self.start({"quiz": "", "plain": 'envelope = "raw"', "bare": 'envelope = "array"'})
        for channel in ("quiz", "plain", "bare"):
            for nth in range(3):
                self.publish(channel, {"data": f"{channel} {nth}"})
                self.gateway.drained(channel)
        for channel, quoted in [("quiz", '"{}"'), ("plain", "{}"), ("bare", '"{}"')]:
            self.open(f"#/channel/{channel}")
            self.browser.says(".payloads", f"{channel} 0")
            shown = [quoted.format(f"{channel} {nth}") for nth in (2, 1, 0)]
            self.assertEqual(self.browser.texts(".events code"), shown, "the newest first")
        self.check_quiet()

    def test_every_form_is_decoded(self):
        fields = 'envelope_fields = ["type", "key", "id"]\n'
        self.start({"quiz": fields + 'compress = "deflate"', "any": 'envelope = "raw"'})
        self.open("#/channel/quiz")
        self.browser.says(".live", "live")
        data = {"question": "Which one?", "options": ["A", "B", "C", "D"], "title": "The question"}
        self.browser.write("#data", json.dumps(data))
        self.browser.write("#type", "quiz.answer")
        self.browser.click("#send")
        self.browser.says("#outcome", "Delivered: the payload that carries it came out after")
        [taken] = self.gateway.emulator.taken("quiz")
        self.assertTrue(taken.startswith("~0"), taken)
        self.assertEqual(json.loads(self.browser.text(".is-mine .events code")), data)
        self.assertEqual(self.browser.texts(".is-mine .tag"), ["typequiz.answer"])
        self.assertEqual(self.browser.text(".is-mine .form"), "compressed")
        self.assertEqual(self.browser.text(".is-mine .sent pre"), taken)
        plain = json.loads(self.browser.text(".is-mine .plain pre"))
        self.assertEqual(plain["e"], [{"d": data, "t": "quiz.answer"}])
        self.assertIn(f"{len(taken.encode())} of 1,024 B", self.browser.text(".is-mine .size"))

        # What only looks like one; entries of the state; slices, the last of which has the event.
        kept = '{"v":1,"n":1,"s":[{"k":"score","d":2,"m":"sum"},{"k":"old","x":1}],"c":[0,0,1],"e":[]}'
        vectors = json.loads((ROOT / "player" / "vectors.json").read_text())["sequences"]
        slices = next(each for each in vectors if each["name"] == "slices that are none")["steps"][-2:]
        self.browser.go("#/channel/any")
        self.browser.says(".live", "live")
        for text in ["~0 is no payload", kept, *(step["push"] for step in slices)]:
            self.publish("any", {"data": text})
            self.gateway.drained("any")
        whole, part, entries, foreign = (f".payload:nth-child({nth})" for nth in (1, 2, 3, 4))
        self.browser.says(f"{whole} .events code", str(slices[1]["events"][-1]["data"]))
        self.assertEqual(self.browser.texts(".payload .form"), ["slice", "slice"])
        self.browser.says(f"{part} .payload-head", "slice of a large event")
        self.assertEqual(self.browser.text(f"{part} .sent pre"), slices[0]["push"])
        self.assertEqual(self.browser.texts(f"{entries} .entries code"), ["2", "deleted"])
        self.browser.says(f"{entries} .payload-head", "2 entries of the state")
        self.assertEqual(self.browser.text(f"{foreign} .events code"), "~0 is no payload")
        self.check_quiet()

    def test_a_test_event_comes_out_on_the_picture(self):
        self.start({"quiz": 'envelope_fields = ["type", "key", "id"]\ncompress = "deflate"'})
        self.watch("quiz")
        self.browser.write("#data", '{"home":1,"away":0}')
        self.browser.write("#type", "score")
        self.browser.write("#key", "match-1")
        self.browser.choose("#merge", "replace")
        self.browser.click("#send")
        self.browser.says("#chips .is-mine code", '{"home":1,"away":0}')
        self.assertEqual(self.browser.texts("#heard .is-mine .tag"), ["typescore", "keymatch-1"])
        # It is drawn a little later.
        state = ['match-1{"home":1,"away":0}']
        wait_until("the state there", lambda: self.browser.texts("#values div") == state)
        # Somebody else's; a raw one, and one that would be markup.
        self.publish("quiz", {"data": {MARKUP: MARKUP}, "type": "other"})
        self.publish("quiz", {"data": MARKUP, "envelope": "raw"})
        self.browser.says("#chips li:last-child code", MARKUP)
        self.assertEqual(len(self.browser.all("#heard li")), 3)
        self.assertEqual(len(self.browser.all("#heard .is-mine")), 1)
        for tag in ("img", "script"):
            self.assertEqual(self.browser.all(f"body {tag}"), [], tag)
        wait_until("they leave the picture", lambda: not self.browser.all("#chips li"))
        self.browser.click("#watch")
        self.assertFalse(self.browser.one("#watched").is_displayed())
        self.check_quiet()

    def test_going_back_shows_the_same_events_again(self):
        self.start({"quiz": 'envelope_fields = ["key"]'})
        self.watch("quiz")
        for nth in range(12):
            self.publish("quiz", {"data": nth, "key": f"key-{nth % 3}"})
            self.gateway.drained("quiz")
        heard = lambda: self.browser.texts("#heard code")[::-1]
        all_ = [str(nth) for nth in range(12)]
        state = {f"key-{nth % 3}{nth}" for nth in (9, 10, 11)}
        shown = lambda: (heard(), set(self.browser.texts("#values div")))
        wait_until("all events and the state", lambda: shown() == (all_, state))
        # By keyboard, to before the fourth: a second back with each key, and what the state was there.
        # A picture that stands still there waits for whoever looks at it late.
        self.browser.run("document.querySelector('video').pause()")
        self.browser.one("#back").send_keys(Keys.HOME)
        wait_until("it went back", lambda: len(heard()) < 4)
        self.assertIn("s behind the newest picture", self.browser.one("#back").get_attribute("aria-valuetext"))
        self.browser.run("document.querySelector('video').play()")
        wait_until("the same events again, and the same state", lambda: shown() == (all_, state))
        self.browser.click("#newest")
        # 3 s, and more on a machine that is busy.
        is_new = lambda: re.match(r"[2-8] s behind", self.browser.text("#behind"))
        wait_until("the newest picture", is_new)
        wait_until("all events", lambda: heard() == all_)
        self.check_quiet()

    def test_the_picture_of_a_channel_that_goes_and_comes(self):
        operator = "operator-" + "k" * 40
        self.start({"quiz": ""}, key_table("operator", operator, ["admin"]))
        self.browser.open(self.url + "#/channel/quiz")
        self.browser.write("#unlock-key", operator)
        self.browser.keys(Keys.ENTER)
        self.browser.says("#version", ".")
        # Its requests show the key too. By keyboard.
        self.browser.one("#watch").send_keys(Keys.ENTER)
        self.picture_goes_on()
        self.gateway.emulator.stream("quiz", "offline")
        self.browser.says("#watch-note", "the channel is not live")
        self.gateway.emulator.stream("quiz", "live")
        self.picture_goes_on()
        self.hide(True)
        self.browser.says("#watch-note", "nobody looks")
        self.hide(False)
        self.picture_goes_on()
        self.assertEqual(self.browser.recorded("violations"), [])
        self.assertEqual(self.browser.recorded("errors"), [])

    def test_the_library_that_plays_is_as_it_was_published(self):
        published = ROOT / "target" / "node" / "node_modules" / "hls.js"
        vendored = ROOT / "src" / "admin" / "vendor"
        self.assertTrue((published / "dist" / "hls.light.min.js").read_bytes() == (vendored / "hls.light.min.js").read_bytes())
        self.assertEqual((published / "LICENSE").read_text(), (vendored / "hls.js.LICENSE").read_text())

    def test_nothing_of_an_event_is_markup(self):
        self.start({"quiz": 'envelope_fields = ["type", "key", "id"]', "plain": 'envelope = "raw"'})
        short = "<b onclick=alert(1)>x</b>"
        event = {"data": {MARKUP: MARKUP}, "type": short, "key": short, "id": short}
        self.open("#/channel/quiz")
        self.publish("quiz", event)
        self.browser.says(".payloads", "onerror")
        self.assertEqual(self.browser.text(".events code"), json.dumps(event["data"], separators=(",", ":")))
        self.assertIn(f"type{short}", self.browser.texts(".tag"))
        self.browser.write("#data", json.dumps(MARKUP))
        self.browser.click("#send")
        self.browser.says("#outcome", "Delivered")
        # In payloads that are no JSON, in the names and words of refusals.
        self.publish("plain", {"data": MARKUP})
        self.publish(MARKUP, {"data": 1})
        self.publish("quiz", {"data": 1, MARKUP: 1})
        self.browser.go("#/channel/plain")
        self.browser.says(".events", "onerror")
        self.assertEqual(self.browser.text(".events code"), MARKUP)
        self.browser.go("#/losses")
        self.browser.says(".recent", "unknown_channel")
        self.assertIn(MARKUP, self.browser.texts(".recent .where"))
        self.browser.says(".recent", "unknown field")
        for tag in ("img", "script", "b", "[onclick]", "[onerror]"):
            self.assertEqual(self.browser.all(f"body {tag}"), [], tag)
        self.check_quiet()

    def test_the_direction_of_an_event_ends_with_it(self):
        """An override of the direction turns what it stands in, and nothing beside it."""
        self.start({"quiz": 'envelope_fields = ["type", "key", "id"]', "plain": 'envelope = "raw"'})
        turned = "\u202eabc"
        self.open("#/channel/quiz")
        self.publish("quiz", {"data": {turned: turned}, "type": turned, "key": turned, "id": turned})
        self.browser.says(".payloads", turned)
        self.check_isolated(4)
        self.publish("plain", {"data": turned})
        self.browser.go("#/channel/plain")
        self.browser.says(".events", turned)
        self.check_isolated(1)
        self.publish(turned, {"data": 1})
        self.publish("quiz", {"data": 1, turned: 1})
        self.browser.go("#/losses")
        self.browser.says(".recent", turned)
        self.check_isolated(2)
        self.check_quiet()

    def test_pause_resume_and_purge_ask_first(self):
        self.start({"quiz": "ttl_ms = 600000"})
        self.open("#/channel/quiz")
        ask = lambda: self.browser.run("return document.getElementById('ask').open")
        self.browser.says("#toggle", "Pause")
        self.browser.click("#toggle")
        self.browser.says("#ask-text", "whose TTL (10 min 0 s by default) ends before you resume are lost")
        self.browser.click("#ask-no")
        wait_until("the question is gone", lambda: not ask())
        self.assertEqual(self.state("quiz"), "live")
        self.browser.click("#toggle")
        self.browser.click("#ask-yes")
        self.browser.says("#done", "Paused.")
        self.browser.says(".state", "paused")
        self.assertEqual(self.state("quiz"), "paused")

        self.publish("quiz", {"data": 1}, {"data": 2}, {"data": 3})
        self.browser.says(".tiles", "3 of 10,000")
        for refuse in (lambda: self.browser.click("#ask-no"), lambda: self.browser.keys(Keys.ESCAPE), lambda: self.browser.keys(Keys.ENTER)):
            self.browser.click("#purge")
            self.browser.says("#ask-text", "3 events")
            # What has the focus does no harm.
            self.assertEqual(self.browser.focus()["id"], "ask-no")
            refuse()
            wait_until("the question is gone", lambda: not ask())
        self.assertEqual(self.gateway.status("quiz")["queued"], 3)
        self.browser.click("#purge")
        self.browser.click("#ask-yes")
        self.browser.says("#done", "Purged: 3 events cancelled.")
        self.browser.says(".tiles", "0 of 10,000")
        self.assertEqual(self.gateway.status("quiz")["totals"]["cancelled"], 3)

        self.browser.says("#toggle", "Resume")
        self.browser.click("#toggle")
        self.browser.click("#ask-yes")
        self.browser.says("#done", "Resumed.")
        self.assertEqual(self.state("quiz"), "live")
        self.check_quiet()

    def test_by_keyboard_alone(self):
        self.start({"quiz": ""})
        self.open()
        self.browser.one("table.channels a")
        self.walk_to(lambda at: at["name"] == "quiz")
        self.browser.keys(Keys.ENTER)
        self.browser.says("h1", "quiz")
        wait_until("the buttons are there", lambda: self.browser.one("#purge").is_enabled())
        passed = self.walk_to(lambda at: at["id"] == "data")
        self.assertEqual([at["id"] for at in passed if at["id"] in ("toggle", "purge")], ["toggle", "purge"])
        self.browser.chord(Keys.CONTROL, "a")
        self.browser.keys('{"by":"keyboard"}', Keys.TAB, "typed", Keys.ENTER)
        self.browser.says("#outcome", "Delivered")
        self.browser.says(".is-mine .events", '{"by":"keyboard"}')
        # From the data itself.
        self.walk_to(lambda at: at["id"] == "data", Keys.SHIFT)
        self.browser.chord(Keys.CONTROL, "a")
        self.browser.keys('{"by":"chord"}')
        self.browser.chord(Keys.CONTROL, Keys.ENTER)
        self.browser.says(".is-mine .events", '{"by":"chord"}')
        self.walk_to(lambda at: at["id"] == "purge", Keys.SHIFT)
        self.browser.keys(Keys.ENTER)
        self.assertEqual(self.browser.focus()["id"], "ask-no")
        self.browser.keys(Keys.ESCAPE)
        wait_until("the focus is back", lambda: self.browser.focus()["id"] == "purge")
        self.check_quiet()

    def test_the_list_is_live_filtered_and_in_pages(self):
        self.start({f"show-{nth:03}": "" for nth in range(120)})
        self.open()
        self.browser.says(".pages .where", "1–50 of 120 channels")
        self.assertEqual(len(self.browser.all("tbody tr")), 50)
        self.browser.click(".pages button:last-child")
        self.browser.says(".pages .where", "51–100 of 120")
        self.browser.click(".pages button:last-child")
        self.browser.says(".pages .where", "101–120 of 120")
        self.assertFalse(self.browser.all(".pages button")[1].is_enabled())
        self.browser.click(".pages button")
        self.browser.says(".pages .where", "51–100 of 120")
        self.browser.write("#filter", "SHOW-11")
        self.browser.says(".pages .where", "1–10 of 10")
        self.assertEqual(self.browser.texts("tbody th a")[0], "show-110")
        self.browser.write("#filter", "nobody")
        self.browser.says(".none", "No channel's name or ARN contains “nobody”.")
        self.browser.write("#filter", "show-007")
        self.browser.says(".pages .where", "1–1 of 1 channel")
        # Depth and state as they change, and rates out of what has come since.
        fetch(f"{self.gateway.url}/v1/channels/show-007/pause", "POST")
        self.browser.says("tbody .state", "paused")
        self.publish("show-007", *({"data": nth, "ttl_ms": 600000} for nth in range(500)))
        self.browser.says("tbody td:nth-child(5)", "500")
        self.assertNotIn(self.cell(6), ("–", ""), "an ETA")

        def comes_in():
            self.publish("show-007", {"data": 1, "ttl_ms": 600000})
            return self.cell(3) not in ("–", "0")

        wait_until("a rate", comes_in)
        fetch(f"{self.gateway.url}/v1/channels/show-007/resume", "POST")
        wait_until("a rate out", lambda: self.cell(4) not in ("–", "0"))
        self.check_quiet()

    def cell(self, nth):
        return self.browser.text(f"tbody td:nth-child({nth})")

    def test_refusals_losses_and_configuration(self):
        self.start(
            {"quiz": 'queue_max_events = 2\noverflow = "drop_oldest"'},
            '[eventbridge]\nsecret = "s3cret-of-the-eventbridge-door"',
        )
        self.publish("quiz", {"data": "x" * 2000})
        fetch(f"{self.gateway.url}/v1/channels/quiz/pause", "POST")
        self.publish("quiz", {"data": 1}, {"data": 2}, {"data": 3})
        self.open("#/losses")
        self.browser.says(".recent", "event_too_large")
        self.browser.says(".recent", "quiz")
        self.browser.says(".reasons", "event_too_large")
        self.browser.says("[aria-labelledby=lost-title]", "evicted")
        self.browser.go("#/channel/quiz")
        self.browser.says("[aria-labelledby=refused-title]", "event_too_large")
        self.browser.go("#/config")
        self.browser.says(".sections", "[eventbridge]")
        self.browser.says("[aria-labelledby=eventbridge-title]", "[redacted]")
        self.assertNotIn("s3cret", self.browser.run("return document.documentElement.outerHTML"))
        self.check_quiet()

    def test_dead_letters_are_replayed_and_discarded(self):
        self.start({"quiz": ""})
        fault = {"kind": "error", "status": 403, "code": "AccessDeniedException", "message": MARKUP}
        fetch(f"{self.gateway.emulator.url}/_local/faults", "POST", json.dumps(fault))
        for nth in range(2):
            self.publish("quiz", {"data": f"letter {nth}", "type": "t"})
            self.gateway.drained("quiz")
        fetch(f"{self.gateway.emulator.url}/_local/faults", "DELETE")
        self.open("#/letters")
        self.browser.says(".letters", "letter 1")
        self.assertEqual(len(self.browser.all(".letters li")), 2)
        self.browser.click(".letters li:first-child button.danger")
        self.browser.click("#ask-no")
        self.browser.click(".letters li:first-child button.danger")
        self.browser.click("#ask-yes")
        self.browser.says(".outcome", "Discarded: 1 dead letter.")
        wait_until("one is left", lambda: len(self.browser.all(".letters li")) == 1)
        self.browser.click(".letters li button:first-child")
        self.browser.click("#ask-yes")
        self.browser.says(".outcome", "Replayed: 1 event.")
        self.browser.says(".none", "There are none.")
        self.gateway.drained("quiz")
        self.assertIn("letter 1", self.gateway.emulator.taken("quiz")[-1])
        self.check_quiet()

    def test_where_there_are_keys_the_page_asks_for_one(self):
        operator, reader = "operator-" + "k" * 40, "reader-" + "k" * 40
        self.start({"quiz": ""}, key_table("operator", operator, ["admin"]) + key_table("reader", reader, ["read"]))
        self.browser.open(self.url + "#/channel/quiz")
        self.asked_for_a_key(True)
        self.browser.look(*PHONE, "dark")
        self.check_fits(PHONE[0])
        self.check_contrast_of_all()
        self.browser.look_as_usual()
        self.browser.write("#unlock-key", reader)
        self.browser.click("#unlock button")
        self.browser.says("#trouble", "reader has not the scope admin")
        # By keyboard, too.
        self.browser.write("#unlock-key", operator)
        self.browser.keys(Keys.ENTER)
        self.browser.says(".live", "live")
        self.asked_for_a_key(False)
        self.browser.write("#data", '"through the page"')
        self.browser.click("#send")
        self.browser.says(".payload.is-mine .events", "through the page")
        self.browser.open(self.url + "#/config")
        self.browser.says("main", "operator")
        everything = self.browser.run("return document.documentElement.outerHTML")
        self.assertNotIn("kkkk", everything)
        self.browser.click("#forget")
        self.asked_for_a_key(True)
        self.assertEqual(self.browser.recorded("violations"), [])
        self.assertEqual(self.browser.recorded("errors"), [])

    def asked_for_a_key(self, asked):
        wait_until(f"a key is asked for: {asked}", lambda: self.browser.one("#unlock").is_displayed() == asked)
        self.assertEqual(self.browser.one("#main").is_displayed(), not asked)

    def test_an_event_with_an_id_and_a_time(self):
        self.start({"quiz": 'envelope_fields = ["id"]'})
        self.open("#/channel/quiz")
        self.browser.write("#id", "cue-1")
        self.browser.run("document.getElementById('at').value = '2020-01-02T03:04:05'")
        self.browser.click("#send")
        self.browser.says("#outcome", "Delivered: the payload that carries it came out after")
        self.assertEqual(json.loads(self.gateway.emulator.taken("quiz")[-1])["e"], [{"d": {"hello": "viewers"}, "i": "cue-1"}])
        # The same id again is a duplicate, and no payload is waited for.
        self.browser.click("#send")
        self.browser.says("#outcome", "A duplicate")
        # A time ahead is kept: the event is scheduled.
        self.browser.write("#id", "cue-2")
        self.browser.run("""
            const soon = new Date(Date.now() + 3600e3 - new Date().getTimezoneOffset() * 60e3);
            document.getElementById('at').value = soon.toISOString().slice(0, 19);
        """)
        self.browser.click("#send")
        wait_until("it is scheduled", lambda: self.gateway.status("quiz")["queued"] == 1)
        self.check_quiet()

    def test_a_real_channel_is_called_real(self):
        self.start({"quiz": ""}, "", CUEGATE__UPSTREAM__MODE="aws", CUEGATE__UPSTREAM__ENDPOINT_URL="http://127.0.0.1:9", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
        # By its address: nothing is known of the gateway when the page is made.
        self.open("#/channel/quiz")
        self.browser.says("#mode", "every payload reaches real viewers")
        self.assertIn("its viewers receive the event", self.browser.text("#real"))
        self.check_quiet()

    def test_a_failed_call_is_shown_until_it_is_over(self):
        self.start({"quiz": ""})
        shown = lambda error, state: self.browser.run("""
            const fetch_ = window.fetch;
            const [at, state] = arguments;
            window.fetch = async (path, options) => {
              const response = await fetch_(path, options);
              if (!path.endsWith("/channels/quiz")) return response;
              const report = await response.json();
              report.state = state;
              report.totals.accepted = 4711;
              report.last_error = { code: null, status: 503, message: "broken", at_ms: at };
              return new Response(JSON.stringify(report));
            };
        """, error, state)
        for age_ms, state, visible in [(1000, "live", True), (120_000, "failing", True), (120_000, "live", False)]:
            with self.subTest(age_ms=age_ms, state=state):
                self.open("#/channel/quiz")
                shown(self.browser.run("return Date.now()") - age_ms, state)
                # The report above is drawn.
                self.browser.says("main", "4,711")
                notes = self.browser.run("return [...document.querySelectorAll('.note.bad')].filter((note) => !note.hidden).map((note) => note.textContent)")
                self.assertEqual(any("broken" in note for note in notes), visible, notes)

    def test_a_hidden_page_asks_nothing(self):
        self.start({"quiz": ""})
        self.open("#/channel/quiz")
        self.browser.says(".live", "live")
        asking = "return recorded.timers.size > 0 || recorded.streams.some((s) => !s.aborted)"
        self.assertTrue(self.browser.run(asking))
        self.hide(True)
        wait_until("it asks nothing", lambda: not self.browser.run(asking))
        self.publish("quiz", {"data": "meanwhile"})
        self.gateway.drained("quiz")
        self.assertNotIn("meanwhile", self.browser.text(".payloads"))
        self.hide(False)
        self.browser.says(".payloads", "meanwhile")
        self.check_quiet()

    def hide(self, hidden):
        self.browser.run("""
            Object.defineProperty(document, 'hidden', { configurable: true, value: arguments[0] });
            document.dispatchEvent(new Event('visibilitychange'));
        """, hidden)

    def test_a_gateway_that_is_gone_is_told(self):
        self.start({"quiz": ""})
        self.open("#/channel/quiz")
        self.browser.says(".tiles", "0 of 10,000")
        self.gateway.stop()
        self.browser.says("#trouble", "The gateway does not answer. What is shown is from")
        self.assertTrue(self.browser.one("#trouble").is_displayed())

    def test_in_dark_and_light_on_a_desk_and_on_a_phone(self):
        self.start(
            {"quiz": "ttl_ms = 600000", "score": 'envelope_fields = ["type", "key"]', "chat": "ttl_ms = 600000",
             "poll-with-a-rather-long-name-for-a-channel": "", "backstage": "", "replay": ""},
        )
        self.a_show()
        if os.environ.get("CUEGATE_SCREENSHOTS"):
            self.go_on()
        for scheme in ("light", "dark"):
            for size in (DESKTOP, PHONE):
                self.browser.look(*size, scheme)
                for hash_, there in [
                    ("#/channels", ("tbody", "paused")), ("#/channel/score", (".is-mine", "Your test event")),
                    ("#/losses", (".recent", "would")), ("#/letters", (".letters", "access_denied")), ("#/config", (".sections", "ttl_ms")),
                ]:
                    with self.subTest(scheme=scheme, size=size, view=hash_):
                        self.open(hash_)
                        if "score" in hash_:
                            self.browser.says(".tiles", "of")
                            self.browser.click("#send")
                        self.browser.says(*there)
                        self.check_fits(size[0])
                        self.check_contrast()
                        self.check_quiet()
                        self.picture(hash_.split("/")[1], scheme, "phone" if size == PHONE else "desktop")
                        self.browser.look(*size, scheme)
            with self.subTest(scheme=scheme, view="a question"):
                self.open("#/channel/chat")
                self.browser.click("#purge")
                self.browser.says("#ask-text", "queued")
                self.check_fits(PHONE[0])
                self.check_contrast()
        self.check_quiet()

    def test_the_picture_in_dark_and_light_on_a_desk_and_on_a_phone(self):
        self.start({"quiz": 'envelope_fields = ["type", "key"]\ncompress = "deflate"'})
        self.browser.look(*DESKTOP, "light")
        self.watch("quiz")
        for nth, answer in enumerate("ABCAB"):
            answers = {"data": {"question": 4, "answer": answer}, "type": "quiz.answer"}
            score = {"data": {"home": nth, "away": 1}, "type": "score", "key": "match-1", "merge": "replace"}
            self.publish("quiz", answers, score)
            self.gateway.drained("quiz")
        self.browser.click("#send")
        self.browser.says("#chips .is-mine", "viewers")
        self.browser.run("document.activeElement.blur(); scrollTo(0, 0);")
        if os.environ.get("CUEGATE_SCREENSHOTS"):
            self.browser.screenshot(SCREENSHOTS / "console-watch-light-desktop.png")
        # All of it by keyboard, from the button that has it shown.
        self.walk_to(lambda at: at["id"] == "watch")
        passed = self.walk_to(lambda at: at["id"] == "heard")
        self.assertEqual([at["id"] for at in passed], ["back", "newest", "heard"])
        for scheme in ("light", "dark"):
            for size in (DESKTOP, PHONE):
                with self.subTest(scheme=scheme, size=size):
                    self.browser.look(*size, scheme)
                    self.publish("quiz", {"data": "long " * 150, "key": "a-rather-long-key" * 5, "type": scheme})
                    self.browser.says("#chips li:last-child .tag", scheme)
                    self.check_fits(size[0])
                    self.check_contrast()
                    # It stays within the picture.
                    over = "return [...document.querySelectorAll('.chips li')].map((e) => e.getBoundingClientRect().right - document.querySelector('.screen').getBoundingClientRect().right)"
                    self.assertLessEqual(max(self.browser.run(over), default=0), 0)
        self.check_quiet()

    def a_show(self):
        """Channels in every state, with payloads, refusals and a dead letter."""
        faults = f"{self.gateway.emulator.url}/_local/faults"
        refused = {"kind": "error", "status": 403, "code": "AccessDeniedException", "message": "not authorized"}
        fetch(faults, "POST", json.dumps(refused))
        self.publish("replay", {"data": {"lost": True}, "type": "quiz.answer"})
        self.gateway.drained("replay")
        fetch(faults, "DELETE")
        self.gateway.emulator.stream("backstage", "offline")
        self.publish("backstage", {"data": "hidden", "ttl_ms": 600000})
        fetch(f"{self.gateway.url}/v1/channels/chat/pause", "POST")
        self.publish("chat", *({"data": f"message {nth}"} for nth in range(700)))
        self.publish("chat", {"data": 1, "ttl_ms": 1})
        self.publish("quizz", {"data": 1})
        self.publish("quiz", {"data": {"question": 4, "text": "Which of these four is a prime number?"}, "type": "quiz.question"})
        self.publish("score", *({"data": {"home": nth}, "type": "score", "key": "score:home"} for nth in range(40)))
        self.publish("score", *({"data": nth, "type": "vote", "key": "vote:a", "merge": "sum"} for nth in range(40)))
        self.gateway.drained("score")
        self.gateway.drained("quiz")
        wait_until("it is known to be offline", lambda: self.state("backstage") == "offline")

    def go_on(self):
        """Producers that go on, so that the pictures show a show."""
        over = threading.Event()

        def produce():
            while not over.wait(0.25):
                votes = ({"data": 1, "type": "vote", "key": f"vote:{each}", "merge": "sum"} for each in random.choices("ABCD", k=40))
                self.publish("score", *votes, {"data": {"home": 2, "away": 1}, "type": "score", "key": "score", "merge": "replace"})
                self.publish("quiz", *({"data": {"answer": each}, "type": "quiz.answer"} for each in random.choices("ABCD", k=3)))

        producer = threading.Thread(target=produce)
        producer.start()
        self.addCleanup(producer.join)
        self.addCleanup(over.set)

    def picture(self, view, scheme, place):
        if not os.environ.get("CUEGATE_SCREENSHOTS") or (view, scheme, place) not in PICTURES:
            return
        middle = PICTURES[view, scheme, place]
        if view == "channel" and middle is None:
            points = "return document.querySelector('polyline').getAttribute('points')?.split(' ').length >= arguments[0]"
            wait_until("there is a chart", lambda: self.browser.run(points, HISTORY), HISTORY * 3)
            self.browser.click("#send")
            self.browser.says(".payload.is-mine", "Your test event")
        elif middle is None:
            wait_until("a rate", lambda: self.browser.text("tbody tr:last-child td:nth-child(3)") not in ("–", "0"))
        if view == "channels":
            self.browser.look(DESKTOP[0], 460, scheme)
        self.browser.run("document.activeElement.blur(); scrollTo(0, 0);")
        if middle:
            self.browser.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", middle)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.browser.screenshot(SCREENSHOTS / f"console-{view}-{scheme}-{place}.png")


if __name__ == "__main__":
    unittest.main()

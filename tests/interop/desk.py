"""A page of the console in a real browser, before a gateway of its own, and what is checked of any page."""

import json
import unittest
import urllib.parse

from selenium.webdriver.common.keys import Keys

from browser import Browser
from programs import Gateway, fetch, wait_until

# Every visible text that overrides its direction, with how far that reaches.
TURNED = """
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const [text, parent] = [walker.currentNode.textContent, walker.currentNode.parentElement];
  if (!text.includes('\\u202e') || !parent.checkVisibility()) continue;
  found.push([parent.tagName + '.' + parent.className, getComputedStyle(parent).unicodeBidi]);
}
return found;
"""
# WCAG 2 AA, for text of ordinary size.
CONTRAST = 4.5


class Desk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.quit)

    def start(self, channels, rest="", **variables):
        gateway = Gateway(channels, rest, **variables)
        self.addCleanup(gateway.close)
        self.addCleanup(self.browser.look_as_usual)
        self.gateway = gateway
        self.url = f"http://{gateway.addresses.admin}/"

    def open(self, hash_=""):
        self.browser.open(self.url + hash_)
        # The first look is over.
        self.browser.says("#version", ".")

    def publish(self, channel, *events):
        path = f"/v1/channels/{urllib.parse.quote(channel, safe='')}/events"
        return fetch(self.gateway.url + path, "POST", json.dumps(events))

    def state(self, channel):
        return self.gateway.status(channel)["state"]

    def check_quiet(self):
        """Nothing ran that should not, nothing was blocked, nothing failed."""
        self.assertEqual(self.browser.recorded("violations"), [])
        self.assertEqual(self.browser.recorded("errors"), [])
        self.assertEqual(self.browser.recorded("dialogs"), 0)
        self.assertEqual(self.browser.log(), [])

    def walk_to(self, is_there, held=None):
        """Tabs on until there; everything on the way has a name and shows that it has the focus."""
        passed = []
        while len(passed) < 40:
            if held:
                self.browser.chord(held, Keys.TAB)
            else:
                self.browser.keys(Keys.TAB)
            at = self.browser.focus()
            if at["tag"] != "BODY":
                self.assertTrue(at["name"], at)
                self.assertTrue(at["visible"] and at["outline"] >= 2, at)
            passed.append(at)
            if is_there(at):
                return passed
        self.fail(f"not there after {[at['id'] or at['name'] for at in passed]}")

    def check_fits(self, width):
        wide = self.browser.run("return [document.documentElement.scrollWidth, innerWidth]")
        self.assertLessEqual(wide[0], wide[1])
        self.assertEqual(wide[1], width)

    def check_contrast(self):
        self.assertGreater(len(self.browser.contrasts()), 10)
        self.check_contrast_of_all()

    def check_contrast_of_all(self):
        found = self.browser.contrasts()
        self.assertEqual([each for each in found if each[0] < CONTRAST], [])

    def watch(self, channel):
        self.open(f"#/channel/{channel}")
        self.browser.click("#watch")
        self.picture_goes_on()

    def picture_goes_on(self):
        at = lambda: self.browser.run("return document.querySelector('video').currentTime")
        began = at()
        wait_until("the picture goes on", lambda: at() > began + 0.5, 60)

    def check_isolated(self, least):
        """Every text with such a character is in an element of its own direction, and there are as many."""
        found = self.browser.run(TURNED)
        self.assertGreaterEqual(len(found), least, found)
        self.assertEqual({style for _, style in found} - {"isolate", "isolate-override", "plaintext"}, set(), found)

"""A real headless Chromium, and what tests ask of its pages. Nothing is asserted here."""

import shutil

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from programs import wait_until

# Runs before the page's own scripts: what went wrong, what still waits.
RECORDER = """
window.recorded = { violations: [], errors: [], dialogs: 0, timers: new Set(), streams: [] };
document.addEventListener('securitypolicyviolation', (e) =>
  recorded.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
addEventListener('error', (e) => recorded.errors.push(String(e.message)));
addEventListener('unhandledrejection', (e) => recorded.errors.push(String(e.reason)));
for (const name of ['alert', 'confirm', 'prompt']) window[name] = () => { recorded.dialogs++; };
const [set, clear] = [window.setTimeout, window.clearTimeout];
window.setTimeout = (work, ms, ...rest) => {
  const timer = set(() => { recorded.timers.delete(timer); work(...rest); }, ms);
  recorded.timers.add(timer);
  return timer;
};
window.clearTimeout = (timer) => { recorded.timers.delete(timer); clear(timer); };
const ask = window.fetch;
window.fetch = async (path, asked = {}) => {
  const answer = await ask(path, asked);
  if (answer.headers.get('content-type') === 'text/event-stream') recorded.streams.push(asked.signal);
  return answer;
};
"""

# Every visible text, and how its colour stands out from what is behind it (WCAG 2).
CONTRASTS = """
const parse = (text) => {
  const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
  return { rgb: [r, g, b], a };
};
const light = (rgb) => {
  const [r, g, b] = rgb.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const { rgb, a } = parse(getComputedStyle(at).backgroundColor);
    if (a === 1) return rgb;
    if (a !== 0) throw new Error('half transparent: ' + at.className);
  }
  return [255, 255, 255];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.textContent.trim();
  const parent = walker.currentNode.parentElement;
  if (!text || !parent.checkVisibility({ visibilityProperty: true }) || parent.closest('.hidden, .skip, :disabled')) continue;
  const style = getComputedStyle(parent);
  const [a, b] = [light(parse(style.color).rgb), light(behind(parent))].sort((a, b) => b - a);
  found.push([(a + 0.05) / (b + 0.05), text.slice(0, 40), parent.className]);
}
return found;
"""

# The name that a screen reader says of the element that has the focus, and its outline.
FOCUS = """
const at = document.activeElement;
const named = (at.getAttribute('aria-label') || [...(at.labels ?? [])].map((l) => l.textContent).join(' ')
  || at.textContent || '').trim();
const style = getComputedStyle(at);
return { id: at.id, tag: at.tagName, name: named, visible: at.matches(':focus-visible'),
  outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth) };
"""


class Browser:
    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        # Containers run tests as root and have a small /dev/shm.
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                         "--force-color-profile=srgb", "--hide-scrollbars", "--lang=en"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": RECORDER})

    def quit(self):
        self.driver.quit()

    def open(self, url):
        # Another hash alone would not load the page anew.
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(url)

    def go(self, hash_):
        self.run("location.hash = arguments[0]", hash_)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def recorded(self, what):
        return self.run(f"return recorded.{what}")

    def log(self):
        """What the page's console says, of whatever level but what it says in passing."""
        return [entry for entry in self.driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return wait_until(f"{selector} is there", lambda: self.all(selector))[0]

    def text(self, selector):
        """What is in the document; an element that goes meanwhile is looked for again."""
        return self.run("return document.querySelector(arguments[0])?.textContent ?? null", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def says(self, selector, part):
        """Waits until the element's text contains this."""
        try:
            return wait_until(f"{selector} says {part!r}", lambda: part in (self.text(selector) or ""))
        except AssertionError as late:
            raise AssertionError(f"{late}; it says {self.text(selector)!r}") from None

    def click(self, selector):
        element = self.one(selector)
        wait_until(f"{selector} can be used", element.is_enabled)
        self.run("arguments[0].scrollIntoView({ block: 'center' })", element)
        element.click()

    def write(self, selector, text):
        element = self.one(selector)
        element.clear()
        element.send_keys(text)

    def choose(self, selector, value):
        Select(self.one(selector)).select_by_value(value)

    def keys(self, *keys):
        """To whatever has the focus."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def chord(self, held, *keys):
        webdriver.ActionChains(self.driver).key_down(held).send_keys(*keys).key_up(held).perform()

    def focus(self):
        return self.run(FOCUS)

    def contrasts(self):
        return self.run(CONTRASTS)

    def look(self, width, height, scheme):
        """A window of this size, for somebody who prefers this colour scheme."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        })
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def look_as_usual(self):
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def screenshot(self, file):
        self.driver.save_screenshot(str(file))

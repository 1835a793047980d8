"""A question of a quiz: it opens, many players answer, it closes. Every answer is an event of its own, and the gateway
merges them by `sum`, so that the payloads carry tallies."""

import argparse
import json
import random
import threading
import time

import cuegate

CHOICES = "ABCD"
# Answers in a message: at 50,000 a second, 100 messages a second.
BATCH = 500
# Messages that may be unacknowledged. They hold fewer events than the gateway remembers ids (10,000), so what a lost
# connection makes the session send again counts once.
WINDOW = 16


class Tally(threading.Thread):
    """A viewer: adds up what the payloads carry, until the question closes."""

    def __init__(self, client, channel, question, key):
        super().__init__(daemon=True)
        self.updates = client.payloads(channel)
        self.question, self.key = question, key
        self.counts, self.payloads, self.closed = dict.fromkeys(CHOICES, 0), 0, None

    def run(self):
        for update in self.updates:
            if not isinstance(update, cuegate.Payload):
                raise SystemExit(f"the viewer missed payloads: {update}")
            self.payloads += 1
            for item in json.loads(update.text)["e"]:
                if item.get("t") == "quiz.answer" and item.get("k") == self.key:
                    for choice, count in item["d"].items():
                        self.counts[choice] += count
                elif item.get("t") == "quiz.close" and item["d"]["question"] == self.question:
                    self.closed = item["d"]
                    return


def answers(key, number):
    """So many answers, and how they are spread."""
    chosen = random.choices(CHOICES, weights=[4, 3, 2, 1], k=number)
    return [{"data": {choice: 1}, "type": "quiz.answer", "key": key, "merge": "sum"} for choice in chosen], chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--channel", default="demo")
    parser.add_argument("--rate", type=int, default=50_000, help="answers a second")
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()

    client = cuegate.Client(arguments.url)
    question = time.time_ns() // 1_000_000
    key = f"answers:{question}"
    tally = Tally(client, arguments.channel, question, key)
    tally.start()

    opened = {"data": {"question": question}, "type": "quiz.open", "priority": "high"}
    client.publish(arguments.channel, opened, retry_for=10)

    total = int(arguments.rate * arguments.seconds)
    sent, refused = dict.fromkeys(CHOICES, 0), 0
    began = time.monotonic()
    with client.session(arguments.channel, window=WINDOW) as session:
        receipts = []
        for first in range(0, total, BATCH):
            events, chosen = answers(key, min(BATCH, total - first))
            for choice in chosen:
                sent[choice] += 1
            receipts.append(session.send(events))
            ahead = first / arguments.rate - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)
        for receipt in receipts:
            refused += len(receipt.result().rejected)
    took = time.monotonic() - began

    # It has the key of the answers, so it leaves after all of them, though its priority is higher: whoever sees the
    # question close has the final tally.
    closed = {"data": {"question": question, "answers": total}, "type": "quiz.close", "key": key, "priority": "high"}
    client.publish(arguments.channel, closed, retry_for=10)
    tally.join(timeout=60)

    print(f"sent      {total} answers in {took:.1f} s, {total / took:.0f} a second: {sent}")
    print(f"payloads  {tally.payloads}, with the tally {tally.counts}")
    exact = tally.closed is not None and tally.counts == sent and tally.closed["answers"] == total and not refused
    print("exact" if exact else f"NOT exact: {refused} refused, closed: {tally.closed}")
    raise SystemExit(0 if exact else 1)


if __name__ == "__main__":
    main()

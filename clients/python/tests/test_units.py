"""What decides, apart from sockets and clocks: waits, refusals, messages that are not acknowledged, texts of
events, streams of payloads. What the client does with a gateway is in clients/scenarios.json."""

import os
import random
import unittest
from datetime import datetime, timezone

from cuegate import Invalid, Json, Ndjson, Notice, Payload, Rejected, Unavailable, Unreachable, UsageError
from cuegate import _backoff, _errors, _events, _limits
from cuegate._link import Link
from cuegate._outbox import Acknowledged, Garbled, Outbox
from cuegate._payloads import Parser
from cuegate._transport import Transport

LOST = Unreachable("http://gateway", "reset")


class Waits(unittest.TestCase):
    def test_they_double_and_stay_within_their_bounds(self):
        for nth, chance, expected in [(0, 0, 0.1), (0, 1, 0.2), (1, 0, 0.2), (3, 0.5, 1.2), (30, 0, 5), (2**32, 1, 10)]:
            self.assertAlmostEqual(_backoff.wait(nth, None, chance), expected, msg=(nth, chance))

    def test_what_the_gateway_asks_for_is_never_undercut(self):
        for nth, chance, expected in [(0, 0, 3.1), (0, 1, 3.2), (9, 1, 3.2)]:
            self.assertAlmostEqual(_backoff.wait(nth, 3, chance), expected, msg=(nth, chance))
        self.assertAlmostEqual(_backoff.wait(0, 1e12, 1), _limits.RETRY_AFTER_MAX_S + _limits.BACKOFF_FIRST_S)

    def test_tries_end_in_time_and_where_none_can_help(self):
        now = [0.0]
        retry = _backoff.Retry(1, clock=lambda: now[0], chance=lambda: 0)
        self.assertAlmostEqual(retry.after(LOST), 0.1)
        now[0] = 0.9
        self.assertIsNone(retry.after(LOST))
        self.assertIsNone(_backoff.Retry(1).after(Invalid("malformed", 400, "")))
        self.assertIsNone(_backoff.Retry(0).after(LOST))

    def test_they_grow_until_a_connection_was_a_good_one(self):
        link = Link(3600)
        waits = [link.lost(0, LOST, 0), link.lost(0, LOST, 0)]
        link.connected(0)
        waits.append(link.lost(1, LOST, 0))  # It opened and broke.
        link.connected(0)
        link.progressed()
        waits += [link.lost(1, LOST, 0), link.lost(1, LOST, 0)]
        link.connected(0)
        waits.append(link.lost(_limits.STABLE_S, LOST, 0))  # It stood idle.
        for wait, expected in zip(waits, [0.1, 0.2, 0.4, 0.1, 0.2, 0.1]):
            self.assertAlmostEqual(wait, expected)

    def test_a_session_gives_up_in_time_and_where_no_try_can_help(self):
        link, away, tries = Link(240), 0.0, 0
        while (wait := link.lost(away, LOST, 1)) is not None:
            away, tries = away + wait, tries + 1
        self.assertTrue(225 < away <= 240 and tries < 40, (away, tries))
        self.assertIsNone(Link(240).lost(0, _errors.refused(404, {}, b'{"code":"unknown_channel"}'), 0))
        draining = _errors.refused(503, {}, b'{"code":"draining","retry_after_ms":5000}')
        self.assertIsInstance(draining, Unavailable)
        self.assertAlmostEqual(Link(240).lost(0, draining, 0), 5.1)


def outbox(resend, messages):
    """With so many messages, tagged and worded by their number from 1."""
    made = Outbox(resend)
    for number in range(1, messages + 1):
        made.push(str(number).encode(), number)
    return made


def send_all(made, now=0.0):
    return [int(text) for text in iter(lambda: made.next(now), None)]


def shown(settled):
    return [
        (tag, [one.code for one in told.rejected] if isinstance(told, Acknowledged) else ["lost"]) for tag, told in settled
    ]


class Outboxes(unittest.TestCase):
    def test_acknowledgements_settle_in_order_with_their_refusals(self):
        made = outbox(True, 4)
        self.assertEqual(send_all(made), [1, 2, 3, 4])
        full = '{"msg":2,"index":7,"code":"queue_full","detail":"full","retry_after_ms":40}'
        self.assertEqual(made.hear(full, 0), [])
        settled = made.hear('{"ack":2,"queued":9}', 0)
        self.assertEqual(settled[1][1], Acknowledged((Rejected(7, "queue_full", "full", 0.04),), 9))
        self.assertEqual(shown(settled), [(1, []), (2, ["queue_full"])])
        self.assertEqual(made.hear('{"ack":2}', 0), [])
        self.assertEqual(shown(made.hear('{"ack":4}', 0)), [(3, []), (4, [])])
        self.assertEqual(len(made), 0)

    def test_what_a_lost_connection_leaves_is_sent_again_first_and_counted_anew(self):
        made = outbox(True, 3)
        send_all(made)
        made.hear('{"ack":1}', 0)
        made.hear('{"msg":2,"index":0,"code":"overloaded"}', 0)
        made.push(b"4", 4)
        self.assertEqual(made.disconnected(LOST), [])
        self.assertEqual(send_all(made), [2, 3, 4])
        # The refusal of before is void: the event was tried again.
        self.assertEqual(shown(made.hear('{"ack":3}', 0)), [(2, []), (3, []), (4, [])])

    def test_without_resend_what_was_sent_is_unknown_and_the_rest_goes_on(self):
        made = outbox(False, 3)
        made.next(0), made.next(0)
        self.assertEqual(shown(made.disconnected(LOST)), [(1, ["lost"]), (2, ["lost"])])
        self.assertEqual(send_all(made), [3])

    def test_a_message_that_is_refused_for_good_is_not_sent_again(self):
        made = outbox(True, 3)
        send_all(made)
        made.hear('{"ack":1}', 0)
        self.assertEqual([tag for tag, _ in made.refuse_first(_errors.too_big(""))], [2])
        made.disconnected(LOST)
        self.assertEqual(send_all(made), [3])
        self.assertEqual(outbox(True, 1).refuse_first(_errors.too_big("")), [])
        self.assertEqual(shown(made.abandon(LOST)), [(3, ["lost"])])

    def test_answers_that_make_no_sense_end_the_connection(self):
        wrong = ["nonsense", "[]", "{}", "3", '{"ack":3}', '{"ack":-1}', '{"ack":true}', '{"msg":3,"index":0,"code":"x"}']
        for text in [*wrong, '{"msg":0,"index":0,"code":"x"}', '{"msg":1,"index":0}']:
            made = outbox(True, 3)
            made.next(0), made.next(0)
            with self.assertRaises(Garbled, msg=text):
                made.hear(text, 0)

    def test_silence_is_counted_from_the_last_acknowledgement(self):
        made = outbox(True, 2)
        self.assertIsNone(made.overdue_at(30))
        made.next(1)
        made.next(5)
        self.assertEqual(made.overdue_at(30), 31)
        made.hear('{"ack":1}', 6)
        self.assertEqual(made.overdue_at(30), 36)
        made.hear('{"ack":2}', 7)
        self.assertIsNone(made.overdue_at(30))

    def test_at_random_every_message_is_taken_once_and_settled_once(self):
        """Connections break with messages and acknowledgements on their way."""
        seed = int(os.environ.get("CUEGATE_TEST_SEED", random.getrandbits(32)))
        for nth in range(100):
            with self.subTest(seed=seed, nth=nth):
                self.break_connections(random.Random(seed + nth))

    def break_connections(self, chance):
        made, pushed, settled, taken, way, handled = Outbox(True), 0, [], {}, [], 0
        while len(settled) < 60:
            match chance.randrange(10):
                case 0 | 1 | 2 if pushed < 60:
                    pushed += 1
                    made.push(str(pushed).encode(), pushed)
                case 3 | 4 | 5 if (text := made.next(0)) is not None:
                    way.append(int(text))
                case 6 | 7:
                    many = chance.randint(0, len(way))
                    handled += many
                    taken |= dict.fromkeys(way[:many])
                    way = way[many:]
                case 8:
                    settled += [tag for tag, _ in made.hear(f'{{"ack":{handled}}}', 0)]
                case 9:
                    # What was on its way is handled in part, and its acknowledgement is lost.
                    taken |= dict.fromkeys(way[: chance.randrange(4)])
                    way, handled = [], 0
                    self.assertEqual(made.disconnected(LOST), [])
        self.assertEqual(settled, list(range(1, 61)))
        self.assertEqual(list(taken), settled)


class Texts(unittest.TestCase):
    def test_events_without_an_id_are_given_one_where_they_can_be_sent_again(self):
        ids = _events.Ids(0xABC)
        for events, source, expected in [
            ({"data": 1}, None, '{"data":1}'),
            ({"data": 1}, ids, '{"data":1,"id":"0000000000000abc-0"}'),
            ([{"data": 1, "id": "own"}, {"data": 2}], ids, '[{"data":1,"id":"own"},{"data":2,"id":"0000000000000abc-1"}]'),
            (Json('{"data":3}'), ids, '{"data":3}'),
        ]:
            self.assertEqual(_events.message(events, source).decode(), expected)

    def test_bodies(self):
        at = datetime(2026, 11, 22, 20, tzinfo=timezone.utc)
        for events, expected in [
            ({"data": "é\n", "at": at}, ("application/json", '{"data":"é\\n","at":"2026-11-22T20:00:00+00:00"}')),
            ([{"data": 1}, {"data": 2}], ("application/x-ndjson", '{"data":1}\n{"data":2}\n')),
            (Json("{"), ("application/json", "{")),
            (Ndjson("1\n2"), ("application/x-ndjson", "1\n2")),
        ]:
            content_type, body = _events.body(events)
            self.assertEqual((content_type, body.decode()), expected)

    def test_what_is_not_json_is_the_callers_mistake(self):
        loop = {}
        loop["data"] = loop
        for event in [{"data": float("nan")}, {"data": {1, 2}}, {"data": "\ud800"}, {"data": datetime(2026, 1, 1)}, loop]:
            with self.assertRaises(UsageError):
                _events.message(event, _events.Ids(0))
        for events in [[], [7], Ndjson("{}"), {"data": "x" * _limits.MESSAGE_MAX_BYTES}]:
            with self.assertRaises(UsageError):
                _events.message(events, _events.Ids(0))


class Addresses(unittest.TestCase):
    def test_they_are_checked_before_anything_is_sent(self):
        for url in ["http://127.0.0.1:8080", "https://cues.example/", "http://[::1]:8080/base/"]:
            self.assertEqual(Transport(url, "cuegate_0123", None, 5, 35).url, url.rstrip("/"))
        for url in ["127.0.0.1:8080", "ftp://example", "http://example/?a=b", "http://", "", "http://a:b"]:
            with self.assertRaises(UsageError, msg=url):
                Transport(url, None, None, 5, 35)
        for key in ["", "a b", "é", "a\nb"]:
            with self.assertRaises(UsageError, msg=key):
                Transport("http://example", key, None, 5, 35)
        with self.assertRaises(UsageError):
            Transport("https://example", None, "/does/not/exist", 5, 35)


class Payloads(unittest.TestCase):
    def test_events_come_out_whole(self):
        stream = b': hello\n\nid: 1\ndata: {"a":1}\n\nevent: lagged\r\ndata: {"missed":3}\r\n\r\nid: 2\ndata: two\ndata:lines\n\n'
        parser = Parser()
        got = [update for line in stream.splitlines(keepends=True) if (update := parser.line(line))]
        self.assertEqual(got, [Payload(1, '{"a":1}'), Notice("lagged", '{"missed":3}'), Payload(2, "two\nlines")])

    def test_a_stream_without_an_end_is_no_stream_of_payloads(self):
        parser = Parser()
        half = b"data:" + b"x" * (_limits.LINE_MAX_BYTES // 2)
        parser.line(half)
        with self.assertRaises(ValueError):
            parser.line(half)
        for _ in range(10):
            Parser().line(b": alive\n")


if __name__ == "__main__":
    unittest.main()

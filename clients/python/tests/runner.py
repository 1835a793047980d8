"""Does the steps of `clients/scenarios.json` with this client: `runner.py [--plain] URL`. A step is a line of
standard input, and what came of it a line of standard output. What should have come of it, the caller knows."""

import asyncio
import inspect
import json
import sys
import threading

import cuegate

# What is an argument of `open`, and how its step names it.
OPTIONS = {"window": "window", "window_bytes": "window_bytes", "resend": "resend"}
TIMES = {"ack_timeout_ms": "ack_timeout", "give_up_after_ms": "give_up_after"}
FAMILIES = {
    cuegate.Invalid: "invalid",
    cuegate.Denied: "denied",
    cuegate.NotFound: "not_found",
    cuegate.Conflict: "conflict",
    cuegate.Busy: "busy",
    cuegate.Unavailable: "unavailable",
}
KINDS = {cuegate.UsageError: "usage", cuegate.Unreachable: "unreachable", cuegate.Unexpected: "unexpected"}


async def got(value):
    """What asyncio's client is awaited for, and the plain one gives."""
    return await value if inspect.isawaitable(value) else value


def error_of(error):
    shown = {
        "kind": KINDS.get(type(error), "refused"),
        "text": str(error),
        "retryable": error.retryable,
        "retry_after": error.retry_after is not None,
    }
    if isinstance(error, cuegate.Refused):
        shown |= {
            "code": error.code,
            "family": FAMILIES[type(error)],
            "status": error.status,
            "index": error.index,
            "rejected": rejected_of(error),
        }
    return {"error": shown}


def rejected_of(answer):
    return [{"index": one.index, "code": one.code, "retryable": one.retryable} for one in answer.rejected]


def seconds(step, name):
    return step[name] / 1000 if name in step else None


class Runner:
    def __init__(self, plain, url):
        self.kind = cuegate.Client if plain else cuegate.AsyncClient
        self.plain, self.url = plain, url
        self.client = self.kind(url)
        self.session = None
        self.receipts = []
        self.pending = None

    async def step(self, step):
        try:
            return await getattr(self, f"do_{step['do']}")(step) or {}
        except cuegate.CuegateError as error:
            return error_of(error)

    async def do_client(self, step):
        self.client.close()
        self.client = self.kind(step.get("url", self.url), key=step.get("key"), ca=step.get("ca"))

    async def do_sleep(self, step):
        await asyncio.sleep(step["ms"] / 1000)

    async def do_publish(self, step):
        events = cuegate.Json(step["json"]) if "json" in step else step["events"]
        options = {
            "atomic": step.get("atomic", False),
            "wait": seconds(step, "wait_ms"),
            "retry_for": seconds(step, "retry_for_ms") or 0,
            "idempotency_key": step.get("idempotency_key"),
        }
        if step.get("to_many"):
            answer = await got(self.client.publish_to_many(events, **options))
        else:
            answer = await got(self.client.publish(step["channel"], events, **options))
        members = ("accepted", "duplicates", "duplicate", "queued", "delivered", "pending")
        return {name: getattr(answer, name) for name in members} | {"rejected": rejected_of(answer)}

    async def do_replace(self, step):
        answer = await got(self.client.replace(step["channel"], step["id"], step["event"]))
        return {"replaced": answer.replaced, "queued": answer.queued}

    async def do_event(self, step):
        answer = await got(self.client.event(step["channel"], step["id"]))
        return {"id": answer.id, "state": answer.state}

    async def do_cancel(self, step):
        await got(self.client.cancel(step["channel"], step["id"]))

    async def do_purge(self, step):
        purged = self.client.purge(step["channel"], type=step.get("type"), key=step.get("key"), all=step.get("all", False))
        return {"cancelled": await got(purged)}

    async def do_pause(self, step):
        await got(self.client.pause(step["channel"]))

    async def do_resume(self, step):
        await got(self.client.resume(step["channel"]))

    async def do_status(self, step):
        answer = await got(self.client.status(step["channel"]))
        return {"state": answer.state, "queued": answer.queued}

    async def do_channels(self, _):
        return {"names": [one.channel for one in await got(self.client.channels())]}

    async def do_payload(self, step):
        stream = await got(self.client.payloads(step["channel"], after=1))
        if self.plain:
            with stream:
                update = next(stream)
        else:
            async with stream:
                update = await anext(stream)
        return {"kind": type(update).__name__.lower(), "numbered": update.n > 1, "text": update.text}

    async def do_open(self, step):
        options = {name: step[wire] for wire, name in OPTIONS.items() if wire in step}
        options |= {name: step[wire] / 1000 for wire, name in TIMES.items() if wire in step}
        self.receipts = []
        if step.get("to_many"):
            self.session = await got(self.client.session_to_many(**options))
        else:
            self.session = await got(self.client.session(step["channel"], **options))

    async def do_send(self, step):
        if "from" not in step:
            self.receipts.append(await self.send(step))
            return
        for first in range(step["from"], step["to"], step["batch"]):
            last = min(first + step["batch"], step["to"])
            self.receipts.append(await got(self.session.send([{"data": data} for data in range(first, last)])))
            if "pace_ms" in step:
                await asyncio.sleep(step["pace_ms"] / 1000)

    async def send(self, step):
        return await got(self.session.send(cuegate.Json(step["json"]) if "json" in step else step["events"]))

    async def do_send_waits(self, step):
        if self.plain:
            return await self.plain_send_waits(step)
        self.pending = asyncio.create_task(self.send(step))
        done, _ = await asyncio.wait([self.pending], timeout=step["ms"] / 1000)
        return {"waited": not done}

    async def plain_send_waits(self, step):
        try:
            self.session.send(step["events"], timeout=step["ms"] / 1000)
            return {"waited": False}
        except TimeoutError:
            # Nothing was sent.
            self.pending = asyncio.create_task(self.in_thread(lambda: self.session.send(step["events"])))
            await asyncio.sleep(0)
            return {"waited": True}

    async def in_thread(self, call):
        ended = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        threading.Thread(target=lambda: loop.call_soon_threadsafe(ended.set_result, call())).start()
        return await ended

    async def do_send_ends(self, _):
        self.receipts.append(await self.pending)

    async def do_acks(self, _):
        told = {"acknowledged": 0, "lost": 0, "rejected": []}
        receipts, self.receipts = self.receipts, []
        for message, receipt in enumerate(receipts):
            try:
                answer = receipt.result(30) if self.plain else await receipt
            except cuegate.CuegateError as error:
                told["lost"] += 1
                told |= error_of(error)
                continue
            told["acknowledged"] += 1
            told["rejected"] += [{"message": message, **one} for one in rejected_of(answer)]
        return told

    async def do_close(self, _):
        await got(self.session.close())


async def main(arguments):
    runner = Runner("--plain" in arguments, arguments[-1])
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await runner.step(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))

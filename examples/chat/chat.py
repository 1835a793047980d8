"""A chat and the cues of a show on one channel. The chat comes in floods, many times what the channel can carry; the
cues leave within their time all the same."""

import argparse
import asyncio
import random
import time

import cuegate

WORDS = "what a goal, never seen the like of it, go on, hello from here, who is that".split(", ")
CHAT_TTL_MS = 1_000
CUE_TTL_MS = 5_000


async def flood(client, channel, rate, until):
    """Chat at this rate. It is refused when it could not leave in time (`would_expire`) or the queue is full: that is
    what is meant, so nothing is tried again. Returns how many messages were sent and how many refused."""
    sent, receipts = 0, []
    began = time.monotonic()
    async with client.session(channel) as session:
        while time.monotonic() < until:
            due = max(1, int((time.monotonic() - began) * rate) - sent)
            messages = [
                {
                    "data": f"{random.choice(WORDS)} {sent + nth}", "type": "chat", "priority": "low", "ttl_ms": CHAT_TTL_MS,
                    "id": f"chat-{began}-{sent + nth}",
                }
                for nth in range(min(due, 500))
            ]
            receipts.append(await session.send(messages))
            sent += len(messages)
            await asyncio.sleep(0.02)
    refused = sum([len((await receipt).rejected) for receipt in receipts])
    return sent, refused


async def show(client, channel, until):
    """A cue each half second. Returns how long each took until it was delivered, or None if it was not."""
    took = []
    while time.monotonic() < until:
        cue = {"data": {"scene": len(took)}, "type": "cue", "priority": "high", "ttl_ms": CUE_TTL_MS}
        began = time.monotonic()
        published = await client.publish(channel, cue, wait=CUE_TTL_MS / 1000 + 5)
        took.append(time.monotonic() - began if published.delivered == 1 else None)
        await asyncio.sleep(0.5)
    return took


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--channel", default="demo")
    parser.add_argument("--rate", type=int, default=2_000, help="messages of the chat a second")
    parser.add_argument("--seconds", type=float, default=15)
    arguments = parser.parse_args()

    async with cuegate.AsyncClient(arguments.url) as client:
        before = (await client.status(arguments.channel)).totals
        until = time.monotonic() + arguments.seconds
        (sent, refused), cues = await asyncio.gather(
            flood(client, arguments.channel, arguments.rate, until), show(client, arguments.channel, until)
        )
        while (status := await client.status(arguments.channel)).queued:
            await asyncio.sleep(0.1)
        ended = {name: status.totals[name] - before[name] for name in ("delivered", "expired", "evicted")}

    arrived = [seconds for seconds in cues if seconds is not None]
    print(f"chat  {sent} sent, {refused} refused, {ended['expired']} expired, {ended['evicted']} evicted, "
          f"{ended['delivered'] - len(arrived)} delivered")
    print(f"cues  {len(cues)} sent, {len(arrived)} delivered, the slowest after {max(arrived, default=0):.2f} s")
    raise SystemExit(0 if len(arrived) == len(cues) else 1)


if __name__ == "__main__":
    asyncio.run(main())

"""Every bound of the client, each with its reason. Times are in seconds.

What a producer may set is an argument of `Client` and of `session`; the defaults are here.
"""

#: Time to connect: a gateway is near its producers.
CONNECT_S = 5.0
#: Time for an answer that is read whole. The gateway's own longest wait is 30 s (`wait=delivered`), so
#: this is a little more.
ANSWER_S = 35.0
#: Largest answer that is read whole: a page of 1000 channels has about 1 MiB, and the refusals of a body
#: of 100,000 events about 30 MiB.
ANSWER_MAX_BYTES = 64 << 20
#: Longest line of a stream of payloads. A payload has at most a few KiB, so a longer line is no answer
#: of a gateway.
LINE_MAX_BYTES = 1 << 20
#: Channels asked for at a time: the most that the gateway gives.
PAGE = 1000
#: Connections for HTTP that are kept for the next request, and threads that wait for answers under
#: asyncio: as many as a browser keeps to a proxy.
CONNECTIONS = 32

#: Largest message of a session, in bytes: the gateway closes a connection over larger ones.
MESSAGE_MAX_BYTES = 1 << 20
#: Messages of a session that wait for their acknowledgement: four times as many as the gateway handles
#: before it acknowledges at the latest.
WINDOW_MESSAGES = 1024
#: Bytes of these messages: enough for eight of the largest, and what a session may hold.
WINDOW_BYTES = 8 << 20
#: The client pings after the first time, and gives a connection up that has not answered within the
#: second: 45 s of silence in all.
PING_S, PONG_S = 20.0, 25.0
#: A connection is given up when messages wait and no acknowledgement comes for so long. The gateway
#: acknowledges within 50 ms and the time of its disk.
ACK_S = 30.0
#: A session ends after so long without the gateway. The gateway remembers ids for 300 s by default
#: (`dedup_window_ms`): what is sent again later could be delivered twice.
GIVE_UP_AFTER_S = 240.0
#: A connection that lasted so long was a good one: the waits begin anew after it.
STABLE_S = 5.0
#: The peer's part in closing is waited for at most so long.
CLOSE_S = 2.0
#: A task that sends without a pause lets the others run after so many bytes: a fraction of the window,
#: so that the connection is never idle meanwhile.
TURN_BYTES = 64 << 10

#: The first wait before another try, at most.
BACKOFF_FIRST_S = 0.2
#: Every later wait is at most twice the one before, and never longer than this.
BACKOFF_MAX_S = 10.0
#: A `Retry-After` beyond this counts as this: a wrong one must not stop a producer for good.
RETRY_AFTER_MAX_S = 60.0

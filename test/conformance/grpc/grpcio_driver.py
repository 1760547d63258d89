"""Makes gRPC calls with Python's grpcio as it is told: one JSON object per line in, one per line out.

In:  {"op": ..., "target": "HOST:PORT", "path": "/prefix/pkg.Service/Method", "message": BASE64, "timeout": SECONDS or null,
      "metadata": [[NAME, TEXT]], "count": N, "after": SECONDS}
Out: {"code": N, "details": TEXT, "replies": [BASE64], "initial": [[NAME, VALUE]], "trailing": [[NAME, VALUE]], "ms": TIME}
"""

import base64
import json
import sys
import threading
import time

import grpc

# What the proxy says must be seen: no second try behind its back.
OPTIONS = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
channels = {}


def channel_of(ask):
    target = ask["target"]
    if target not in channels:
        channels[target] = grpc.insecure_channel(target, options=OPTIONS)
    return channels[target]


def fields(metadata):
    return [[name, value if isinstance(value, str) else base64.b64encode(value).decode()] for name, value in metadata or ()]


def told(call, replies):
    return {
        "code": call.code().value[0],
        "details": call.details(),
        "replies": [base64.b64encode(reply).decode() for reply in replies],
        "initial": fields(call.initial_metadata()),
        "trailing": fields(call.trailing_metadata()),
    }


def stream(ask, channel, options):
    call = channel.unary_stream(ask["path"])(message_of(ask), **options)
    replies = []
    try:
        for reply in call:
            replies.append(reply)
    except grpc.RpcError:
        pass  # The call itself knows how it ended.
    return told(call, replies)


def unary(ask, channel, options):
    call = channel.unary_unary(ask["path"]).future(message_of(ask), **options)
    replies = [] if call.exception() is not None else [call.result()]
    return told(call, replies)


def early(ask, channel, options):
    """Sends one message and never ends its side."""
    over = threading.Event()

    def one_and_then_silence():
        yield message_of(ask)
        over.wait(20)

    call = channel.stream_unary(ask["path"]).future(one_and_then_silence(), **options)
    replies = [] if call.exception() is not None else [call.result()]
    over.set()
    return told(call, replies)


def cancel(ask, channel, options):
    call = channel.unary_stream(ask["path"])(message_of(ask), **options)
    time.sleep(ask["after"])
    call.cancel()
    return {"code": call.code().value[0], "details": "", "replies": [], "initial": [], "trailing": []}


def cancels(ask, channel, options):
    """One call after the other, each cancelled when its answer has begun."""
    make = channel.unary_stream(ask["path"])
    for _ in range(ask["count"]):
        call = make(message_of(ask), **options)
        call.initial_metadata()
        call.cancel()
    return unary(ask, channel, options)


def message_of(ask):
    return base64.b64decode(ask["message"])


OPS = {"stream": stream, "unary": unary, "early": early, "cancel": cancel, "cancels": cancels}

for line in sys.stdin:
    ask = json.loads(line)
    options = {"timeout": ask.get("timeout"), "metadata": [tuple(pair) for pair in ask.get("metadata") or []] or None}
    begun = time.monotonic()
    answer = OPS[ask["op"]](ask, channel_of(ask), options)
    answer["ms"] = (time.monotonic() - begun) * 1000
    print(json.dumps(answer), flush=True)

for channel in channels.values():
    channel.close()

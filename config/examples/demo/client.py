#!/usr/bin/env python3
"""A gRPC client in Python: all four kinds of call through the proxy, under the prefix.

`python3 client.py [HOST:PORT]`; exit code 0 = every answer was right.  Needs grpcio only (Debian: python3-grpcio): the few
messages it sends are written and read by the small protobuf encoder below, so nothing has to be generated first.
"""
import queue
import struct
import sys

import grpc

TIMEOUT_S = 20
DOCUMENTS = [
    ("restart", "A supervisor restarts a crashed program after a short delay."),
    ("route", "The proxy routes every request by the prefix of its path."),
    ("memory", "A model that is idle gives its GPU memory back."),
]


def main(target):
    with grpc.insecure_channel(target) as channel:
        pipeline = "/core-pipeline/core_pipeline.v1.Pipeline/"
        store = "/framaist-milvus/framaist_milvus.v1.VectorStore/"
        vector = analyse(channel, pipeline)
        ingest_watched(channel, pipeline, store)
        trace(channel, pipeline)
        ask(channel, pipeline)
        search(channel, store, vector)
        unknown_prefix(channel)


def analyse(channel, pipeline):
    reply = fields(channel.unary_unary(pipeline + "Analyse")(document(*DOCUMENTS[0]), timeout=TIMEOUT_S))
    terms = [text(fields(term)[1][0]) for term in reply[3]]
    vector = reply[4][0]
    show("unary            Analyse", {"tokens": reply[2][0], "terms": terms})
    expect(len(floats(vector)) == 64, "a vector of 64 numbers")
    return vector


def ingest_watched(channel, pipeline, store):
    watch = channel.unary_stream(store + "Watch")(b"", timeout=TIMEOUT_S)
    watch.initial_metadata()  # the headers are here: no insert from now on is missed
    summary = fields(channel.stream_unary(pipeline + "Ingest")(iter([document(*each) for each in DOCUMENTS]), timeout=TIMEOUT_S))
    show("client streaming Ingest", {"documents": summary[1][0], "tokens": summary[2][0]})
    expect(summary[1][0] == len(DOCUMENTS), "every document counted")
    changed = [text(fields(next(watch))[1][0]) for _ in DOCUMENTS]
    watch.cancel()
    show("server streaming Watch", changed)
    expect(changed == [name for name, _ in DOCUMENTS], "every insert seen, in order")


def trace(channel, pipeline):
    reports = [fields(report) for report in channel.unary_stream(pipeline + "Trace")(document(*DOCUMENTS[1]), timeout=TIMEOUT_S)]
    stages = [text(report[1][0]) for report in reports]
    show("server streaming Trace", stages)
    expect(stages == ["normalise", "tokenise", "filter", "stem", "embed"], "the five stages in order")


def ask(channel, pipeline):
    """One question, its answer, then the next: both directions are open at the same time."""
    questions = queue.Queue()
    answers = channel.stream_stream(pipeline + "Ask")(iter(questions.get, None), timeout=TIMEOUT_S)
    for question, expected in [("which memory does an idle model give back?", "memory"), ("what does the proxy do by prefix?", "route")]:
        questions.put(document(question, question))
        answer = fields(next(answers))
        best = fields(answer[2][0])
        show("bidi streaming   Ask", {"question": text(answer[1][0]), "best": text(best[1][0])})
        expect(text(best[1][0]) == expected, f"best match {expected}")
    questions.put(None)
    expect(next(answers, None) is None, "the end of the stream after the last answer")


def search(channel, store, vector):
    reply = fields(channel.unary_unary(store + "Search")(length_field(1, vector) + varint_field(2, 1), timeout=TIMEOUT_S))
    hit = fields(reply[1][0])
    show("unary            Search", {"id": text(hit[1][0]), "score": round(struct.unpack("<f", hit[2][0])[0], 3)})
    expect(text(hit[1][0]) == "restart", "the document itself")


def unknown_prefix(channel):
    try:
        channel.unary_unary("/no-such-prefix/core_pipeline.v1.Pipeline/Analyse")(b"", timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        show("unknown prefix", {"code": error.code().name, "details": error.details()})
        expect(error.code() == grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED for an unknown prefix")
    else:
        expect(False, "UNIMPLEMENTED for an unknown prefix")


# --- as much of protobuf's wire format as is needed: varints, length-delimited fields, floats


def document(name, body):
    return length_field(1, name.encode()) + length_field(2, body.encode())


def length_field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint_field(number, value):
    return varint(number << 3) + varint(value)


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(message):
    """A message as {field number: [values]}: int for varints, bytes for everything else."""
    found = {}
    at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = read_varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = message[at : at + size], at + size
        elif kind == 2:
            size, at = read_varint(message, at)
            value, at = message[at : at + size], at + size
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        found.setdefault(key >> 3, []).append(value)
    return found


def read_varint(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def floats(packed):
    return struct.unpack(f"<{len(packed) // 4}f", packed)


def text(data):
    return data.decode()


def show(what, value):
    print(f"{what:24} {value}", flush=True)


def expect(right, what):
    if not right:
        raise AssertionError(f"expected {what}")


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:6006")
    except (AssertionError, grpc.RpcError) as error:
        print(f"failed: {error}", file=sys.stderr)
        sys.exit(1)

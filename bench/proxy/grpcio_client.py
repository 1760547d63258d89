"""A gRPC client of another make for the bench: grpcio on its C core, unary calls in a closed loop over several channels; prints one JSON line."""

import asyncio
import json
import sys
import time

import grpc

CHANNELS = 8
UNDER_WAY = 64
REQUEST = b"fifteen letters"


async def calls(method, metadata, until, times_ms):
    errors = 0
    while time.monotonic() < until:
        before = time.monotonic()
        try:
            good = await method(REQUEST, timeout=10, metadata=metadata) == b"ten bytes!"
        except grpc.RpcError:
            good = False
        times_ms.append((time.monotonic() - before) * 1000)
        errors += not good
    return errors


async def main(port, prefix, seconds, authorization):
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(CHANNELS)]
    methods = [channel.unary_unary(f"{prefix}test.Echo/Unary") for channel in channels]
    metadata = (("authorization", authorization),)
    times_ms = []
    begun = time.monotonic()
    until = begun + seconds
    errors = sum(await asyncio.gather(*(calls(methods[at % CHANNELS], metadata, until, times_ms) for at in range(UNDER_WAY))))
    took = time.monotonic() - begun
    for channel in channels:
        await channel.close()
    times_ms.sort()
    part = {name: times_ms[int(share * (len(times_ms) - 1))] for name, share in (("p50Ms", 0.5), ("p99Ms", 0.99))}
    print(json.dumps({"requests": len(times_ms), "errors": errors, "seconds": took, **part}))


told = json.loads(sys.argv[1])
asyncio.run(main(told["port"], told["prefix"], told["seconds"], told["authorization"]))

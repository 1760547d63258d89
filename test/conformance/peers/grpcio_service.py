"""A gRPC service on Python's grpcio with raw bytes for messages.

Argument: PORT.  Methods of test.Echo: Unary, Collect, Expand, Chat, Fail, Never; anything else is unknown to it.
"""

import concurrent.futures
import sys
import time

import grpc


def unary(request, context):
    asked = [(name, value) for name, value in context.invocation_metadata() if name.startswith("x-ask")]
    context.send_initial_metadata([(name.replace("ask", "told"), value) for name, value in asked])
    context.set_trailing_metadata([("server", "grpcio"), ("x-trail-bin", b"\x00\xff\n")])
    return request


def collect(requests, _context):
    return b"".join(requests)


def expand(request, _context):
    for byte in request:
        yield bytes([byte])


def chat(requests, _context):
    yield from requests


def fail(request, context):
    context.set_trailing_metadata([("x-why", "one"), ("x-why", "two")])
    context.abort(list(grpc.StatusCode)[request[0]], "line\r\nand ☺ 😈")


def never(_request, context):
    while context.is_active():
        time.sleep(0.01)


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Expand": grpc.unary_stream_rpc_method_handler(expand),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Never": grpc.unary_unary_rpc_method_handler(never),
}

server = grpc.server(
    concurrent.futures.ThreadPoolExecutor(max_workers=16),
    options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", METHODS),))
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()

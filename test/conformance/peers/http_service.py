"""A service on Python's http.server: HTTP/1.0 that ends its answers by closing, and HTTP/1.1 with chunks and a trailer.

Argument: PORT.  Paths: /old... is answered as HTTP/1.0, everything else as HTTP/1.1.
"""

import http.server
import json
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline() != b"\r\n":
            pass
        return b"".join(parts)

    def answer(self):
        body = self.body()
        told = json.dumps({"method": self.command, "path": self.path, "bytes": len(body), "version": self.request_version}).encode()
        if self.path.startswith("/old"):
            self.protocol_version = "HTTP/1.0"
            self.close_connection = True
            self.send_response(200)
            self.end_headers()
            self.wfile.write(told)
            return
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("trailer", "x-sum")
        self.end_headers()
        if self.command == "HEAD":
            return
        for at in range(0, len(told), 7):
            part = told[at : at + 7]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
        self.wfile.write(b"0\r\nx-sum: %d\r\n\r\n" % len(told))

    do_GET = do_HEAD = do_POST = do_PUT = answer


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

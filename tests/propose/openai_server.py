"""A scripted server that speaks OpenAI's chat protocol over real HTTP on loopback."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Act:
    """What the server does with one request.

    wait: hold the reply until the server is released. cut: close after half of the body.
    drip: send the body byte by byte, one every `drip` seconds, so no single read times out.
    pieces: how many a stream comes in; end: whether it says that it is over. refuses: parameters
    that are unknown here. echo: makes the text from the request.
    """

    text: str | None = "hello"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait: bool = False
    cut: bool = False
    drip: float = 0.0
    raw: bytes | None = None
    usage: dict[str, int] | None = field(
        default_factory=lambda: {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
    )
    finish_reason: str = "stop"
    error: str = "scripted fault"

    pieces: int = 5
    end: bool = True
    refuses: tuple[str, ...] = ()
    echo: Callable[[dict[str, Any]], str] | None = None

    def faults(self, request: dict[str, Any]) -> Act:
        """What a server that refuses a parameter answers to a request that holds it."""
        named = next((name for name in self.refuses if name in request), None)
        if named is None:
            return self
        hint = " Use 'max_completion_tokens' instead." if named == "max_tokens" else ""
        return Act(status=400, error=f"Unsupported parameter: '{named}'.{hint}")

    def stream(self, request: dict[str, Any]) -> bytes:
        """The reply as server-sent events, as OpenAI's protocol has them."""
        text = self.text or ""
        size = max(1, -(-len(text) // self.pieces))
        deltas = [{"content": text[i : i + size]} for i in range(0, len(text), size)]
        events = [self._chunk([{"index": 0, "delta": d, "finish_reason": None}]) for d in deltas]
        if self.end:
            last = {"index": 0, "delta": {}, "finish_reason": self.finish_reason}
            events.append(self._chunk([last]))
            if self.usage is not None and request.get("stream_options"):
                events.append(self._chunk([], usage=self.usage))
            events.append("[DONE]")
        return b"".join(f"data: {event}\n\n".encode() for event in events)

    @staticmethod
    def _chunk(choices: list[dict[str, Any]], **more: Any) -> str:
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
        return json.dumps({**head, "choices": choices, **more})

    def body(self) -> bytes:
        if self.raw is not None:
            return self.raw
        if self.status != 200:
            return json.dumps({"error": {"message": self.error, "type": "scripted"}}).encode()
        reply: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "scripted",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": self.finish_reason,
                    "message": {"role": "assistant", "content": self.text},
                }
            ],
        }
        if self.usage is not None:
            reply["usage"] = self.usage
        return json.dumps(reply).encode()


class Server:
    """Plays `acts` in order; the last one is repeated. `requests` holds what was asked."""

    def __init__(self, acts: Sequence[Act]) -> None:
        self._acts = list(acts)
        self._lock = threading.Lock()
        self._release = threading.Event()
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                outer._answer(self, json.loads(self.rfile.read(length)))

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def _answer(self, handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        with self._lock:
            act = self._acts[min(len(self.requests), len(self._acts) - 1)]
            self.requests.append(request)
            self.keys.append(handler.headers.get("authorization", ""))
        if act.wait:
            self._release.wait()
        act = act.faults(request)
        if act.echo is not None:
            act = replace(act, text=act.echo(request))
        streamed = bool(request.get("stream")) and act.status == 200 and act.raw is None
        body = act.stream(request) if streamed else act.body()
        try:
            handler.send_response(act.status)
            for name, value in act.headers.items():
                handler.send_header(name, value)
            kind = "text/event-stream" if streamed else "application/json"
            handler.send_header("content-type", kind)
            handler.send_header("content-length", str(len(body)))
            handler.end_headers()
            if act.drip:
                for byte in body:
                    handler.wfile.write(bytes([byte]))
                    if self._release.wait(act.drip):
                        return
            else:
                handler.wfile.write(body[: len(body) // 2] if act.cut else body)
        except (BrokenPipeError, ConnectionResetError):
            return
        if act.cut:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True

    def release(self) -> None:
        """Let all that wait go on."""
        self._release.set()

    def close(self) -> None:
        self.release()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def serving(*acts: Act | str) -> Iterator[Server]:
    """A running server; a string stands for a good reply with that text."""
    server = Server([Act(text=act) if isinstance(act, str) else act for act in acts])
    try:
        yield server
    finally:
        server.close()

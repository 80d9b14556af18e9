"""Who may look and who may act. Wraps the whole application, so no page can forget it.

A page needs a session, which the token in the address that `evolver ui` prints, or the password,
opens. What changes state needs a word that only our own pages hold, too (CSRF), and must come from
them. Other names for this machine are refused (DNS rebinding). Scripts and styles come from our own
files alone.

Stops other sites in the browser, other users of the machine, text in candidates. Does not encrypt:
beyond this machine put it behind a proxy with TLS or reach it through an SSH tunnel.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evolver.errors import UsageError

LEAST_PASSWORD = 12
MOST_BODY = 64 << 10
"""Bytes that a form may have."""
_SESSIONS = 200
_READING = ("GET", "HEAD")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass
class Keys:
    """The token and, if there is one, the password; and the sessions that they opened. Raises
    UsageError on a password that is too short."""

    password: str | None = field(default=None, repr=False)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _sessions: dict[str, str] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        if self.password is not None and len(self.password) < LEAST_PASSWORD:
            raise UsageError(f"EVOLVER_UI_PASSWORD needs {LEAST_PASSWORD} characters or more")

    def open(self, given: str, *, token_only: bool = False) -> str | None:
        """A new session for the right token or password; None for a wrong one."""
        fits = _equal(given, self.token)
        if self.password is not None and not token_only:
            fits |= _equal(given, self.password)
        if not fits:
            return None
        session = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._sessions) >= _SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[session] = secrets.token_urlsafe(32)
        return session

    def csrf(self, session: str | None) -> str | None:
        """The word that forms of this session carry; None without a session."""
        return None if session is None else self._sessions.get(session)

    def fits(self, session: str | None, given: str) -> bool:
        """Whether a form carries the word of its session."""
        wanted = self.csrf(session)
        return wanted is not None and _equal(given, wanted)

    def close(self, session: str | None) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(session or "", None)


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """ASGI middleware. `names`: further names of this machine. `public`: whether others reach it;
    then every address in numbers will do, for it cannot be rebound.

    A request that passes has `csrf` in its state: the session's word, "" where it has none, as
    only the door and static files are let through.
    """

    app: ASGIApp
    keys: Keys
    cookie: str
    public: bool = False
    names: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on; every answer gets the headers."""
        if scope["type"] != "http":  # there is nothing else here
            if scope["type"] == "websocket":
                await send({"type": "websocket.close"})
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope) or self._door(scope)
        await (refusal or self.app)(scope, receive, sending)

    def _refusal(self, scope: Scope) -> Response | None:
        """What no session makes up for: another name, another site's form, too long a one."""
        headers = Headers(scope=scope)
        if not self._knows(headers.get("host", "")):
            return PlainTextResponse("This name is not one of this server's.\n", 421)
        if scope["method"] in _READING:
            return None
        if not _from_here(headers):
            return PlainTextResponse("Forms of other sites are refused.\n", 403)
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > MOST_BODY:
            return PlainTextResponse(f"A form has {MOST_BODY} bytes at most.\n", 413)
        return None

    def _door(self, scope: Scope) -> Response | None:
        """Who has no session yet opens one with the token, or is asked for the key."""
        request = HTTPConnection(scope)
        session = request.cookies.get(self.cookie)
        csrf = self.keys.csrf(session)
        scope.setdefault("state", {}).update(csrf=csrf or "", session=session)
        path = scope["path"]
        if csrf is not None or path == "/sign-in" or path.startswith("/static/"):
            return None
        if scope["method"] not in _READING:
            return PlainTextResponse("Sign in first.\n", 401)
        given = request.query_params.get("token")
        opened = None if given is None else self.keys.open(given, token_only=True)
        if opened is None:
            return RedirectResponse("/sign-in", 303)
        # Without the token, which a history would keep; never to another host's "//name".
        answer = RedirectResponse("/" + path.lstrip("/"), 303)
        self.remember(answer, opened, secure=request.url.scheme == "https")
        return answer

    def remember(self, answer: Response, session: str, *, secure: bool) -> None:
        """Give the browser its session."""
        answer.set_cookie(
            self.cookie, session, httponly=True, samesite="strict", secure=secure, path="/"
        )

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if is_loopback(name) or name in self.names:
            return True
        if not self.public:
            return False
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def _from_here(headers: Headers) -> bool:
    """Whether a browser says that one of our own pages sent this."""
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")

"""The page at 127.0.0.1: for this machine only, with bounded requests, and with a folder for uploads that goes at the end."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from erc.app.limits import Limits
from erc.app.page import theme

HOST = "127.0.0.1"

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
"""The browser fetches nothing from elsewhere, whatever the page asks for."""

FORM_BYTES = 100_000
"""What a request may hold beside the file."""


class Guard:
    """Refuses requests that are too large before they are read, and those of other pages; every answer gets the policy.

    Args:
        app: What it stands in front of.
        n_bytes: Largest body of a request.
    """

    def __init__(self, app: Any, n_bytes: int) -> None:
        self._app, self._n_bytes = app, n_bytes

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and urlsplit(origin).netloc.encode() != headers.get(b"host"):
            await self._refuse(send, 403, f"A request of another page is not answered: {origin}.")
            return
        length = headers.get(b"content-length", b"0")
        if b"transfer-encoding" in headers or not length.isdigit() or int(length) > self._n_bytes:
            await self._refuse(
                send, 413, f"At most {self._n_bytes} bytes are accepted, and their number is told first."
            )
            return

        async def with_policy(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                extra = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message = message | {"headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, receive, with_policy)

    async def _refuse(self, send: Any, status: int, text: str) -> None:
        headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})


def make_app(page: gr.Blocks, limits: Limits, port: int) -> FastAPI:
    """The page as an application, with what stands in front of it."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, n_bytes=limits.n_bytes + FORM_BYTES)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])  # no other site under another name
    page.queue(max_size=8, default_concurrency_limit=1, api_open=False)
    return gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=HOST,
        server_port=port,
        footer_links=[],
        max_file_size=limits.n_bytes,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        show_error=False,
        theme=theme(),
    )


def serve(page: gr.Blocks, limits: Limits, port: int) -> None:
    """Serves the page until the program is interrupted or terminated; then it returns.

    Raises:
        OSError: The port is taken.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(page, limits, port), host=HOST, port=port, log_level="warning", timeout_graceful_shutdown=3
        )
    )
    # the server raises the signal that ended it once more, so that what called it ends as well
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.run()
    except (KeyboardInterrupt, SystemExit):
        print("The page is closed.", flush=True)
    finally:
        signal.signal(signal.SIGTERM, before)

"""A real Chromium without a window, for pages: opens a file, counts what it complains of, answers JavaScript, draws pictures.

It speaks the DevTools protocol over aiohttp's web socket. `find()` gives the program, None where there is none.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ),
    *("--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "about:blank"),
)
PATIENCE = 60.0  # seconds, for a start on a busy machine


def find() -> str | None:
    """The program, by its usual names."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """An open page. `complaints`: errors of the console, exceptions, and what the page's policy refused; `asked`: addresses loaded."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.count = 0
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.loaded = False

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers. Raises RuntimeError where it refuses."""
        self.count += 1
        number = self.count
        await self.socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = json.loads((await asyncio.wait_for(self.socket.receive(), PATIENCE)).data)
            self._hear(message)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result

    def _hear(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"].get("text")))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(str(params["entry"]["text"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning"):
                self.complaints.append(str(params["args"]))
            case "Network.requestWillBeSent":
                self.asked.append(str(params["request"]["url"]))
            case "Page.loadEventFired":
                self.loaded = True

    async def open(self, address: str, *, width: int = 1280, height: int = 1000, dark: bool = False) -> None:
        """Go there, as a window of this size and scheme, and wait until everything is there."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=scheme)
        self.loaded = False
        await self.call("Page.navigate", url=address)
        end = time.monotonic() + PATIENCE
        while not self.loaded and time.monotonic() < end:
            await self.call("Runtime.evaluate", expression="1")
            await asyncio.sleep(0.05)
        assert self.loaded, "the page does not load"

    async def ask(self, code: str) -> Any:
        """The value of a JavaScript expression. Raises RuntimeError with what it throws."""
        answer = await self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{code}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def draw(self, path: Path) -> None:
        """A picture of what is in the window."""
        data = (await self.call("Page.captureScreenshot", format="png"))["data"]
        path.write_bytes(base64.b64decode(data))


def browse(profile: Path, visit: Callable[[Page], Any]) -> Any:
    """What `visit` returns, given a page of a browser whose profile is the folder `profile`; the browser is closed afterwards."""
    program = find()
    assert program
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        return asyncio.run(_visit(profile / "DevToolsActivePort", visit))
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()


async def _visit(port_file: Path, visit: Callable[[Page], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (port_file.exists() and port_file.read_text().strip()) and time.monotonic() < end:
        await asyncio.sleep(0.1)
    port = port_file.read_text().split()[0]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json") as response:
            pages = await response.json()
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        async with session.ws_connect(address, max_msg_size=0) as socket:
            return await visit(Page(socket))

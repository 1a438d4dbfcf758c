"""Headless Chromium, driven through the DevTools protocol over a pipe: no package needed."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

TIMEOUT_S = 60.0
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}


def found_chromium() -> str | None:
    """The browser's command, if one is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def chromium() -> str:
    """The browser's command; without one the test skips, or fails where a browser is required."""
    if found := found_chromium():
        return found
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail("no Chromium, and REQUIRE_BROWSER is set: install Debian's chromium")
    pytest.skip("no Chromium: how the page behaves in a browser is not tested")


class Browser:
    """One page of one browser without a network. Use it as a context manager."""

    def __init__(self) -> None:
        command = [chromium(), "--headless", "--remote-debugging-pipe", "--disable-gpu"]
        command += [
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
        ]
        command += ["--no-sandbox"] if os.getuid() == 0 else []
        self._profile = tempfile.mkdtemp(prefix="llm-energy-browser.")
        child_reads, self._out = os.pipe()
        self._in, child_writes = os.pipe()
        # The browser reads its descriptor 3 and writes 4, whatever ours are called.
        redirect = f'exec "$@" 3<&{child_reads} 4>&{child_writes}'
        self._process = subprocess.Popen(
            ["bash", "-c", redirect, "bash", *command, f"--user-data-dir={self._profile}"],
            pass_fds=(child_reads, child_writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(child_reads)
        os.close(child_writes)
        self._numbers, self._received, self._session = itertools.count(1), b"", ""
        self.events: list[dict[str, Any]] = []
        """Everything that the page did by itself, in order."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", **offline)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            answer = self._next(deadline)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, page: Path, *, dark: bool = False, screen: dict[str, Any] = DESKTOP) -> float:
        """Load a file, and wait until it is there; seconds from start to the `load` event."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        self.events.clear()
        self.call("Page.navigate", url=page.absolute().as_uri())
        deadline = time.monotonic() + TIMEOUT_S
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next(deadline))
        timing = "performance.getEntriesByType('navigation')[0].loadEventStart / 1000"
        return float(self.evaluate(timing))

    def evaluate(self, expression: str) -> Any:
        """The JSON value of a JavaScript expression; a promise is waited for."""
        done = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, expression: str, wanted: Any = True) -> None:
        """Wait until an expression has a value: what a click begins may go on after it."""
        deadline = time.monotonic() + TIMEOUT_S
        while (found := self.evaluate(expression)) != wanted:
            assert time.monotonic() < deadline, f"{expression} is {found!r}, not {wanted!r}"
            time.sleep(0.02)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the whole page, or of what fits the screen."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def print_to(self, path: Path) -> None:
        """The page as PDF, as a printer would get it."""
        printed = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(printed["data"]))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console."""
        found = []
        for event in self.events:
            about = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    found.append(json.dumps(about["exceptionDetails"]))
                case "Runtime.consoleAPICalled" if about["type"] in ("error", "warning", "assert"):
                    found.append(json.dumps(about["args"]))
                case "Log.entryAdded" if about["entry"]["level"] in ("error", "warning"):
                    found.append(about["entry"]["text"])
        return found

    def requests(self) -> list[str]:
        """Addresses that the page asked for, without what it holds itself."""
        asked = [
            event for event in self.events if event.get("method") == "Network.requestWillBeSent"
        ]
        addresses = [event["params"]["request"]["url"] for event in asked]
        return [address for address in addresses if not address.startswith("data:")]

    def _next(self, deadline: float) -> dict[str, Any]:
        """The next message of the browser."""
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the browser did not answer for {TIMEOUT_S} s"
            received = os.read(self._in, 1 << 20)
            assert received, "the browser ended"
            self._received += received
        message, self._received = self._received.split(b"\0", 1)
        return dict(json.loads(message))

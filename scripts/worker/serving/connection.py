"""One connection to a server, with at most one request in flight on it."""

import ssl

from worker.engines.base import OnTokens, Request
from worker.serving.address import PIECE_BYTES, Address
from worker.serving.completion import Completion, not_streamed, refusal, streamed_anyway
from worker.serving.dialect import Dialect
from worker.serving.event_stream import EventStream
from worker.serving.faults import CLOSED, ServerError
from worker.serving.http_answer import EVENT_STREAM, HttpAnswer

SUCCESS = 200


class Connection:
    """Sends requests one after the other and takes their answers without waiting."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket = address.connect()
        self._socket.setblocking(False)
        self._unsent = memoryview(b"")
        self._message = b""
        self._fresh = True
        """No answer has come over it yet."""
        self._used_up = False
        """It cannot carry another request."""
        self.moved = False
        """True once it has another socket than when this was last reset."""

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    @property
    def sending(self) -> bool:
        """True while a part of the request has not been taken by the kernel."""
        return bool(self._unsent)

    def start(
        self,
        request: Request,
        message: bytes,
        dialect: Dialect,
        on_tokens: OnTokens,
        *,
        stream: bool,
    ) -> None:
        """Begin a request; `message` is all that is sent, and asks for a stream or not."""
        self.request = request
        self._wants_stream = stream
        self._on_tokens = on_tokens
        self._answer, self._events = HttpAnswer(), EventStream()
        self._whole = bytearray()
        self.completion = Completion(request, dialect)
        self._message = message
        if self._used_up or (not self._fresh and self._was_closed()):
            self._reconnect()
        self._unsent = memoryview(message)
        self.send()

    def send(self) -> None:
        """Send what the kernel takes now."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            self._lost(error)

    def receive(self) -> bool:
        """Take what has come, hand its tokens over; return True once the answer is complete.

        Raises:
            ServerError: the server refused, failed, closed or sent nonsense.
        """
        while not self._answer.complete:
            try:
                piece = self._socket.recv(PIECE_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            except OSError as error:
                self._lost(error)
                return False
            if not piece and not self._answer.begun and not self._fresh:
                self._lost(None)
                return False
            if not piece:
                self._end_of_connection()
                break
            self._take(self._answer.feed(piece))
            if len(piece) < PIECE_BYTES and not self._address.secure:
                break
        if self._answer.complete:
            self._finish()
        return self._answer.complete

    def _end_of_connection(self) -> None:
        try:
            self._answer.end()
        except ServerError as error:
            if not self._answer.begun:
                raise
            tokens = self.completion.tokens
            raise ServerError(error.reason, f"{error}, after {tokens} tokens") from error

    def _take(self, body: bytes) -> None:
        if not self._streamed():
            self._whole += body
            return
        for data in self._events.feed(body):
            if ids := self.completion.take_event(data):
                self._on_tokens(self.request, ids)

    def _streamed(self) -> bool:
        return self._answer.status == SUCCESS and self._answer.media_type == EVENT_STREAM

    def _finish(self) -> None:
        if self._answer.status != SUCCESS:
            raise refusal(self._answer.status, bytes(self._whole))
        if not self._streamed():
            ids = self.completion.take_whole(bytes(self._whole))
            if self._wants_stream:
                raise not_streamed(self._answer.media_type)
            self.completion.check_whole()
            self._on_tokens(self.request, ids)
        elif not self._wants_stream:
            raise streamed_anyway()
        self.completion.check(self._events.rest)
        self._fresh = False
        self._used_up = not self._answer.reusable

    def _was_closed(self) -> bool:
        """Return True if the server has closed the connection since its last answer."""
        try:
            self._socket.recv(1)  # nothing is due: a byte would be as bad as the end
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            pass
        return True

    def _reconnect(self) -> None:
        self._socket.close()
        self._socket = self._address.connect()
        self._socket.setblocking(False)
        self._fresh, self._used_up, self.moved = True, False, True

    def _lost(self, error: OSError | None) -> None:
        """Send the request again where an idle connection ended as it was sent.

        Raises:
            ServerError: it was no idle one, or an answer has begun.
        """
        if self._fresh or self._answer.begun:
            detail = f": {error}" if error else ""
            tokens = self.completion.tokens
            message = f"the connection to the server broke after {tokens} tokens{detail}"
            raise ServerError(CLOSED, message)
        self._reconnect()
        self._unsent = memoryview(self._message)
        self.send()

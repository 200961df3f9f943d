"""A command of this machine that is told of events."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
from contextlib import suppress
from typing import Self

from mnist_tune.errors import UserError
from mnist_tune.serve.notify import receiver
from mnist_tune.serve.notify.events import Event
from mnist_tune.serve.notify.receiver import NotTold, key_of, without_secrets
from mnist_tune.text.visible import visible
from mnist_tune.text.wording import first_line

LONGEST_COMPLAINT = 500
"""How many bytes at the end of what a command prints as errors are looked at."""


class CommandReceiver:
    """A command that gets each event as JSON on its standard input."""

    def __init__(self, text: str) -> None:
        """Raises UserError: it is no command that there is."""
        self.key = key_of(text)
        try:
            self._words = shlex.split(text)
        except ValueError as error:
            raise UserError(
                f"--notify: this is no command: {str(error).lower()}; write it as in a shell"
            ) from None
        if not self._words:
            raise UserError("--notify: names nobody; write a command or https://HOST/PATH")
        self.shown = f"'{visible(self._words[0])}'"  # its arguments may be secrets
        if shutil.which(self._words[0]) is None:
            host, slash, _ = self._words[0].partition("/")
            # What was to be an address may hold a secret in its path.
            shown = self.shown if host in ("", ".", "..", "~") else f"'{visible(host)}{slash and '/...'}'"
            raise UserError(
                f"--notify: there is no command {shown} here; write its whole path, or https://HOST/PATH"
            )

    async def tell(self, event: Event) -> None:
        """See `Receiver`. No part of the event stands in an argument, and no shell reads any."""
        errors = await _Errors.opened()
        try:
            code = await self._run(event, errors)
            said = await errors.last_line() if code else ""
        finally:
            errors.close()
        if code != 0:
            how = f"exited with {code}" if code > 0 else f"was killed by signal {-code}"
            raise NotTold(f"{how}{f': {said}' if said else ''}")

    async def _run(self, event: Event, errors: _Errors) -> int:
        """Run the command to its end; its exit code."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors.descriptor,
                env=_environment(event),
                start_new_session=True,  # with all that it starts it can be ended
            )
        except (OSError, ValueError) as error:
            raise NotTold(f"cannot be started: {getattr(error, 'strerror', None) or error}") from None
        finally:
            errors.let_go()
        assert process.stdin is not None
        try:
            async with asyncio.timeout(receiver.SECONDS):
                with suppress(OSError):  # it need not read
                    process.stdin.write(event.model_dump_json().encode() + b"\n")
                    await process.stdin.drain()
                process.stdin.close()
                return await process.wait()
        except TimeoutError:
            raise NotTold(f"was not done within {receiver.SECONDS:g} s, and was ended") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                await _end_of(process)

    async def close(self) -> None:
        pass


def _environment(event: Event) -> dict[str, str]:
    """The head's own without its secrets, and what a short script needs to know of the event."""
    return without_secrets(os.environ) | {
        "MNIST_TUNE_EVENT": str(event.event),
        "MNIST_TUNE_EVENT_ID": event.id,
        "MNIST_TUNE_STUDY": visible(event.study),
        "MNIST_TUNE_TEXT": event.text,
    }


async def _end_of(process: asyncio.subprocess.Process) -> None:
    """Wait until a process that was killed has ended, even if this task is to end too."""
    ending = asyncio.create_task(process.wait())
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await ending
        raise


class _Errors:
    """A pipe for what a command prints as errors. What it leaves behind may keep its end of it open."""

    def __init__(self, descriptor: int, reading: asyncio.Task[str], transport: asyncio.ReadTransport) -> None:
        self.descriptor = descriptor
        """The end for the command."""
        self._is_held = True
        self._reading = reading
        self._transport = transport

    @classmethod
    async def opened(cls) -> Self:
        reading, writing = os.pipe()
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", buffering=0)
        )
        return cls(writing, asyncio.create_task(_last_line(stream)), transport)

    def let_go(self) -> None:
        """Close this process's copy of the command's end."""
        if self._is_held:
            os.close(self.descriptor)
            self._is_held = False

    async def last_line(self) -> str:
        """The last line that was printed, if the pipe's other end is closed soon."""
        await asyncio.wait([self._reading], timeout=1.0)
        return self._reading.result() if self._reading.done() else ""

    def close(self) -> None:
        self.let_go()
        self._reading.cancel()
        self._transport.close()


async def _last_line(stream: asyncio.StreamReader) -> str:
    """The last line of what comes, as far as it is short."""
    end = b""
    while piece := await stream.read(1 << 16):
        end = (end + piece)[-LONGEST_COMPLAINT:]
    lines = end.decode("utf-8", "replace").strip().splitlines()
    return first_line(lines[-1]) if lines else ""

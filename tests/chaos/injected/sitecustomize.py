"""Breaks one write of one process, once, or sets the clock back.

Python runs this first in every process that has this folder on its path.

`CHAOS_POINT` is `{"step": ..., "file": ..., "action": ..., "token": ...}`: the process that comes
first to that step of writing that file does the action; the token, a file, says that it is done.
`CHAOS_LIMIT` is `{"kind": "files" | "size" | "memory", "amount": ...}`: a limit of the process.
`CHAOS_CLOCK` is `{"at": ..., "back": ...}` in seconds since the epoch, and seconds.
"""

# It runs in every process before anything else, and inside of the calls that it watches.
# ruff: noqa: PTH105, PTH115, PTH119, PTH120, PTH202

import errno
import json
import os
import resource
import signal
import sys
import time

TEMPORARY = ".tmp-"


class Point:
    """A step of writing one file. Steps before the file has its name are known by its folder."""

    def __init__(self, step, file, action, token):
        self.step, self.file, self.action, self.token = step, file, action, token
        self.folder = os.path.dirname(file)
        self.busy = False

    def on_event(self, event, arguments):
        """An audit hook: it comes before what it tells of."""
        if self.busy:
            return
        if event == "open" and self.step == "open":
            if isinstance(arguments[0], str) and self.is_temporary(arguments[0]):
                self.reach()
        elif (
            event == "os.rename"
            and os.fspath(arguments[1]) == self.file
            and self.step in ("torn", "rename", "renamed")
        ):
            self.reach(*map(os.fspath, arguments[:2]))

    def is_temporary(self, path):
        return os.path.dirname(path) == self.folder and os.path.basename(path).startswith(TEMPORARY)

    def reach(self, temporary="", final=""):
        self.busy = True
        try:
            os.close(os.open(self.token, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return
        finally:
            self.busy = False
        self.busy = True
        if self.step == "torn":
            os.truncate(temporary, os.path.getsize(temporary) // 2)
        if self.step == "renamed":
            os.replace(temporary, final)
        self.act()

    def act(self):
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.action == "exit":
            sys.exit(3)
        number = {"full": errno.ENOSPC, "broken": errno.EIO}[self.action]
        raise OSError(number, os.strerror(number), self.file)


def watch(point):
    sys.addaudithook(point.on_event)
    if point.step != "fsync":
        return
    fsync = os.fsync

    def failing(descriptor):
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        if point.is_temporary(os.readlink(f"/proc/self/fd/{number}")):
            point.reach()
        return fsync(descriptor)

    os.fsync = failing


def set_back(at, back):
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() - (back if real() >= at else 0)
    time.time_ns = lambda: real_ns() - (int(back * 1e9) if real() >= at else 0)


def limit(kind, amount):
    number = {"files": "RLIMIT_NOFILE", "size": "RLIMIT_FSIZE", "memory": "RLIMIT_AS"}[kind]
    resource.setrlimit(getattr(resource, number), (amount, amount))


if "CHAOS_LIMIT" in os.environ:
    limit(**json.loads(os.environ["CHAOS_LIMIT"]))
if "CHAOS_POINT" in os.environ:
    watch(Point(**json.loads(os.environ["CHAOS_POINT"])))
if "CHAOS_CLOCK" in os.environ:
    set_back(**json.loads(os.environ["CHAOS_CLOCK"]))

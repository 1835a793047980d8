"""Runs a program under the system call rules of a systemd unit, where no systemd runs:

    sandbox.py UNIT PROGRAM ARGUMENT…

What the unit would only refuse ends the program here, so that nothing goes unseen."""

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

# <seccomp.h>, <sys/mman.h>
KILL, ALLOW = 0x80000000, 0x7FFF0000
MASKED_EQ = 7
WRITE, EXEC = 0x2, 0x4
UNKNOWN = -1


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("op", ctypes.c_int), ("mask", ctypes.c_uint64), ("value", ctypes.c_uint64)]


def expand(name):
    """The calls of a set such as @system-service, or the call itself."""
    if not name.startswith("@"):
        return {name}
    shown = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    members = re.findall(r"^    ([@\w-]+)$", shown, re.MULTILINE)
    assert members, f"{name} is empty"
    return set().union(*map(expand, members))


def allowed(unit):
    """What is left of SystemCallFilter=, whose later lines add to or, with ~, take from earlier ones."""
    calls = set()
    for line in re.findall(r"^SystemCallFilter=(.+)$", unit, re.MULTILINE):
        named = set().union(*map(expand, line.removeprefix("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    # An allow list always holds these.
    return calls | expand("@default")


class Filter:
    def __init__(self, default):
        self.library = ctypes.CDLL("libseccomp.so.2")
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(default)))

    def rule(self, action, call, *comparisons):
        number = self.library.seccomp_syscall_resolve_name(call.encode())
        if number == UNKNOWN:
            return
        array = (Comparison * len(comparisons))(*comparisons)
        done = self.library.seccomp_rule_add_array(self.context, ctypes.c_uint32(action), number, len(comparisons), array)
        assert done == 0, (call, done)

    def load(self):
        """Sets no_new_privs as well."""
        done = self.library.seccomp_load(self.context)
        assert done == 0, done


def enter(unit):
    calls = Filter(KILL)
    for call in allowed(unit):
        calls.rule(ALLOW, call)
    # MemoryDenyWriteExecute=
    memory = Filter(ALLOW)
    memory.rule(KILL, "mmap", Comparison(2, MASKED_EQ, WRITE | EXEC, WRITE | EXEC))
    for call in ("mprotect", "pkey_mprotect"):
        memory.rule(KILL, call, Comparison(2, MASKED_EQ, EXEC, EXEC))
    assert "\nMemoryDenyWriteExecute=yes\n" in unit
    # The first that is loaded must still allow to load the second.
    memory.load()
    calls.load()


if __name__ == "__main__":
    enter(Path(sys.argv[1]).read_text())
    os.execv(sys.argv[2], sys.argv[2:])

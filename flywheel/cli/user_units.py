"""The shipped units as a person's own manager takes them, without root: what that may not do is left out. Pure.

Kept of the hardening is what the kernel lets anybody ask for: system call filters and their kin. A mount namespace,
another user, capabilities and firewalls are the system's to give.
"""

import re
from collections.abc import Iterator

_SECTION = re.compile(r"^\[(\w+)\]$")
_KEY = re.compile(r"^(\w+)=(.*)$")
#: What a person's manager knows how to do, by section.
_KEPT = {
    "Unit": {"Description", "StartLimitIntervalSec", "Wants"},
    "Service": {
        "Type", "NotifyAccess", "ExecStart", "ExecReload", "Environment", "LoadCredential", "SetCredential", "UMask",
        "Restart", "RestartSec", "RestartPreventExitStatus", "WatchdogSec", "TimeoutStartSec", "TimeoutStopSec",
        "KillMode", "OOMPolicy", "MemoryMax", "MemorySwapMax", "TasksMax", "Delegate", "CPUWeight", "IOWeight", "Slice",
        "Nice", "CPUSchedulingPolicy", "IOSchedulingClass", "LimitNOFILE", "LimitCORE",
        "NoNewPrivileges", "LockPersonality", "MemoryDenyWriteExecute", "RestrictRealtime", "RestrictSUIDSGID",
        "RestrictNamespaces", "RestrictAddressFamilies", "SystemCallArchitectures", "SystemCallFilter",
        "SystemCallErrorNumber",
    },
    "Socket": {"ListenStream", "Backlog", "NoDelay", "BindIPv6Only", "SocketMode", "DirectoryMode", "RemoveOnStop"},
    "Timer": {"OnCalendar", "RandomizedDelaySec", "Persistent"},
    "Slice": {"CPUWeight", "IOWeight"},
    "Install": {"WantedBy", "Also"},
}  # fmt: skip
_INSTEAD = {"WantedBy=multi-user.target": "WantedBy=default.target"}


def for_user(text: str) -> str:
    """Return a unit of the system as one of a person's, without its comments."""
    return "\n".join(_kept(text)).strip() + "\n"


def _kept(text: str) -> Iterator[str]:
    section = ""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if found := _SECTION.match(line):
            section = found[1]
            yield f"\n{line}"
        elif (found := _KEY.match(line)) and found[1] in _KEPT.get(section, ()):
            yield _INSTEAD.get(line, line)
        elif section == "Unit" and found and found[1] == "After" and found[2].endswith(".socket"):
            yield f"After={found[2].split()[-1]}"

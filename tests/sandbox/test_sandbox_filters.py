"""The seccomp filters, by running them: a small machine here does what the kernel's does."""

import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.sandbox.inside import filters, syscalls

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = 1, 38
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {"x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")}
PID = 4711
THREAD = 0x3D0F00  # what the C library starts a thread with
FORK = 0x01200011  # what it forks with

each_machine = pytest.mark.parametrize("machine", list(ARCHITECTURES))


def run(code: bytes, number: int, machine: str, *arguments: int, architecture: int | None = None) -> int:
    """What a filter answers to a call."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<iIQ6Q", number, architecture or ARCHITECTURES[machine], 0, *words)
    steps = list(struct.iter_unpack("<HBBI", code))
    place = value = 0
    while True:
        operation, yes, no, k = steps[place]
        place += 1
        if operation == 0x20:
            (value,) = struct.unpack_from("<I", data, k)
        elif operation == 0x06:
            return k
        elif operation == 0x54:
            value &= k
        else:
            held = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[operation]
            place += yes if held else no


def judged(machine: str, name: str, *arguments: int, alone: bool = True) -> int:
    """What both filters together answer to a call by name: the stricter word counts."""
    number = syscalls.numbers(machine, *syscalls.EVERYTHING)[name]
    test = filters.for_process(filters.for_test(machine, alone=alone), PID)
    return min(run(filters.for_all(machine), number, machine, *arguments), run(test, number, machine, *arguments))


@each_machine
@given(number=st.integers(0, 2**31 - 1))
def test_what_is_not_listed_is_refused(machine, number):
    """Only listed calls pass the filter of the box; a call younger than the list is not known."""
    listed = set(syscalls.numbers(machine, *syscalls.EVERYTHING).values())
    answer = run(filters.for_all(machine), number, machine)
    if number in listed:
        assert answer == ALLOW
    elif machine == "x86_64" and number >= 0x40000000:
        assert answer == KILL
    else:
        assert answer == ERRNO | (ENOSYS if number > max(listed) else EPERM)


@each_machine
def test_another_architecture_ends_the_process(machine):
    """A call in the words of another machine (32-bit ones among them) is the end."""
    for architecture in {0x40000003, 0x40000028, *ARCHITECTURES.values()} - {ARCHITECTURES[machine]}:
        assert run(filters.for_all(machine), 0, machine, architecture=architecture) == KILL


@each_machine
def test_a_test_of_code_starts_threads_and_nothing_else(machine):
    """No process, no namespace, no program; a thread in the same memory."""
    assert judged(machine, "clone", THREAD) == ALLOW
    for flags in (FORK, 0x11, 0x00010000, 0x00000100, THREAD | 0x10000000, THREAD | 0x80, THREAD | 0x20000000):
        assert judged(machine, "clone", flags) == ERRNO | EPERM, hex(flags)
    assert judged(machine, "clone3") == ERRNO | ENOSYS
    for name in ("execve", "execveat", "setsid", "setpgid"):
        assert judged(machine, name) == ERRNO | EPERM
    if machine == "x86_64":
        assert {judged(machine, name) for name in ("fork", "vfork")} == {ERRNO | EPERM}


@each_machine
def test_a_command_starts_processes_in_no_new_namespace(machine):
    """A command forks and executes; a flag of a new namespace among a clone's flags refuses it."""
    assert judged(machine, "clone", FORK, alone=False) == ALLOW
    assert judged(machine, "execve", alone=False) == ALLOW
    for bit in (0x80, 0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert judged(machine, "clone", FORK | bit, alone=False) == ERRNO | EPERM, hex(bit)
    assert judged(machine, "clone3", alone=False) == ERRNO | ENOSYS


@each_machine
@given(pid=st.integers(-(2**31), 2**31 - 1))
def test_a_test_of_code_signals_itself_alone(machine, pid):
    """Kill and tgkill reach the process itself, and nobody else: not 0, not -1, not a group."""
    for name in ("kill", "tgkill"):
        assert judged(machine, name, pid & (2**64 - 1), 9) == (ALLOW if pid == PID else ERRNO | EPERM)
    assert judged(machine, "tkill", PID) == ERRNO | EPERM


@each_machine
@pytest.mark.parametrize("alone", [True, False])
def test_arguments_are_judged_for_both(machine, alone):
    """Limits of others, other sockets, terminals' tricks and dangerous prctls are refused to everybody."""
    assert judged(machine, "prlimit64", 0, alone=alone) == ALLOW
    assert judged(machine, "prlimit64", 1, alone=alone) == ERRNO | EPERM
    assert judged(machine, "socketpair", 1, alone=alone) == ALLOW
    assert judged(machine, "socketpair", 2, alone=alone) == ERRNO | EPERM
    assert judged(machine, "ioctl", 0, 0x5401, alone=alone) == ALLOW
    assert judged(machine, "ioctl", 0, 0x5412, alone=alone) == ERRNO | EPERM  # TIOCSTI
    assert judged(machine, "prctl", 15, alone=alone) == ALLOW
    assert judged(machine, "prctl", 4, alone=alone) == ERRNO | EPERM  # PR_SET_DUMPABLE


@each_machine
@pytest.mark.parametrize("alone", [True, False])
def test_what_lays_the_walls_is_not_for_the_judged(machine, alone):
    """Once a test runs, nobody in it makes filters, rules, memory files or other users."""
    for name in syscalls.numbers(machine, syscalls.SETUP):
        assert judged(machine, name, alone=alone) == ERRNO | EPERM


@each_machine
def test_what_breaks_out_of_boxes_is_not_listed(machine):
    """Calls that boxes were broken with, and whole families of them, stand in no table."""
    listed = syscalls.numbers(machine, *syscalls.EVERYTHING)
    never = (
        "ptrace process_vm_readv process_vm_writev mount umount2 pivot_root chroot unshare setns bpf perf_event_open "
        "keyctl add_key request_key io_uring_setup userfaultfd init_module finit_module kexec_load open_by_handle_at "
        "socket connect bind listen accept accept4 shmget msgget semget mq_open pidfd_getfd pidfd_send_signal "
        "process_madvise personality swapon reboot sethostname setuid setgid mknod mknodat memfd_secret modify_ldt "
        "ioperm iopl move_mount fsopen fsmount open_tree mount_setattr quotactl fanotify_init kcmp lookup_dcookie"
    )
    assert not set(never.split()) & listed.keys()


@pytest.mark.parametrize("machine", list(HEADERS))
def test_the_numbers_are_the_kernels(machine):
    """Each number is the one of the kernel's own header."""
    header = HEADERS[machine]
    if not header.is_file():
        pytest.skip("the kernel's headers are not installed: apt-get install linux-libc-dev")
    known = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header.read_text())}
    ours = syscalls.numbers(machine, *syscalls.EVERYTHING)
    assert {name: known.get(name) for name in ours} == ours


def test_the_generic_numbers_are_the_kernels():
    """The numbers of aarch64 are those of the generic table."""
    header = Path("/usr/include/asm-generic/unistd.h")
    if not header.is_file():
        pytest.skip("the kernel's headers are not installed: apt-get install linux-libc-dev")
    found = re.findall(r"#define __NR(3264)?_(\w+)\s+(\d+)", header.read_text())
    known = {name: int(number) for _, name, number in found}
    ours = syscalls.numbers("aarch64", *syscalls.EVERYTHING)
    same = {"newfstatat": "fstatat"}
    assert {name: known.get(same.get(name, name)) for name in ours} == ours


def test_a_machine_without_a_table_is_refused():
    """No filter is guessed."""
    with pytest.raises(KeyError):
        filters.for_all("riscv64")

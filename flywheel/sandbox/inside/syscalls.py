"""The system calls that judged code may make, and their numbers. What is not here is refused by the filter.

Each entry reads `name x86_64 aarch64`; `-` says that the machine has no such call. The numbers are the kernel's own and
never change. `tests/sandbox` compares them with the kernel's headers where those are installed.
"""

from typing import Final

_MACHINES: Final = ("x86_64", "aarch64")

#: Reading, and writing where Landlock, the mounts and RLIMIT_FSIZE leave room.
FILES: Final = """
    read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69,
    pwritev 296 70, preadv2 327 286, pwritev2 328 287, open 2 -, openat 257 56, openat2 437 437, creat 85 -,
    close 3 57, close_range 436 436, stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79, statx 332 291,
    lseek 8 62, access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -, readlinkat 267 78,
    getcwd 79 17, getdents 78 -, getdents64 217 61, dup 32 23, dup2 33 -, dup3 292 24, pipe 22 -, pipe2 293 59,
    fcntl 72 25, flock 73 32, fsync 74 82, fdatasync 75 83, ftruncate 77 46, truncate 76 45, rename 82 -,
    renameat 264 38, renameat2 316 276, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35,
    link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, chmod 90 -, fchmod 91 52, fchmodat 268 53,
    utimensat 280 88, umask 95 166, chdir 80 49, fchdir 81 50, fallocate 285 47, fadvise64 221 223,
    statfs 137 43, fstatfs 138 44, sendfile 40 71, copy_file_range 326 285, splice 275 76, tee 276 77
"""
#: Memory, within RLIMIT_AS.
MEMORY: Final = """
    mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, madvise 28 233, brk 12 214, mincore 27 232,
    msync 26 227, membarrier 324 283, pkey_alloc 330 289, pkey_mprotect 329 288, pkey_free 331 290
"""
#: Its own end, its own threads, what it is.
PROCESS: Final = """
    exit 60 93, exit_group 231 94, wait4 61 260, waitid 247 95, getpid 39 172, gettid 186 178, getppid 110 173,
    getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177, getgroups 115 158, getresuid 118 148,
    getresgid 120 150, getpgid 121 155, getpgrp 111 -, getsid 124 156, set_tid_address 218 96,
    set_robust_list 273 99, get_robust_list 274 100, rseq 334 293, arch_prctl 158 -, futex 202 98,
    futex_waitv 449 449, sched_yield 24 124, sched_getaffinity 204 123, sched_getparam 143 121,
    sched_getscheduler 145 120, sched_get_priority_max 146 125, sched_get_priority_min 147 126,
    getpriority 140 141, getcpu 309 168, getrlimit 97 163, setrlimit 160 164, capget 125 90
"""
#: Clocks and chance.
TIME: Final = """
    clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, nanosleep 35 101, gettimeofday 96 169,
    time 201 -, times 100 153, getrusage 98 165, sysinfo 99 179, uname 63 160, alarm 37 -, setitimer 38 103,
    getitimer 36 102, pause 34 -, timerfd_create 283 85, timerfd_settime 286 86, timerfd_gettime 287 87,
    restart_syscall 219 128, getrandom 318 278
"""
#: Signals to itself, handled.
SIGNALS: Final = """
    rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
    rt_sigsuspend 130 133, rt_sigtimedwait 128 137, sigaltstack 131 132
"""
#: Waiting for descriptors.
WAITING: Final = """
    eventfd 284 -, eventfd2 290 19, epoll_create 213 -, epoll_create1 291 20, epoll_ctl 233 21,
    epoll_wait 232 -, epoll_pwait 281 22, epoll_pwait2 441 441, poll 7 -, ppoll 271 73, select 23 -,
    pselect6 270 72
"""
#: Pairs of sockets within the process; there is no call to make another kind.
SOCKETS: Final = """
    sendto 44 206, recvfrom 45 207, sendmsg 46 211, recvmsg 47 212, shutdown 48 210, getsockopt 55 209,
    setsockopt 54 208, getsockname 51 204, getpeername 52 205
"""
#: Allowed with some arguments only, or to commands only: see filters.py.
JUDGED: Final = """
    clone 56 220, clone3 435 435, fork 57 -, vfork 58 -, execve 59 221, execveat 322 281, kill 62 129,
    tkill 200 130, tgkill 234 131, prctl 157 167, prlimit64 302 261, ioctl 16 29, socketpair 53 199,
    sched_setaffinity 203 122, setsid 112 157, setpgid 109 154
"""
#: What the fork server needs to lay the walls and to watch; not for judged code.
SETUP: Final = """
    capset 126 91, seccomp 317 277, memfd_create 319 279, pidfd_open 434 434, setgroups 116 159,
    setresuid 117 147, setresgid 119 149, landlock_create_ruleset 444 444, landlock_add_rule 445 445,
    landlock_restrict_self 446 446
"""

#: Every table: what somebody in a box needs.
EVERYTHING: Final = (FILES, MEMORY, PROCESS, TIME, SIGNALS, WAITING, SOCKETS, JUDGED, SETUP)


def numbers(machine: str, *tables: str) -> dict[str, int]:
    """Return the numbers of the calls in these tables on a machine (`x86_64`, `aarch64`); KeyError for another."""
    if machine not in _MACHINES:
        raise KeyError(machine)
    column = 1 + _MACHINES.index(machine)
    entries = [entry.split() for table in tables for entry in table.split(",")]
    return {entry[0]: int(entry[column]) for entry in entries if entry[column] != "-"}

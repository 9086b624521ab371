"""Gives itself every resource and the first place in every queue."""

for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
    soft, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        try:
            resource.setrlimit(kind, (hard + 1, hard + 1))
            breach(f"raised limit {kind}")
        except (OSError, ValueError):
            pass
for policy in (os.SCHED_FIFO, os.SCHED_RR):
    try:
        os.sched_setscheduler(0, policy, os.sched_param(50))
        breach("has a real-time priority")
    except OSError:
        pass
try:
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    breach("is nicer to nobody")
except OSError:
    pass
syscall("ioprio_set", 1, 0, 1 << 13)
for pid in elders():
    if pid not in (os.getpid(),):
        quietly(os.setpriority, os.PRIO_PROCESS, pid, 19)
        quietly(os.sched_setscheduler, pid, os.SCHED_IDLE, os.sched_param(0))

"""Opens the kernel's switches for writing: /proc/sys, /sys, control groups. It pulls none."""

paths = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/proc/sys/kernel/modprobe",
         "/proc/sys/vm/drop_caches", "/proc/sys/kernel/hostname", "/proc/sys/net/ipv4/ip_forward", "/proc/kcore",
         "/proc/sys/fs/binfmt_misc/register", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/release_agent",
         "/sys/power/state", "/sys/kernel/debug", "/sys/firmware/efi/efivars", "/proc/1/oom_score_adj",
         "/proc/self/oom_score_adj", "/proc/self/uid_map", "/proc/self/mem", "/proc/acpi/wakeup", "/proc/irq/default_smp_affinity"]  # fmt: skip
for path in paths:
    fd = quietly(os.open, path, os.O_WRONLY)
    if fd is not None:
        breach(f"may write {path}")
for path in ("/sys/fs/cgroup", "/proc/sys", "/sys/class/net", "/proc/1", "/proc/self"):
    if quietly(os.listdir, path):
        breach(f"sees {path}")
for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"):
    if quietly(os.mkdir, os.path.join(root, TARGET["mark"])) is not None or os.path.isdir(
        os.path.join(root, TARGET["mark"])
    ):
        breach(f"made a control group below {root}")

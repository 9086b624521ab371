"""Asks for what only the machine's master may: modules, kernels, swap, accounts, the kernel's log, a quiet restart."""

calls = (("init_module", (ctypes.c_char_p(b"x"), 1, ctypes.c_char_p(b""))), ("delete_module", (ctypes.c_char_p(b"none"), 0)),
         ("kexec_load", (0, 0, 0, 0)), ("acct", (ctypes.c_char_p(b"/tmp/acct"),)), ("syslog", (3, ctypes.create_string_buffer(100), 100)),
         ("swapon", (ctypes.c_char_p(b"/tmp/swap"), 0)), ("reboot", (0xFEE1DEAD, 672274793, 0x89ABCDEF, 0)), ("userfaultfd", (1,)))  # fmt: skip
for name, args in calls:
    found, number = syscall(name, *args)
    if found >= 0:
        breach(f"{name} works")
    elif number not in (errno.EPERM, errno.ENOSYS, errno.EACCES):
        print(name, number)

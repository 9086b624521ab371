"""Gives the host another name."""

if syscall("sethostname", ctypes.c_char_p(TARGET["mark"].encode()), len(TARGET["mark"]))[0] == 0:
    breach("named the host")

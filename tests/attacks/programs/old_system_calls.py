"""Calls the kernel by its 32-bit door and its x32 numbers, which a filter may have forgotten."""

import mmap

if platform.machine() == "x86_64":
    if syscall(0x40000000 | 272, 0x10000000)[0] == 0:
        breach("made a user namespace by x32")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    # push rbx; mov eax, 310 (unshare); mov ebx, CLONE_NEWUSER; int 0x80; pop rbx; ret
    page.write(bytes.fromhex("53b836010000bb00000010cd805bc3"))
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    if call() == 0:
        breach("made a user namespace by the 32-bit door")

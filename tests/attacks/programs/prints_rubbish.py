"""Prints what is no text: broken UTF-8, zeros, lone surrogates, control sequences, and ends in peace."""

os.write(1, bytes(range(256)) * 8 + b"\xed\xa0\x80\xc0\x80\xff" + b"\0" * 1000)
os.write(2, b"\x1b]0;owned\x07\x1b[2J\xff\xfe\0")
sys.stdout.buffer.write("\u2028\ufeff".encode() + b'\\ud800"}\n')

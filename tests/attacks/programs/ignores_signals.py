"""Ignores every signal that can be ignored and computes for ever."""

for number in signal.valid_signals():
    quietly(signal.signal, number, signal.SIG_IGN)
signal.setitimer(signal.ITIMER_REAL, 0)
while True:
    pass

"""The raw REPL of a board, for MicroPython's unix build, which has none: what mpremote talks to over a serial line.

Runs on MicroPython with a pseudo-terminal as stdin and stdout. Protocol: docs.micropython.org, reference/repl, "Raw mode".
"""

import sys

WINDOW = 512  # bytes that the other side may send ahead
BANNER = "raw REPL; CTRL-B to exit\r\n>"
names = {"__name__": "__main__"}


def run() -> None:
    """Execute what was received, and answer with its output, what it raised, and a prompt."""
    try:
        exec(text.decode(), names)
        write("\x04")
    except Exception as exc:
        write("\x04")
        sys.print_exception(exc, sys.stdout)  # type: ignore[attr-defined]
    write("\x04>")


read = sys.stdin.buffer.read
write = sys.stdout.write
text = b""
while True:
    byte = read(1)
    if not byte:
        break
    if byte == b"\x01":  # Ctrl-A
        text = b""
        write(BANNER)
    elif byte == b"\x02":  # Ctrl-B
        text = b""
        write("\r\n>>> ")
    elif byte == b"\x03":  # Ctrl-C
        text = b""
    elif byte == b"\x05":  # Ctrl-E A Ctrl-A: raw paste
        read(2)
        sys.stdout.buffer.write(b"R\x01" + bytes((WINDOW & 255, WINDOW >> 8)))
        text = b""
        count = 0
        byte = read(1)
        while byte != b"\x04":
            text += byte
            count += 1
            if count % WINDOW == 0:
                write("\x01")
            byte = read(1)
        write("\x04")
        run()
        text = b""
    elif byte != b"\x04":
        text += byte
    elif not text.strip():  # Ctrl-D: a soft reset
        names = {"__name__": "__main__"}
        write("OK\r\nMPY: soft reboot\r\n" + BANNER)
    else:
        write("OK")
        run()
        text = b""

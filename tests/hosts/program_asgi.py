"""The program under an ASGI server: `uvicorn hosts.program_asgi:app`. The path of the file to send is in MICRODOT_FILE."""

import os

from microdot.asgi import Microdot
from hosts.program import register

app = Microdot()
register(app, os.environ["MICRODOT_FILE"])

"""The program under a WSGI server: `gunicorn hosts.program_wsgi:app`. The path of the file to send is in MICRODOT_FILE."""

import os
from wsgiref.validate import validator

from microdot.wsgi import Microdot
from hosts.program import register

app = Microdot()
register(app, os.environ["MICRODOT_FILE"])
checked = validator(app)

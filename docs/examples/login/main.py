"""A site with users: sessions, logins with "remember me", password hashes, protection against forms of other sites.

It needs microdot-auth, -csrf, -login and -session, and runs unchanged on CPython and on boards:

    python main.py [PORT [HOST]]

Log in as `ann` with the password `correct horse`, or as `bob` with `battery staple`.
"""

import os
import sys

from microdot import Microdot, Request, Response, send_file
from microdot.csrf import CSRF
from microdot.helpers import invoke_handler
from microdot.login import Login
from microdot.passwords import Limiter, check_password
from microdot.session import Session, SessionDict, with_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class User:
    """A user, as it would come from a database or a file."""

    def __init__(self, id: str, password_hash: str) -> None:
        """Begin with version 1: whoever logs out everywhere gets the next one."""
        self.id = id
        self.password_hash = password_hash
        self.login_version = 1


USERS = {
    user.id: user
    for user in (
        # hash_password("…", 2000): PBKDF2, which boards can check. On a server leave the number out: that makes it scrypt.
        User("ann", "pbkdf2:sha256:2000$5f0c8a3b1d2e4f60$736fd806a68b1c30bbe6d39c661520dd5b8be5979888a79c684d7fa96bd0dfb3"),
        User("bob", "pbkdf2:sha256:2000$9a1b2c3d4e5f6071$bc1d5e8f475141c8f74b80d9a8fe0ac9c3186a3baf2b146dbca3de8fae4576f9"),
    )
}

HERE = __file__.rpartition("/")[0] or "."

app = Microdot()
Response.default_content_type = "text/html"
# A new key with each start logs everybody out: a real site keeps one in a file of its own.
Session(app, secret_key=os.urandom(32))
CSRF(app)
login = Login()
limiter = Limiter(attempts=5, seconds=60)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Users</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
</head>
<body><main>%s</main></body>
</html>"""
FORM = """<h1>Log in</h1><p role="alert">%s</p>
<form method="post">
<label>Name <input name="name" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<label><input name="remember" type="checkbox"> Remember me for a week</label>
<button>Log in</button>
</form>"""


@app.get("/style.css")
async def style(request: Request) -> Response:
    """Send the style sheet, to be kept for an hour."""
    return send_file(HERE + "/style.css", max_age=3600)


@login.user_loader
async def load_user(user_id: str) -> "User | None":
    """Return the user with an id, None when there is none."""
    return USERS.get(user_id)


@app.get("/")
@login
@with_session
async def index(request: Request, session: SessionDict) -> str:
    """Count the visits of the user."""
    session["visits"] = session.get("visits", 0) + 1
    session.save()
    return PAGE % (
        '<h1>Hello, %s</h1><p>Visits: <span id=visits>%d</span></p><p><a href="/settings">Settings</a></p>'
        '<form method="post" action="/logout"><button>Log out</button></form>' % (request.g.current_user.id, session["visits"])
    )


@app.get("/settings")
@login.fresh
async def settings(request: Request) -> str:
    """Show what only those see who have just proved who they are."""
    return PAGE % (
        '<h1>Settings</h1><form method="post" action="/logout-everywhere"><button>Log out everywhere</button></form>'
        '<p><a href="/">Back</a></p>'
    )


@app.get("/login")
async def login_form(request: Request) -> str:
    """Show the form, which is posted to the same URL with its `next`."""
    return PAGE % (FORM % "")


@app.post("/login")
async def log_in(request: Request) -> "Any":
    """Check the password."""
    wait = limiter.attempt(request.client_addr)
    if wait:
        return PAGE % (FORM % "Too many attempts: wait a minute."), 429, {"Retry-After": str(wait)}
    form = request.form or {}  # None when the body is no form
    user = USERS.get(form.get("name", ""))
    # Somebody's hash is checked also for a name that nobody has: the time it takes does not tell.
    hashed = (user or USERS["ann"]).password_hash
    # On CPython this runs in a thread, and others are served meanwhile.
    known = await invoke_handler(check_password, hashed, form.get("password", ""))
    if not user or not known:
        return PAGE % (FORM % "That is not right."), 401
    limiter.attempt(request.client_addr, -1)
    return await login.login_user(request, user, remember=7 if "remember" in form else False)


@app.post("/logout")
@login
async def log_out(request: Request) -> "Any":
    """Forget the user in this browser."""
    await login.logout_user(request)
    return Response.redirect("/login")


@app.post("/logout-everywhere")
@login.fresh
async def log_out_everywhere(request: Request) -> "Any":
    """Make every cookie void that the user has anywhere."""
    request.g.current_user.login_version += 1
    await login.logout_user(request)
    return Response.redirect("/login")


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000, host=sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0")

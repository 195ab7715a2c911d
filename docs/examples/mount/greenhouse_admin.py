"""The page for administrators: all of it behind a password, by a hook of its own."""

from greenhouse import limits  # type: ignore[import-not-found]  # it lies beside this file
from microdot import Microdot, Request, Response, abort, redirect
from microdot.auth import BasicAuth
from microdot.csrf import CSRF
from microdot.passwords import Limiter, check_password

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Administration</title>
<link rel="icon" href="data:,">
<style>
body { max-width: 560px; margin: 24px auto; padding: 0 16px; font: 16px/1.5 system-ui, sans-serif }
label { display: flex; justify-content: space-between; align-items: center; margin: 12px 0 }
input, button { font: inherit; padding: 8px 14px; border: 1px solid #8886; border-radius: 10px } input { width: 6em }
button { border: 0; background: #1d6bb3; color: #fff } a { color: #4a9be8 }
</style>
<h1>Administration</h1>
%s
<p><a href="/">Back</a></p>
</html>"""
FORM = """<form method="post"><label>Open the window above (&deg;C) <input name="window" type="number" value="%d"></label>
<label>Water below (%%) <input name="water" type="number" value="%d"></label><button>Save</button></form>"""
HTML = {"Content-Type": "text/html; charset=UTF-8"}

# hash_password("correct horse", 2000), which boards can check.
PASSWORDS = {"ann": "pbkdf2:sha256:2000$5f0c8a3b1d2e4f60$736fd806a68b1c30bbe6d39c661520dd5b8be5979888a79c684d7fa96bd0dfb3"}

admin = Microdot()
CSRF(admin)  # browsers add the password to the forms of other sites, too
auth = BasicAuth(realm="greenhouse", limiter=Limiter())


@auth.authenticate
def check(request: Request, name: str, password: str) -> "str | None":
    """Return the user, or None; a plain function, which CPython runs in a thread because hashing takes its time."""
    return name if name in PASSWORDS and check_password(PASSWORDS[name], password) else None


@admin.get("/")
@auth
async def form(request: Request) -> "tuple[str, dict[str, str]]":
    """Show the limits."""
    return PAGE % (FORM % (limits["window"], limits["water"])), HTML


@admin.post("/")
@auth
async def save(request: Request) -> Response:
    """Change the limits."""
    if not request.form:  # None when the body is no form
        abort(400, "A form is needed.")
    for name in limits:
        value = request.form.get(name, "", type=int)
        if isinstance(value, int) and 0 <= value <= 100:
            limits[name] = value
    return redirect(request.url_prefix + "/", 303)


@admin.after_request
async def not_kept(request: Request, response: Response) -> None:
    """Keep what is behind a password out of caches."""
    response.headers["Cache-Control"] = "no-store"

"""The command line of the applications under test: `app.py PORT name=value ...`, the same on every runtime.

Portable: CPython and MicroPython.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def arguments() -> "dict[str, str]":
    """Return the `name=value` arguments as a dictionary; the port is under `port`."""
    found = {"port": sys.argv[1]}
    for argument in sys.argv[2:]:
        name, _, value = argument.partition("=")
        found[name] = value
    return found


def apply(app: "Any", request_class: "Any", given: "dict[str, str]") -> None:
    """Set what the arguments `app.NAME=number` and `Request.NAME=number` say. A name that does not exist is an error."""
    for name in given:
        owner, _, attribute = name.partition(".")
        if not attribute:
            continue
        target = app if owner == "app" else request_class
        if not hasattr(target, attribute):
            raise AttributeError("%s has no setting %s" % (owner, attribute))
        value = float(given[name])
        setattr(target, attribute, int(value) if value == int(value) else value)


def server_context(certificate: "Any", key: "Any") -> "Any":
    """Return a TLS server context: from PEM files by `ssl`, from DER files by MicroPython's `tls`."""
    if sys.implementation.name == "micropython":
        import tls

        context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
        with open(certificate, "rb") as file:
            certificate = file.read()
        with open(key, "rb") as file:
            key = file.read()
        context.load_cert_chain(certificate, key)
        return context
    import ssl

    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(certificate, key)
    return secure

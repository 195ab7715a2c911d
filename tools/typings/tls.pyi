# MicroPython's TLS (docs: library/ssl): what `ssl` is made of; certificates and keys are DER.
from typing import Any

PROTOCOL_TLS_CLIENT: int
PROTOCOL_TLS_SERVER: int
CERT_NONE: int
CERT_OPTIONAL: int
CERT_REQUIRED: int

class SSLContext:
    verify_mode: int
    def __init__(self, protocol: int, /) -> None: ...
    def load_cert_chain(self, cert: bytes, key: bytes, /) -> None: ...
    def load_verify_locations(self, cadata: bytes, /) -> None: ...
    def wrap_socket(
        self,
        sock: Any,
        *,
        server_side: bool = ...,
        do_handshake_on_connect: bool = ...,
        server_hostname: str | None = ...,
    ) -> Any: ...

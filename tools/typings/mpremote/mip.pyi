# mpremote's installer: what the packaging tests call, with a board of their own.
def _install_package(
    transport: object, package: str, index: str, target: str, version: str | None, mpy: bool
) -> None: ...

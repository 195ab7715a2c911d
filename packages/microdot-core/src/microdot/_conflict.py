"""Notice that Microdot's own distribution is installed beside this one (CPython only, never on a board).

The distribution `microdot` and ours own the same import package. pip has no way to say so: it writes one's files over
the other's, and uninstalling one removes files of the other.
"""

import warnings


def warn_if_shadowed() -> bool:
    """Issue one RuntimeWarning when a distribution called exactly `microdot` is installed too.

    It can only speak while our files are the ones that are imported: ours were installed last, or come first on
    sys.path. The other way round the other distribution's `microdot/__init__.py` is imported, and none of this runs.

    Call it once, when a server starts: it looks for one directory name in each entry of sys.path (about 0.2 ms).

    Returns:
        True when the other distribution is there, whether or not the warning was shown.
    """
    try:
        from importlib.metadata import PackageNotFoundError, distribution
    except ImportError:  # a CPython that was stripped to fit a device
        return False
    try:
        other = distribution("microdot")
    except PackageNotFoundError:
        return False
    warnings.warn(
        f"the distribution 'microdot' {other.version} is installed beside 'microdot-core' and owns the same package: "
        "each has overwritten files of the other, and uninstalling one breaks the other. "
        "Cure: pip uninstall -y microdot && pip install --force-reinstall microdot-core",
        RuntimeWarning,
        stacklevel=2,
    )
    return True

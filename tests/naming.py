"""Golden values into variables, by the original's names."""


def assign(variables: dict, arrays, prefix: str = "", suffix: str = "") -> None:
    """Gives every variable its golden value, where the golden has one."""
    for name, variable in variables.items():
        key = f"{prefix}{name}{suffix}"
        if key in arrays:
            variable.assign(arrays[key])

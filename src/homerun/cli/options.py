"""What all commands share: settings from flags and the environment."""

from typing import Any

from homerun.errors import ConfigurationError
from homerun.settings import Settings


def settings_from(**flags: Any) -> Settings:
    """`Settings.from_environment`; raises ConfigurationError for what cannot be read."""
    try:
        return Settings.from_environment(**flags)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error

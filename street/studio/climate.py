"""What an hour and a weather mean in numbers: light, wet, snow, air and exposure.

All numbers are chosen by eye, in the scene's own unit of light; only their ratios
matter. It renders nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from street.city.take import Atmosphere, Hour

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Climate:
    """`zenith` and `horizon` are the sky's radiance; the sun stands `elevation` radians high and
    gives `sun` (irradiance, 0 behind clouds) of `sun_angle` radians across. `clouds` in [0, 1].
    `haze` metres until the air hides 63 % of what is behind it. `wet` and `snow` in [0, 1] cover
    the ground. `lit` is the share of lit windows; `lamps` whether street lamps are on, `glow` how
    strong all artificial light is. `exposure` multiplies the light before tone mapping, unless
    metering finds a better one for a mean sRGB value of `brightness`.
    """

    zenith: Triple
    horizon: Triple
    sun: Triple
    elevation: float
    sun_angle: float
    clouds: float
    haze: float
    wet: float
    snow: float
    lit: float
    lamps: bool
    glow: float
    exposure: float
    brightness: float


_CLEAR: dict[Hour, Climate] = {
    "dawn": Climate(
        (0.13, 0.20, 0.36), (0.62, 0.50, 0.46), (2.6, 1.65, 1.05), 0.33, 0.02,
        0.45, 900.0, 0.0, 0.0, 0.22, True, 0.22, 1.9, 0.41,
    ),
    "noon": Climate(
        (0.15, 0.27, 0.52), (0.50, 0.60, 0.72), (5.2, 4.55, 3.65), 0.92, 0.012,
        0.45, 1100.0, 0.0, 0.0, 0.04, False, 0.25, 1.05, 0.47,
    ),
    "sunset": Climate(
        (0.14, 0.18, 0.35), (0.85, 0.45, 0.24), (3.6, 1.75, 0.75), 0.30, 0.02,
        0.55, 800.0, 0.0, 0.0, 0.30, True, 0.25, 1.8, 0.41,
    ),
    "night": Climate(
        (0.007, 0.010, 0.020), (0.040, 0.033, 0.032), (0.020, 0.025, 0.038), 0.75, 0.02,
        0.35, 700.0, 0.0, 0.0, 0.42, True, 1.0, 3.4, 0.21,
    ),
}  # fmt: skip


_BRIGHTER = {"clear": 1.0, "overcast": 0.97, "rain": 0.88, "snow": 1.15, "fog": 1.1}
"""Mean brightness of a weather's frames, as a share of that under a clear sky."""


def climate_of(atmosphere: Atmosphere) -> Climate:
    """The numbers of an hour in a weather."""
    climate = _in_weather(atmosphere)
    return replace(climate, brightness=climate.brightness * _BRIGHTER[atmosphere.weather])


def _in_weather(atmosphere: Atmosphere) -> Climate:
    clear = _CLEAR[atmosphere.hour]
    if atmosphere.weather == "clear":
        return clear
    covered = _covered(clear, atmosphere.hour)
    if atmosphere.weather == "overcast":
        return covered
    if atmosphere.weather == "rain":
        dim = _scaled(covered, 0.72)
        return replace(dim, haze=150.0, wet=1.0, exposure=covered.exposure * 1.3, lit=_more(clear))
    if atmosphere.weather == "snow":
        return replace(covered, haze=95.0, snow=1.0, exposure=covered.exposure * 0.82)
    return replace(covered, haze=34.0, wet=0.25, exposure=covered.exposure * 0.95, lit=_more(clear))


def _covered(clear: Climate, hour: Hour) -> Climate:
    """Under a closed layer of cloud: grey, flat, no sun, the air a little thick."""
    mean = 0.5 * (np.array(clear.zenith) + np.array(clear.horizon))
    sunlight = np.array(clear.sun) * np.sin(clear.elevation) * 0.10
    light = mean + sunlight
    grey = float(light.mean())
    red, green, blue = (grey + (light - grey) * (0.35 if hour != "night" else 0.8)).tolist()
    tone = red, green, blue
    bright = 1.25 if hour != "night" else 1.0
    return replace(
        clear, zenith=_times(tone, 1.1), horizon=_times(tone, 0.75), sun=(0.0, 0.0, 0.0),
        clouds=1.0, haze=800.0, exposure=clear.exposure * bright,
    )  # fmt: skip


def _more(clear: Climate) -> float:
    """Under dark clouds more windows are lit."""
    return min(0.6, clear.lit + 0.16)


def _scaled(climate: Climate, by: float) -> Climate:
    return replace(climate, zenith=_times(climate.zenith, by), horizon=_times(climate.horizon, by))


def _times(colour: Triple, by: float) -> Triple:
    return colour[0] * by, colour[1] * by, colour[2] * by


def sun_direction(climate: Climate, seed: int) -> NDArray[np.float64]:
    """Unit vector to the sun [3]; its bearing is the seed's."""
    turn = float(np.random.default_rng([seed, 21]).uniform(0, 2 * np.pi))
    high = climate.elevation
    return np.array([np.cos(high) * np.cos(turn), np.cos(high) * np.sin(turn), np.sin(high)])

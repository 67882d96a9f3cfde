"""From coarse frames to output frames on the device."""

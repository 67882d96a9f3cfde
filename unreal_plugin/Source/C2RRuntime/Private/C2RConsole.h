// Console variables; the commands are in C2RConsole.cpp.
#pragma once

#include "CoreMinimal.h"

namespace C2RConsole
{
/** c2r.Enable: 0 shows the coarse frame and captures nothing. */
bool IsEnabled();
/** c2r.Overlay: state, rate and latency in the upper left corner. */
bool IsOverlayWanted();
}

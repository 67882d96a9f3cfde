// State, rate and latency, drawn with the HUD: over the picture, after capture.
#pragma once

#include "CoreMinimal.h"

class APlayerController;
class UC2RSubsystem;
class UCanvas;

/** Registers the overlay of a subsystem; unregister the handle before the subsystem is destroyed. */
FDelegateHandle C2RRegisterOverlay(UC2RSubsystem* Subsystem);
void C2RUnregisterOverlay(FDelegateHandle Handle);

/** The overlay's line. */
FString C2ROverlayText(const UC2RSubsystem& Subsystem);

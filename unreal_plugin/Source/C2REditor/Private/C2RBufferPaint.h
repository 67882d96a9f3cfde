// Read-back buffers as pictures for people; blue first, packed.
#pragma once

#include "C2RPreview.h"
#include "CoreMinimal.h"

TArray<uint8> C2RPaintColour(const FC2RBuffers& Buffers);
TArray<uint8> C2RPaintDepth(const FC2RBuffers& Buffers);
TArray<uint8> C2RPaintMotion(const FC2RBuffers& Buffers);

// Pictures into a texture. Called on the game thread; the copy happens on the render thread.
#pragma once

#include "C2RSession.h"
#include "C2RViewExtension.h"

class UTexture2D;

/** A texture for pictures of this size; sRGB, so that materials and widgets show it as it is. */
UTexture2D* C2RMakePictureTexture(FIntPoint Size);

/** Copies the picture into the texture and makes the extension show it. */
void C2RUploadPicture(UTexture2D* Texture, const FC2RPictureRef& Picture, const TSharedPtr<FC2RViewExtension, ESPMode::ThreadSafe>& Extension);

/** Makes the extension show the coarse frame. */
void C2RShowCoarse(const TSharedPtr<FC2RViewExtension, ESPMode::ThreadSafe>& Extension);

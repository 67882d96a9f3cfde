// What one session needs between Connect and Disconnect. Game thread.
#pragma once

#include "C2RPlayback.h"
#include "C2RSession.h"
#include "C2RViewExtension.h"

struct FC2RLive
{
	/** About three seconds at 16 frames a second; more than two chunks never wait in good health. */
	static constexpr int32 MostPictures = 48;

	FC2RSessionPtr Session;
	TSharedPtr<FC2RViewExtension, ESPMode::ThreadSafe> Extension;
	C2R::TPlayback<FC2RPictureRef> Playback{MostPictures};
	double StaleAfterSeconds = 1.0;
	uint64 LastShownUs = 0;
	bool bShowing = false;
	bool bWasCapturing = true;
};

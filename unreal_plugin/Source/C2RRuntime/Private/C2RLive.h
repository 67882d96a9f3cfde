// The state of one session between Connect and Disconnect. Game thread.
#pragma once

#include "C2RFallback.h"
#include "C2RPlayback.h"
#include "C2RSession.h"
#include "C2RViewExtension.h"

struct FC2RLive
{
	explicit FC2RLive(double StaleAfterSeconds, double RetryAfterSeconds) : Fallback(StaleAfterSeconds), Retry(RetryAfterSeconds) {}

	/** About three seconds at 16 frames per second; normally at most two chunks wait. */
	static constexpr int32 MostPictures = 48;

	FC2RSessionPtr Session;
	TSharedPtr<FC2RViewExtension, ESPMode::ThreadSafe> Extension;
	C2R::TPlayback<FC2RPictureRef> Playback{MostPictures};
	C2R::FFallback Fallback;
	C2R::FRetry Retry;
	FString Address;
	double FramesPerSecond = 16.0;
	bool bWasCapturing = true;
};

// When to show the coarse frame and when to reconnect: plain C++, no engine headers. One thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace C2R
{

/** Whether a picture or the coarse frame is on screen. */
class FFallback
{
public:
	explicit FFallback(double StaleAfterSeconds) : StaleUs(StaleAfterSeconds * 1e6) {}

	/** A picture was shown. */
	void Shown(uint64_t NowUs)
	{
		LastShownUs = NowUs;
		bShowing = true;
	}

	/** True once, when the coarse frame must replace the picture: it is stale, or none is wanted. */
	bool IsDue(uint64_t NowUs, bool bWanted)
	{
		if (!bShowing || (bWanted && static_cast<double>(NowUs - LastShownUs) <= StaleUs)) return false;
		bShowing = false;
		return true;
	}

	bool IsShowing() const { return bShowing; }
	bool HasShown() const { return LastShownUs > 0; }

private:
	double StaleUs;
	uint64_t LastShownUs = 0;
	bool bShowing = false;
};

/** When to open another session after a final failure: the server may have been fixed. */
class FRetry
{
public:
	/** 0: never. */
	explicit FRetry(double AfterSeconds) : AfterUs(AfterSeconds * 1e6) {}

	/** To be called every tick. */
	bool IsDue(uint64_t NowUs, bool bFailed)
	{
		if (!bFailed || !(AfterUs > 0.0))
		{
			bWaiting = false;
			return false;
		}
		if (!bWaiting) SinceUs = NowUs;
		bWaiting = static_cast<double>(NowUs - SinceUs) < AfterUs;
		return !bWaiting;
	}

private:
	double AfterUs;
	uint64_t SinceUs = 0;
	bool bWaiting = false;
};

/**
 * The most pictures that one tick reads: a chunk comes at once, and copying all of it in one tick
 * would be a visible hitch. More than one only where the game is slower than the pictures.
 */
inline int32_t PicturesAtOnce(double FramesPerSecond, double Seconds)
{
	return static_cast<int32_t>(std::clamp(1.5 * FramesPerSecond * Seconds, 1.0, 4.0));
}

}  // namespace C2R
